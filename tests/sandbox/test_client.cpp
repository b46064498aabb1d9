#include "tests/sandbox/test_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace leadsync::sandbox {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

}  // namespace

struct TestClient::Connection {
    explicit Connection(std::uint16_t port) {
        stream.connect(asio::ip::tcp::endpoint{asio::ip::address_v4::loopback(), port});
    }

    asio::io_context io{1};
    beast::tcp_stream stream{io};
    beast::flat_buffer buffer;
};

TestClient::TestClient(std::uint16_t port, const std::string& api_key) : port_{port}, api_key_{api_key} {}

TestClient::~TestClient() = default;

Answer TestClient::send(const std::string& method, const std::string& path, const std::string& body,
                        const Headers& headers) {
    http::request<http::string_body> request{http::string_to_verb(method), path, 11};
    auto all = headers;
    all.insert({{"User-Agent", "leadsync-test/1"}, {"Authorization", "Bearer " + api_key_}, {"Host", "localhost"}});
    for (const auto& [name, value] : all) {
        if (!value.empty()) request.set(name, value);
    }
    request.body() = body;
    request.prepare_payload();
    if (!connection_) connection_ = std::make_unique<Connection>(port_);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    try {
        http::write(connection_->stream, request);
        http::read(connection_->stream, connection_->buffer, parser);
    } catch (const boost::system::system_error&) {
        connection_.reset();
        throw;
    }
    const auto& message = parser.get();
    Answer answer{message.result_int(), {}, message.body()};
    for (const auto& field : message) {
        answer.headers.emplace(lower_case({field.name_string().data(), field.name_string().size()}), field.value());
    }
    if (!message.keep_alive()) connection_.reset();
    return answer;
}

}  // namespace leadsync::sandbox
