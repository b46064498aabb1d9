#include <csignal>
#include <filesystem>
#include <fstream>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/system_error.hpp>

#include "tests/sandbox/certificate.hpp"
#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

const std::string get_workspace =
    "GET /api/v2/workspaces/current HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test/1\r\n"
    "Authorization: Bearer "
    + WorkspaceSettings{}.api_key + "\r\n\r\n";

tcp::endpoint endpoint_of(const Server& server) { return {asio::ip::address_v4::loopback(), server.port()}; }

std::filesystem::path fresh_directory() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    auto path =
        std::filesystem::temp_directory_path() / ("sandbox-" + std::to_string(::getpid()) + '-' + info->name());
    std::filesystem::create_directories(path);
    return path;
}

std::string unzipped(const std::string& zipped) {
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    std::vector<Bytef> input{zipped.begin(), zipped.end()};
    std::vector<Bytef> output(1'000'000);
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = output.data();
    stream.avail_out = static_cast<uInt>(output.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    output.resize(stream.total_out);
    inflateEnd(&stream);
    return {output.begin(), output.end()};
}

TEST(SandboxServer, AnswersPipelinedRequestsInTheirOrder) {
    const Server server{small_server()};
    asio::io_context io;
    tcp::socket socket{io};
    socket.connect(endpoint_of(server));
    std::string unknown = get_workspace;
    unknown.replace(unknown.find("workspaces/current"), 18, "nothing-of-the-sort");
    asio::write(socket, asio::buffer(get_workspace + unknown + get_workspace));
    std::string received;
    for (int answers = 0; answers < 3; ++answers) {
        const auto head = asio::read_until(socket, asio::dynamic_buffer(received), "\r\n\r\n");
        EXPECT_EQ(received.substr(9, 3), answers == 1 ? "404" : "200");
        const auto length = std::stoul(received.substr(received.find("content-length: ") + 16));
        if (received.size() < head + length) {
            asio::read(socket, asio::dynamic_buffer(received),
                       asio::transfer_exactly(head + length - received.size()));
        }
        received.erase(0, head + length);
    }
    EXPECT_TRUE(received.empty());
}

TEST(SandboxServer, SpeaksTls) {
    const auto directory = fresh_directory();
    auto settings = small_server();
    settings.tls = make_certificate(directory);
    const Server server{settings};
    EXPECT_TRUE(server.url().starts_with("https://127.0.0.1:"));
    asio::io_context io;
    asio::ssl::context context{asio::ssl::context::tls_client};
    context.load_verify_file(settings.tls->certificate);
    asio::ssl::stream<tcp::socket> stream{io, context};
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification{"127.0.0.1"});
    stream.next_layer().connect(endpoint_of(server));
    stream.handshake(asio::ssl::stream_base::client);
    asio::write(stream, asio::buffer(get_workspace));
    std::string received;
    asio::read_until(stream, asio::dynamic_buffer(received), "\r\n\r\n");
    EXPECT_TRUE(received.starts_with("HTTP/1.1 200"));
    std::filesystem::remove_all(directory);
}

TEST(SandboxServer, CompressesForThoseWhoAcceptItWhenSwitched) {
    auto settings = small_server();
    const Server server{settings};
    TestClient client{server.port()};
    ControlClient control{server.port()};
    const TestClient::Headers headers{{"Accept-Encoding", "gzip, deflate"}, {"Content-Type", "application/json"}};
    const auto list = [&] { return client.send("POST", "/api/v2/leads/list", R"({"limit":100})", headers); };
    const auto plain = list();
    EXPECT_FALSE(plain.headers.contains("content-encoding"));
    control.set_switches({{"gzip", true}});
    const auto zipped = list();
    EXPECT_EQ(zipped.headers.at("content-encoding"), "gzip");
    EXPECT_LT(zipped.body.size(), plain.body.size() / 2);
    EXPECT_EQ(unzipped(zipped.body), plain.body);
}

TEST(SandboxServer, KeepsItsLeadsAndItsPortWhileStopped) {
    Server server{small_server()};
    TestClient client{server.port()};
    ControlClient control{server.port()};
    const std::string id{documented_lead_id};
    client.patch("/api/v2/leads/" + id, {{"first_name", "Jane"}});
    const auto port = server.port();
    server.stop();
    EXPECT_THROW(client.lead(id), boost::system::system_error);
    EXPECT_THROW(client.lead(id), boost::system::system_error);
    server.start();
    EXPECT_EQ(server.port(), port);
    EXPECT_EQ(client.lead(id)["first_name"], "Jane");
    EXPECT_EQ(control.lead(id)->at("first_name"), "Jane") << "the control client finds its way back";
}

TEST(SandboxServer, StopsOnRequest) {
    Server server{small_server()};
    ControlClient{server.port()}.quit();
    server.wait();
    EXPECT_THROW(TestClient{server.port()}.get("/"), boost::system::system_error);
}

TEST(SandboxServer, GivesUpOnATakenPort) {
    const Server server{small_server()};
    auto settings = small_server();
    settings.port = server.port();
    EXPECT_THROW(Server{settings}, boost::system::system_error);
}

TEST(SandboxProgram, ServesUntilSigterm) {
    const auto directory = fresh_directory();
    const auto port_file = (directory / "port").string();
    std::vector<std::string> words{SANDBOX_PROGRAM, "--leads", "30",          "--api-key", "one",
                                   "--api-key",     "two",     "--port-file", port_file,   "--exit-with-parent"};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    ASSERT_EQ(::posix_spawn(&child, SANDBOX_PROGRAM, nullptr, nullptr, arguments.data(), environ), 0);
    ASSERT_TRUE(eventually([&] { return std::filesystem::exists(port_file); }));
    std::uint16_t port = 0;
    std::ifstream{port_file} >> port;
    EXPECT_EQ((TestClient{port, "one"}.list({{"limit", 100}})["items"].size()), 30U);
    EXPECT_EQ((TestClient{port, "two"}.list({{"limit", 100}})["items"].size()), 30U);
    ::kill(child, SIGTERM);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace leadsync::sandbox
