#include "tests/sandbox/session.hpp"

#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "tests/sandbox/gzip.hpp"

namespace leadsync::sandbox {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using Ending = Delivery::Ending;
using Message = http::request<http::string_body>;

constexpr auto no_throw = asio::as_tuple(asio::use_awaitable);
constexpr std::uint64_t body_max = 64 * 1024 * 1024;

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

Request request_of(const Message& message) {
    Request request;
    request.method = view(message.method_string());
    request.target = view(message.target());
    request.path = request.target.substr(0, request.target.find('?'));
    request.authorization = view(message[http::field::authorization]);
    request.user_agent = view(message[http::field::user_agent]);
    request.content_type = view(message[http::field::content_type]);
    request.accept_encoding = view(message[http::field::accept_encoding]);
    request.body = message.body();
    return request;
}

std::string head_of(const Reply& reply, bool keep_alive, bool zipped) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + ' ';
    head.append(reason(reply.status)).append("\r\ncontent-type: ").append(reply.content_type);
    head.append("\r\ncontent-length: ").append(std::to_string(reply.body.size()));
    head.append(keep_alive ? "\r\nconnection: keep-alive" : "\r\nconnection: close");
    if (reply.unix_ms > 0) head.append("\r\ndate: ").append(to_http_date(reply.unix_ms));
    if (reply.retry_after_s >= 0) head.append("\r\nretry-after: ").append(std::to_string(reply.retry_after_s));
    if (zipped) head.append("\r\ncontent-encoding: gzip");
    return head.append("\r\n\r\n");
}

asio::awaitable<void> pause(milliseconds time) {
    if (time.count() <= 0) co_return;
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    co_await timer.async_wait(no_throw);
}

template <class Stream>
class Connection {
public:
    Connection(Stream& stream, Gate& gate, Control& control) : stream_{stream}, gate_{gate}, control_{control} {}

    asio::awaitable<void> serve() {
        bool open = true;
        while (open) {
            http::request_parser<http::string_body> parser;
            parser.body_limit(body_max);
            const auto [error, size] = co_await http::async_read(stream_, buffer_, parser, no_throw);
            if (error) co_return;
            const auto& message = parser.get();
            open = co_await answer(request_of(message), message.keep_alive());
        }
    }

private:
    asio::awaitable<bool> answer(const Request& request, bool keep_alive) {
        Reply reply;
        reply.body = std::move(body_);
        reply.body.clear();
        Delivery delivery;
        bool may_zip = false;
        if (Control::owns(request.path)) {
            control_.answer(request, Moment::now(), reply);
        } else {
            const auto admission = gate_.admit(request, Moment::now());
            // The work happens half-way: an answer is as old as its way back, a request may be overtaken on its way
            // in.
            const milliseconds inbound{admission.delay_ms / 2};
            co_await pause(inbound);
            delivery = gate_.answer(request, admission, Moment::now(), reply);
            may_zip = admission.workspace && admission.workspace->switches.gzip;
            co_await pause(milliseconds{admission.delay_ms} - inbound);
        }
        if (delivery.ending == Ending::reset) reset();
        if (delivery.ending == Ending::reset || delivery.ending == Ending::close) co_return false;
        const bool zips = may_zip && request.accept_encoding.find("gzip") != request.accept_encoding.npos;
        if (zips) reply.body = gzip(reply.body);
        const bool sent = co_await send(reply, delivery, keep_alive, zips);
        body_ = std::move(reply.body);
        co_return sent&& keep_alive&& delivery.ending == Ending::answer;
    }

    asio::awaitable<bool> send(const Reply& reply, const Delivery& delivery, bool keep_alive, bool zipped) {
        const auto head = head_of(reply, keep_alive, zipped);
        const auto bytes =
            delivery.ending == Ending::cut ? std::min(delivery.bytes, reply.body.size()) : reply.body.size();
        const std::array buffers{asio::buffer(head), asio::buffer(reply.body.data(), bytes)};
        const auto [error, size] = co_await asio::async_write(stream_, buffers, no_throw);
        co_return !error;
    }

    // Without lingering, close() sends RST, which is what a client sees of a crashed peer.
    void reset() {
        beast::error_code ignored;
        beast::get_lowest_layer(stream_).socket().set_option(asio::socket_base::linger{true, 0}, ignored);
        beast::get_lowest_layer(stream_).socket().close(ignored);
    }

    Stream& stream_;
    Gate& gate_;
    Control& control_;
    beast::flat_buffer buffer_;
    std::string body_;  // keeps its memory from one answer to the next: a page is a quarter of a megabyte
};

}  // namespace

asio::awaitable<void> serve_connection(asio::ip::tcp::socket socket, asio::ssl::context* tls, Gate& gate,
                                       Control& control) {
    beast::error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay{true}, ignored);
    if (!tls) {
        beast::tcp_stream stream{std::move(socket)};
        Connection connection{stream, gate, control};
        co_await connection.serve();
        co_return;
    }
    beast::ssl_stream<beast::tcp_stream> stream{std::move(socket), *tls};
    const auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::server, no_throw);
    if (error) co_return;
    Connection connection{stream, gate, control};
    co_await connection.serve();
    co_await stream.async_shutdown(no_throw);
}

}  // namespace leadsync::sandbox
