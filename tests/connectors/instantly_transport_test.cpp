#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/origin.hpp"
#include "connectors/instantly/retry_after.hpp"
#include "connectors/instantly/transport.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/silent_names.hpp"

namespace leadsync::instantly {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace std::chrono_literals;
using asio::ip::tcp;
using boost::system::error_code;

/// How a connection goes on after its answers.
enum class Then {
    keep,              ///< stays open until the client closes it
    close,             ///< closes at once
    close_on_request,  ///< reads one more request and closes without a word
    reset_on_request,  ///< the same with a TCP reset
    trickle,           ///< sends a byte now and then for ever
};

/// What the server does on one connection: one answer, as raw bytes, for each request.
struct Play {
    std::vector<std::string> answers;
    Then then = Then::keep;
};

std::string answer(std::string_view body, std::string_view headers = "", std::string_view status = "200 OK") {
    return std::string{"HTTP/1.1 "}.append(status).append("\r\nContent-Length: ") + std::to_string(body.size())
           + std::string{"\r\n"}.append(headers).append("\r\n").append(body);
}

std::string gzipped(std::string_view text) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string input{text};
    std::string packed(deflateBound(&stream, input.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

/// A server that acts out one play after the other, one for each connection.
class ScriptedServer {
public:
    explicit ScriptedServer(asio::io_context& io)
        : acceptor_{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}} {}

    void speak_tls(asio::ssl::context& context) { tls_ = &context; }
    void start() { asio::co_spawn(acceptor_.get_executor(), accept(), asio::detached); }
    [[nodiscard]] std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

    std::deque<Play> plays;
    std::vector<std::string> requests;
    int connections = 0;
    int ended = 0;  ///< connections closed, by either side

private:
    asio::awaitable<void> accept() {
        while (true) {
            tcp::socket socket = co_await acceptor_.async_accept(asio::use_awaitable);
            Play play;
            if (!plays.empty()) {
                play = std::move(plays.front());
                plays.pop_front();
            }
            ++connections;
            asio::co_spawn(acceptor_.get_executor(), act(std::move(socket), std::move(play)), asio::detached);
        }
    }

    asio::awaitable<void> act(tcp::socket socket, Play play) {
        try {
            if (tls_ != nullptr) {
                asio::ssl::stream<tcp::socket&> stream{socket, *tls_};
                co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
                co_await act_on(stream, play);
            } else {
                co_await act_on(socket, play);
            }
            if (play.then == Then::reset_on_request) socket.set_option(asio::socket_base::linger{true, 0});
        } catch (const boost::system::system_error&) {
            // the client has closed
        }
        error_code ignored;
        socket.close(ignored);
        ++ended;
    }

    template <class Stream>
    asio::awaitable<void> act_on(Stream& stream, const Play& play) {
        for (const auto& text : play.answers) {
            co_await read_request(stream);
            co_await asio::async_write(stream, asio::buffer(text), asio::use_awaitable);
        }
        if (play.then == Then::close) co_return;
        if (play.then != Then::trickle) co_await read_request(stream);
        if (play.then == Then::keep) co_await read_request(stream);
        asio::steady_timer tick{acceptor_.get_executor()};
        while (play.then == Then::trickle) {
            tick.expires_after(1ms);
            co_await tick.async_wait(asio::use_awaitable);
            co_await asio::async_write(stream, asio::buffer("x", 1), asio::use_awaitable);
        }
    }

    template <class Stream>
    asio::awaitable<void> read_request(Stream& stream) {
        std::string text;
        co_await asio::async_read_until(stream, asio::dynamic_buffer(text), "\r\n\r\n", asio::use_awaitable);
        std::size_t body = 0;
        if (const auto at = text.find("Content-Length: "); at != std::string::npos)
            body = std::stoul(text.substr(at + 16));
        const auto whole = text.find("\r\n\r\n") + 4 + body;
        if (whole > text.size())
            co_await asio::async_read(stream, asio::dynamic_buffer(text), asio::transfer_exactly(whole - text.size()),
                                      asio::use_awaitable);
        requests.push_back(std::move(text));
    }

    tcp::acceptor acceptor_;
    asio::ssl::context* tls_ = nullptr;
};

/// A request under way, or what became of it.
struct Sent {
    std::optional<Reply> reply;
    std::exception_ptr error;
    asio::cancellation_signal cancel;
    bool done = false;

    /// The reply; rethrows what came instead.
    const Reply& value() const {
        if (error) std::rethrow_exception(error);
        return reply.value();
    }
    ApiError failure() const {
        try {
            value();
        } catch (const ApiError& failed) {
            return failed;
        }
        throw std::logic_error{"the request did not fail"};
    }
    bool is_cancelled() const {
        try {
            value();
        } catch (const boost::system::system_error& failed) {
            return failed.code() == asio::error::operation_aborted;
        } catch (const ApiError&) {
            return false;
        }
        return false;
    }
};

class TransportTest : public testing::Test {
protected:
    TransportTest() {
        options.base_url = "http://127.0.0.1:" + server.port();
        options.user_agent = "leadsync/test";
        server.start();
    }

    HttpTransport& transport() {
        if (!transport_) transport_ = std::make_unique<HttpTransport>(io.get_executor(), options);
        return *transport_;
    }

    std::shared_ptr<Sent> start(Request request, Gate gate = {}) {
        return start_on(transport(), std::move(request), std::move(gate));
    }
    std::shared_ptr<Sent> start_on(HttpTransport& on, Request request, Gate gate = {}) {
        auto sent = std::make_shared<Sent>();
        asio::co_spawn(
            io, on.send(std::move(request), std::move(gate)),
            asio::bind_cancellation_slot(sent->cancel.slot(), [sent](std::exception_ptr error, Reply reply) {
                sent->done = true;
                sent->error = error;
                if (!error) sent->reply = std::move(reply);
            }));
        return sent;
    }

    /// Runs the world until `condition` holds.
    template <class Condition>
    void wait(Condition condition) {
        while (!condition())
            if (io.run_one_for(10s) == 0) throw std::logic_error{"nothing happens any more"};
    }

    std::shared_ptr<Sent> send(Request request, Gate gate = {}) {
        auto sent = start(std::move(request), std::move(gate));
        wait([&] { return sent->done; });
        return sent;
    }

    static Request get() { return {http::verb::get, "/api/v2/leads/1?secret=2", {}, "Bearer key"}; }
    static Request post() { return {http::verb::post, "/api/v2/leads", R"({"a":1})", "Bearer key"}; }

    asio::io_context io{1};
    ScriptedServer server{io};
    TransportOptions options;

private:
    std::unique_ptr<HttpTransport> transport_;
};

TEST_F(TransportTest, ARequestNamesItsHostItsAgentAndItsKey) {
    server.plays = {{{answer("{}")}}};
    EXPECT_EQ(send(get())->value().status, 200);
    const auto& request = server.requests.at(0);
    EXPECT_TRUE(request.starts_with("GET /api/v2/leads/1?secret=2 HTTP/1.1\r\n")) << request;
    for (const std::string& line : {"Host: 127.0.0.1:" + server.port(), std::string{"User-Agent: leadsync/test"},
                                    std::string{"Authorization: Bearer key"}, std::string{"Accept-Encoding: gzip"}})
        EXPECT_NE(request.find("\r\n" + line + "\r\n"), std::string::npos) << request;
}

TEST_F(TransportTest, AContentTypeIsSentOnlyWithABody) {
    server.plays = {{{answer("{}"), answer("{}")}}};
    send({http::verb::delete_, "/api/v2/leads/1", {}, {}})->value();
    send(post())->value();
    EXPECT_EQ(server.requests.at(0).find("Content-"), std::string::npos) << server.requests.at(0);
    EXPECT_NE(server.requests.at(1).find("\r\nContent-Type: application/json\r\n"), std::string::npos);
    EXPECT_TRUE(server.requests.at(1).ends_with("\r\n\r\n{\"a\":1}"));
}

TEST_F(TransportTest, ThePathOfTheBaseUrlComesBeforeTheTarget) {
    options.base_url += "/prefix/";
    server.plays = {{{answer("{}")}}};
    send(get())->value();
    EXPECT_TRUE(server.requests.at(0).starts_with("GET /prefix/api/v2/")) << server.requests.at(0);
}

TEST_F(TransportTest, AWholeAnswerIsReadHoweverItIsFramed) {
    const std::string packed = gzipped("packed");
    server.plays = {
        {{answer("with a length", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nin \r\n6\r\nchunks\r\n0\r\n\r\n",
          answer(packed, "Content-Encoding: gzip\r\n"), answer(""), "HTTP/1.1 204 No Content\r\n\r\n",
          "HTTP/1.1 100 Continue\r\n\r\n" + answer("after an announcement"), "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
         Then::close}};
    const auto first = send(get());
    EXPECT_EQ(first->value().body, "with a length");
    EXPECT_EQ(first->value().date, "Sun, 06 Nov 1994 08:49:37 GMT");
    EXPECT_EQ(send(get())->value().body, "in chunks");
    EXPECT_EQ(send(get())->value().body, "packed");
    EXPECT_EQ(send(get())->value().body, "");
    EXPECT_EQ(send(get())->value().status, 204);
    EXPECT_EQ(send(get())->value().body, "after an announcement");
    EXPECT_EQ(send(get())->value().body, "until the end");
    EXPECT_EQ(server.connections, 1);
}

TEST_F(TransportTest, AnyStatusIsAnAnswer) {
    server.plays = {{{answer("no", "", "404 Not Found"), answer("broken", "", "500 Internal Server Error"),
                      answer("odd", "", "599 ")}}};
    EXPECT_EQ(send(get())->value().status, 404);
    EXPECT_EQ(send(get())->value().status, 500);
    EXPECT_EQ(send(get())->value().status, 599);
}

TEST_F(TransportTest, AConnectionThatTheServerAnnouncesToCloseIsNotKept) {
    server.plays = {{{answer("1", "Connection: close\r\n")}}, {{answer("2")}}};
    EXPECT_EQ(send(post())->value().body, "1");
    EXPECT_EQ(send(post())->value().body, "2");
}

TEST_F(TransportTest, AnIdleConnectionThatThePeerClosedIsNotUsedAgain) {
    server.plays = {{{answer("1")}, Then::close}, {{answer("2")}}};
    EXPECT_EQ(send(post())->value().body, "1");
    wait([&] { return server.ended == 1; });
    EXPECT_EQ(send(post())->value().body, "2") << "not even a POST is at risk";
    EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(TransportTest, AnAnswerNobodyAskedForEndsAConnection) {
    server.plays = {{{answer("1") + answer("unasked")}}, {{answer("2")}}};
    EXPECT_EQ(send(get())->value().body, "1");
    EXPECT_EQ(send(get())->value().body, "2");
}

TEST_F(TransportTest, AConnectionIdleForTooLongIsNotUsedAgain) {
    options.idle_timeout = 0ms;
    server.plays = {{{answer("1")}}, {{answer("2")}}};
    EXPECT_EQ(send(get())->value().body, "1");
    EXPECT_EQ(send(get())->value().body, "2");
    EXPECT_EQ(server.connections, 2);
}

class CountedTurn final : public Turn {
public:
    explicit CountedTurn(int& departed, bool is_void = false) : departed_{departed}, is_void_{is_void} {}
    bool departs() override {
        if (!is_void_) ++departed_;
        return !is_void_;
    }

private:
    int& departed_;
    bool is_void_;
};

TEST_F(TransportTest, ATurnThatIsVoidByNowIsAskedForAgain) {
    int gates = 0;
    int departed = 0;
    const Gate gate = [&]() -> asio::awaitable<std::unique_ptr<Turn>> {
        co_return std::make_unique<CountedTurn>(departed, ++gates < 3);
    };
    server.plays = {{{answer("1")}}};
    EXPECT_EQ(send(get(), gate)->value().body, "1");
    EXPECT_EQ(gates, 3);
    EXPECT_EQ(departed, 1);
}

TEST_F(TransportTest, ARequestThatCannotBeSentDoesNotDepart) {
    int departed = 0;
    const Gate gate = [&]() -> asio::awaitable<std::unique_ptr<Turn>> {
        co_return std::make_unique<CountedTurn>(departed);
    };
    asio::ip::tcp::acceptor nobody{io, {asio::ip::address_v4::loopback(), 0}};
    TransportOptions unreachable = options;
    unreachable.base_url = "http://127.0.0.1:" + std::to_string(nobody.local_endpoint().port());
    nobody.close();
    HttpTransport transport{io.get_executor(), unreachable};
    const auto sent = start_on(transport, get(), gate);
    wait([&] { return sent->done; });
    EXPECT_FALSE(sent->failure().in_doubt());
    EXPECT_EQ(departed, 0);
}

TEST_F(TransportTest, AReadLostOnAKeptConnectionIsSentOnceMoreAndPassesTheGateAgain) {
    for (const bool is_get : {true, false}) {
        for (const Then then : {Then::close_on_request, Then::reset_on_request}) {
            server.plays = {{{answer("1")}, then}, {{answer("2")}, Then::close}};
            int gates = 0;
            int departed = 0;
            const Gate gate = [&]() -> asio::awaitable<std::unique_ptr<Turn>> {
                ++gates;
                co_return std::make_unique<CountedTurn>(departed);
            };
            Request request = is_get ? get() : post();
            request.reads_only = !is_get;
            EXPECT_EQ(send(request, gate)->value().body, "1");
            EXPECT_EQ(gates, 1);
            EXPECT_EQ(send(request, gate)->value().body, "2");
            EXPECT_EQ(gates, 3);
            EXPECT_EQ(departed, 3);
            const auto over = server.connections;
            wait([&] { return server.ended == over; });
        }
    }
}

TEST_F(TransportTest, AWriteLostOnAKeptConnectionIsNotSentAgainButInDoubt) {
    server.plays = {{{answer("1")}, Then::close_on_request}, {{answer("2")}}};
    EXPECT_EQ(send(post())->value().body, "1");
    const auto failure = send(post())->failure();
    EXPECT_TRUE(failure.in_doubt());
    EXPECT_EQ(failure.status(), 0);
    EXPECT_EQ(failure.failure().kind, sync::FailureKind::transient);
    EXPECT_EQ(server.requests.size(), 2U);
}

TEST_F(TransportTest, ARequestLostOnAFreshConnectionIsNotSentAgain) {
    server.plays = {{{}, Then::close_on_request}, {{answer("2")}}};
    EXPECT_TRUE(send(get())->failure().in_doubt());
    EXPECT_EQ(server.connections, 1);
}

struct Broken {
    const char* what;
    std::string bytes;
};

TEST_F(TransportTest, ABrokenAnswerIsAFailureThatLeavesTheRequestInDoubt) {
    const std::string packed = gzipped("some text to pack");
    const std::vector<Broken> table{
        {"cut in its body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"},
        {"cut in its header", "HTTP/1.1 200 OK\r\nContent-Le"},
        {"cut in its chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"},
        {"cut before the last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"},
        {"garbage", "\x01\x02\x03 not HTTP at all\r\n\r\n"},
        {"an endless header", "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')},
        {"an endless chunk header",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + std::string(300'000, 'x')},
        {"a bad length", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"},
        {"cut gzip", answer(packed.substr(0, packed.size() / 2), "Content-Encoding: gzip\r\n")},
        {"no gzip", answer("plain", "Content-Encoding: gzip\r\n")},
        {"gzip with a wrong checksum",
         answer(packed.substr(0, packed.size() - 8) + "12345678", "Content-Encoding: gzip\r\n")},
        {"gzip with a tail", answer(packed + "tail", "Content-Encoding: gzip\r\n")},
        {"an encoding not asked for", answer("x", "Content-Encoding: br\r\n")},
    };
    for (const auto& [what, bytes] : table) {
        SCOPED_TRACE(what);
        server.plays = {{{bytes}, Then::close}};
        const auto failure = send(get())->failure();
        EXPECT_TRUE(failure.in_doubt());
        EXPECT_EQ(failure.failure().kind, sync::FailureKind::transient);
        EXPECT_TRUE(std::string_view{failure.what()}.starts_with("GET /api/v2/leads/1: ")) << failure.what();
        EXPECT_EQ(std::string_view{failure.what()}.find("secret"), std::string_view::npos) << failure.what();
    }
    EXPECT_EQ(server.connections, static_cast<int>(table.size())) << "a broken connection is never used again";
}

TEST_F(TransportTest, AnAnswerLargerThanTheLimitIsRefusedHoweverItComes) {
    options.body_limit = 1'000;
    const std::string large(1'001, 'x');
    for (const std::string& bytes :
         {answer(large), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + large + "\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\n\r\n" + large, answer(gzipped(large), "Content-Encoding: gzip\r\n"),
          std::string{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n"}}) {
        SCOPED_TRACE(bytes.substr(0, 80));
        server.plays = {{{bytes}, Then::close}};
        EXPECT_THROW(send(get())->value(), AnswerTooLarge);
    }
    server.plays = {
        {{answer(std::string(1'000, 'x')), answer(gzipped(std::string(1'000, 'x')), "Content-Encoding: gzip\r\n")}}};
    EXPECT_EQ(send(get())->value().body.size(), 1'000U);
    EXPECT_EQ(send(get())->value().body.size(), 1'000U);
}

TEST_F(TransportTest, AGzipBombIsRefusedWithoutBeingUnpacked) {
    options.body_limit = 100'000;
    const std::string bomb = gzipped(std::string(50'000'000, '\0'));
    ASSERT_LT(bomb.size(), options.body_limit);
    server.plays = {{{answer(bomb, "Content-Encoding: gzip\r\n")}}};
    const auto failure = send(get())->failure();
    EXPECT_NE(std::string_view{failure.what()}.find("larger than 100000 bytes"), std::string_view::npos);
}

TEST_F(TransportTest, ASilentServerTimesOut) {
    options.read_timeout = 50ms;
    server.plays = {{{}}, {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}}, {{answer("back again")}}};
    for (int attempt = 0; attempt < 2; ++attempt) {
        const auto failure = send(get())->failure();
        EXPECT_TRUE(failure.in_doubt());
        EXPECT_NE(std::string_view{failure.what()}.find("timed out"), std::string_view::npos) << failure.what();
    }
    EXPECT_EQ(send(get())->value().body, "back again");
    EXPECT_EQ(server.connections, 3);
}

TEST_F(TransportTest, AServerThatTricklesForEverTimesOutAtTheTotal) {
    options.total_timeout = 100ms;
    server.plays = {{{"HTTP/1.1 200 OK\r\n\r\n"}, Then::trickle}};
    const auto sent = send(get());
    EXPECT_NE(std::string_view{sent->failure().what()}.find("timed out"), std::string_view::npos);
}

TEST_F(TransportTest, AServerThatCannotBeReachedLeavesNothingInDoubt) {
    tcp::acceptor nobody{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    options.base_url = "http://127.0.0.1:" + std::to_string(nobody.local_endpoint().port());
    nobody.close();
    const auto failure = send(post())->failure();
    EXPECT_FALSE(failure.in_doubt());
    EXPECT_NE(std::string_view{failure.what()}.find("POST /api/v2/leads: connecting to 127.0.0.1:"),
              std::string_view::npos)
        << failure.what();
}

TEST_F(TransportTest, ALookupThatNobodyWaitsForAnyMoreHoldsUpNoOther) {
    server.plays = {{{answer("found")}}};
    TransportOptions silent = options;
    silent.base_url = "https://silent.test";
    silent.connect_timeout = 100ms;
    HttpTransport unanswered{io.get_executor(), silent};
    test_support::SilentNames names;
    std::vector<std::shared_ptr<Sent>> all{start_on(unanswered, get())};
    ASSERT_TRUE(test_support::eventually([&] {
        io.poll();
        return names.asked() == 1;
    }));
    for (int i = 0; i < 5; ++i) all.push_back(start_on(unanswered, get()));
    io.poll();
    all.back()->cancel.emit(asio::cancellation_type::terminal);
    wait([&] { return std::ranges::all_of(all, [](const auto& sent) { return sent->done; }); });
    EXPECT_TRUE(all.back()->is_cancelled());
    EXPECT_NE(std::string_view{all.front()->failure().what()}.find("timed out"), std::string_view::npos);

    names.speak();
    options.base_url = "http://localhost:" + server.port();
    EXPECT_EQ(send(get())->value().body, "found");
    EXPECT_EQ(names.asked(), 1) << "the others were still in line when they were given up";
}

TEST_F(TransportTest, AHandshakeThatIsNeverAnsweredTimesOutAndLeavesNothingInDoubt) {
    options.base_url = "https://localhost:" + server.port();
    options.connect_timeout = 100ms;
    const auto failure = send(post())->failure();
    EXPECT_FALSE(failure.in_doubt());
    EXPECT_NE(std::string_view{failure.what()}.find("timed out"), std::string_view::npos) << failure.what();
}

TEST_F(TransportTest, RetryAfterIsReadInBothForms) {
    server.plays = {
        {{answer("", "Retry-After: 7\r\n", "429 Too Many Requests"),
          answer("", "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n",
                 "429 Too Many Requests"),
          answer("", "Retry-After: soon\r\n", "429 Too Many Requests"), answer("", "", "429 Too Many Requests")}}};
    EXPECT_EQ(send(get())->value().retry_after, 7s);
    EXPECT_EQ(send(get())->value().retry_after, 30s) << "counted from the server's own clock";
    EXPECT_EQ(send(get())->value().retry_after, std::nullopt);
    EXPECT_EQ(send(get())->value().retry_after, std::nullopt);
}

TEST_F(TransportTest, NoMoreConnectionsThanAllowedAndPlacesGoInTheOrderOfAsking) {
    for (const std::size_t allowed : {1U, 2U}) {
        options.connections_max = allowed;
        server.plays.assign(6, Play{std::vector<std::string>(6, answer("x"))});
        server.connections = 0;
        server.requests.clear();
        HttpTransport pool{io.get_executor(), options};
        std::vector<std::shared_ptr<Sent>> all;
        for (int i = 0; i < 6; ++i) all.push_back(start_on(pool, {http::verb::get, "/" + std::to_string(i), {}, {}}));
        wait([&] { return std::ranges::all_of(all, [](const auto& sent) { return sent->done; }); });
        for (const auto& sent : all) EXPECT_EQ(sent->value().status, 200);
        EXPECT_EQ(server.connections, static_cast<int>(allowed));
        for (std::size_t i = 0; allowed == 1 && i < 6; ++i)  // with two under way either may be read first
            EXPECT_TRUE(server.requests.at(i).starts_with("GET /" + std::to_string(i))) << i;
    }
}

TEST_F(TransportTest, WaitingForAPlaceEndsWithTheTotalTime) {
    options.connections_max = 1;
    options.total_timeout = 50ms;
    server.plays = {{{answer("1")}, Then::close_on_request}};
    asio::steady_timer never{io, asio::steady_timer::time_point::max()};
    int gates = 0;
    const Gate closed = [&]() -> asio::awaitable<std::unique_ptr<Turn>> {
        if (++gates > 1) co_await never.async_wait(asio::use_awaitable);
        co_return nullptr;
    };
    EXPECT_EQ(send(get())->value().body, "1");
    const auto holder = start(get(), closed);  // it waits to be sent once more, and keeps its place
    const auto failure = send(post())->failure();
    EXPECT_FALSE(failure.in_doubt());
    EXPECT_NE(std::string_view{failure.what()}.find("free connection"), std::string_view::npos) << failure.what();
    EXPECT_FALSE(holder->done);
    never.cancel();
    wait([&] { return holder->done; });
}

TEST_F(TransportTest, ACancelledRequestIsNoFailureAndItsConnectionIsClosed) {
    server.plays = {{{answer("1")}}, {{answer("2")}}};
    EXPECT_EQ(send(get())->value().body, "1");
    const auto sent = start(get());
    wait([&] { return server.requests.size() == 2; });
    sent->cancel.emit(asio::cancellation_type::terminal);
    wait([&] { return sent->done && server.ended == 1; });
    EXPECT_TRUE(sent->is_cancelled());
    EXPECT_EQ(send(get())->value().body, "2");
}

TEST_F(TransportTest, ACancelledWaiterLeavesTheQueueToTheOthers) {
    options.connections_max = 1;
    server.plays = {{{answer("1"), answer("3")}}};
    const auto first = start(get());
    const auto second = start(get());
    const auto third = start(get());
    wait([&] { return server.requests.size() == 1; });
    second->cancel.emit(asio::cancellation_type::terminal);
    wait([&] { return first->done && second->done && third->done; });
    EXPECT_EQ(first->value().body, "1");
    EXPECT_TRUE(second->is_cancelled());
    EXPECT_EQ(third->value().body, "3");
}

TEST_F(TransportTest, AWaiterCancelledAtAnyMomentLosesNobodysPlace) {
    options.connections_max = 1;
    for (int moment = 0, all_done = 0; all_done < 3;
         ++moment) {  // one handler later each time: no interleaving missed
        SCOPED_TRACE(moment);
        server.plays.assign(3, Play{std::vector<std::string>(200, answer("x"))});
        const auto first = start(get());
        const auto second = start(get());
        const auto third = start(get());
        for (int i = 0; i < moment && !second->done; ++i) io.run_one_for(10s);
        second->cancel.emit(asio::cancellation_type::terminal);
        wait([&] { return first->done && second->done && third->done; });
        EXPECT_EQ(first->value().body, "x");
        EXPECT_EQ(third->value().body, "x");
        EXPECT_TRUE(second->is_cancelled() || second->value().body == "x");
        if (!second->is_cancelled()) ++all_done;
    }
}

TEST_F(TransportTest, ARequestThatWouldBreakItsLineIsRefused) {
    EXPECT_THROW(send({http::verb::get, "/a b", {}, {}})->value(), std::invalid_argument);
    EXPECT_THROW(send({http::verb::get, "/a\r\nX: y", {}, {}})->value(), std::invalid_argument);
    EXPECT_THROW(send({http::verb::get, "/", {}, "Bearer a\nX: y"})->value(), std::invalid_argument);
}

TEST(Origin, IsTakenFromABaseUrl) {
    EXPECT_EQ(parse_origin("https://api.instantly.ai").port, "443");
    EXPECT_EQ(parse_origin("https://api.instantly.ai/").path, "");
    EXPECT_EQ(parse_origin("http://[::1]:8080/x").host, "::1");
    EXPECT_EQ(parse_origin("http://[::1]:8080/x").port, "8080");
    EXPECT_EQ(parse_origin("http://localhost:1/x").path, "/x");
    EXPECT_EQ(parse_origin("http://127.0.0.2:1/x").authority, "127.0.0.2:1");
}

TEST(Origin, NeverLetsAKeyLeaveInTheClear) {
    for (const char* url : {"http://api.instantly.ai", "http://10.0.0.1", "http://localhost.example.com",
                            "http://127.0.0.1.example.com", "ftp://localhost", "localhost", "", "https://",
                            "https://host:0", "https://host:65536", "https://host:", "https://host:x",
                            "https://user:password@host", "https://host?x", "https://host/a b", "https://[::1"})
        EXPECT_THROW(parse_origin(url), std::invalid_argument) << url;
}

TEST(RetryAfter, IsSecondsOrADateAndNeverMoreThanADay) {
    const auto now = parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").value();
    EXPECT_EQ(now.time_since_epoch(), 784111777s);
    EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), now);
    EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), now);
    EXPECT_EQ(parse_retry_after("0", now), 0s);
    EXPECT_EQ(parse_retry_after("120", now), 120s);
    EXPECT_EQ(parse_retry_after("1.5", now), 1500ms);
    EXPECT_EQ(parse_retry_after("99999999999999999999", now), 24h);
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:30 GMT", now), 0s) << "past is now";
    EXPECT_EQ(parse_retry_after("Sun, 06 Nov 2094 08:49:30 GMT", now), 24h);
    for (const char* text : {"", "-1", "soon", "1 second", "nan", "Sun, 06 Nov 1994"})
        EXPECT_EQ(parse_retry_after(text, now), std::nullopt) << text;
}

/// A certificate for the name `localhost` that signs itself.
class TlsTransportTest : public TransportTest {
protected:
    TlsTransportTest() : directory_{testing::TempDir() + "leadsync-tls-" + std::to_string(::getpid())} {
        std::filesystem::create_directories(directory_);
        write_certificate();
        context_.use_certificate_file(directory_ + "/cert.pem", asio::ssl::context::pem);
        context_.use_private_key_file(directory_ + "/key.pem", asio::ssl::context::pem);
        server.speak_tls(context_);
        options.base_url = "https://localhost:" + server.port();
        options.ca_file = directory_ + "/cert.pem";
    }
    ~TlsTransportTest() override { std::filesystem::remove_all(directory_); }

    void accept_only(int version) { SSL_CTX_set_max_proto_version(context_.native_handle(), version); }
    const std::string& directory() const { return directory_; }

    std::string name_asked_for;

private:
    void write_certificate() const {
        const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
        const std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), &X509_free};
        X509_set_version(certificate.get(), 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
        X509_set_pubkey(certificate.get(), key.get());
        auto* name = X509_get_subject_name(certificate.get());
        const std::basic_string<unsigned char> common_name{'t', 'e', 's', 't'};
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common_name.c_str(), -1, -1, 0);
        X509_set_issuer_name(certificate.get(), name);
        const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> names{
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost"), &X509_EXTENSION_free};
        X509_add_ext(certificate.get(), names.get(), -1);
        X509_sign(certificate.get(), key.get(), EVP_sha256());
        const auto open = [&](const char* file) { return std::fopen((directory_ + file).c_str(), "wb"); };
        const std::unique_ptr<FILE, decltype(&std::fclose)> key_file{open("/key.pem"), &std::fclose};
        const std::unique_ptr<FILE, decltype(&std::fclose)> certificate_file{open("/cert.pem"), &std::fclose};
        PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
        PEM_write_X509(certificate_file.get(), certificate.get());
    }

    std::string directory_;
    asio::ssl::context context_{asio::ssl::context::tls_server};
};

TEST_F(TlsTransportTest, ATrustedServerIsSpokenToOverOneConnection) {
    server.plays = {{{answer("1"), answer("2")}}};
    EXPECT_EQ(send(get())->value().body, "1");
    EXPECT_EQ(send(post())->value().body, "2");
    EXPECT_EQ(server.connections, 1);
}

TEST_F(TlsTransportTest, AnIdleConnectionThatThePeerClosedIsNotUsedAgain) {
    server.plays = {{{answer("1")}, Then::close}, {{answer("2")}}};
    EXPECT_EQ(send(post())->value().body, "1");
    wait([&] { return server.ended == 1; });
    EXPECT_EQ(send(post())->value().body, "2");
}

TEST_F(TlsTransportTest, AnAnswerCutWithoutACloseNotifyIsBroken) {
    server.plays = {{{"HTTP/1.1 200 OK\r\n\r\nuntil the end, but not really"}, Then::close}};
    EXPECT_TRUE(send(get())->failure().in_doubt());
}

TEST_F(TlsTransportTest, ACancelledRequestClosesItsConnection) {
    server.plays = {{{}}, {{answer("2")}}};
    const auto sent = start(get());
    wait([&] { return server.requests.size() == 1; });
    sent->cancel.emit(asio::cancellation_type::terminal);
    wait([&] { return sent->done && server.ended == 1; });
    EXPECT_TRUE(sent->is_cancelled());
    EXPECT_EQ(send(get())->value().body, "2");
}

TEST_F(TlsTransportTest, AnUntrustedServerIsRefused) {
    options.ca_file.reset();
    const auto failure = send(get())->failure();
    EXPECT_NE(std::string_view{failure.what()}.find("certificate"), std::string_view::npos) << failure.what();
    EXPECT_FALSE(failure.in_doubt());
    EXPECT_TRUE(server.requests.empty());
}

TEST_F(TlsTransportTest, AServerOfAnotherNameIsRefused) {
    options.base_url = "https://127.0.0.1:" + server.port();
    const auto failure = send(get())->failure();
    EXPECT_NE(std::string_view{failure.what()}.find("certificate"), std::string_view::npos) << failure.what();
    EXPECT_TRUE(server.requests.empty());
}

TEST_F(TlsTransportTest, TrustedCertificatesThatCannotBeReadAreAWrongConfiguration) {
    options.ca_file = directory() + "/nothing.pem";
    EXPECT_THROW(transport(), std::invalid_argument);
}

}  // namespace
}  // namespace leadsync::instantly
