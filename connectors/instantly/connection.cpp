#include "connectors/instantly/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/gzip.hpp"
#include "connectors/instantly/retry_after.hpp"

namespace leadsync::instantly {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr std::uint32_t header_limit = 64U << 10U;
constexpr std::size_t read_size = 64U << 10U;
constexpr std::size_t expected_max = 1U << 20U;
constexpr std::size_t unparsed_limit = 2 * read_size;  // a chunk header, say, that never ends

/// A lookup whose waiter may leave: getaddrinfo itself cannot be interrupted. All wait in line for one thread.
struct Lookup {
    explicit Lookup(const asio::any_io_executor& executor) : resolver{executor}, done{executor} {}

    asio::ip::tcp::resolver resolver;
    asio::steady_timer done;
    std::optional<boost::system::error_code> error;
    asio::ip::tcp::resolver::results_type results;
};

std::string head(const Request& request, const TransportOptions& options, const Origin& origin) {
    std::string text;
    text.reserve(512 + request.target.size() + request.body.size());
    text.append(http::to_string(request.method)).append(" ").append(origin.path).append(request.target);
    text.append(" HTTP/1.1\r\nHost: ").append(origin.authority);
    text.append("\r\nUser-Agent: ").append(options.user_agent);
    text.append("\r\nAccept: application/json\r\nAccept-Encoding: gzip");
    if (!request.authorization.empty()) text.append("\r\nAuthorization: ").append(request.authorization);
    if (!request.body.empty()) text.append("\r\nContent-Type: application/json");
    if (!request.body.empty() || request.method == http::verb::post || request.method == http::verb::patch)
        text.append("\r\nContent-Length: ").append(std::to_string(request.body.size()));
    return text.append("\r\n\r\n");
}

std::chrono::sys_seconds server_time(std::string_view date) {
    return parse_http_date(date).value_or(std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

/// What a connection says that the peer had closed while it was idle.
bool is_closed(const boost::system::error_code& error) {
    return error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe
           || error == asio::ssl::error::stream_truncated;
}

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Connection::Connection(const asio::any_io_executor& executor, const TransportOptions& options, const Origin& origin,
                       asio::ssl::context* tls)
    : options_{options}, origin_{origin}, context_{tls}, tcp_{executor} {}

void Connection::expire(milliseconds timeout, Deadline deadline) {
    tcp_.expires_at(std::min<Deadline>(steady_clock::now() + timeout, deadline));
}

void Connection::fail(std::string_view step, std::string_view reason) const {
    const auto message = std::string{step}.append(": ").append(reason);
    throw ApiError{sync::Failure{sync::FailureKind::transient, message, std::nullopt, false}, 0, wrote_};
}

void Connection::fail(std::string_view step, const error_code& error) const {
    if (error == asio::error::operation_aborted) throw boost::system::system_error{error};  // cancelled: no failure
    if (error == beast::error::timeout) fail(step, "timed out");
    if (error == http::error::body_limit) {
        const auto limit = std::to_string(options_.body_limit);
        const auto message = std::string{step} + ": the answer is larger than " + limit + " bytes";
        throw AnswerTooLarge{sync::Failure{sync::FailureKind::transient, message, std::nullopt, false}, 0, true};
    }
    fail(step, error.message());
}

asio::awaitable<Connection::Endpoints> Connection::resolve(std::string_view step, Deadline deadline) {
    auto lookup = std::make_shared<Lookup>(tcp_.get_executor());
    lookup->done.expires_at(deadline);
    lookup->resolver.async_resolve(origin_.host, origin_.port,
                                   [lookup](const error_code& error, asio::ip::tcp::resolver::results_type results) {
                                       lookup->error = error;
                                       lookup->results = std::move(results);
                                       lookup->done.cancel();
                                   });
    error_code ended;
    co_await lookup->done.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    if (!lookup->error) {
        lookup->resolver.cancel();  // those behind it in the line do not wait for one that nobody needs any more
        fail(step, ended ? ended : error_code{beast::error::timeout});
    }
    if (*lookup->error) fail(step, "looking up " + origin_.host + ": " + lookup->error->message());
    Endpoints endpoints;
    for (const auto& entry : lookup->results) endpoints.push_back(entry.endpoint());
    co_return endpoints;
}

asio::awaitable<void> Connection::shake_hands(std::string_view step, Deadline deadline) {
    tls_.emplace(tcp_, *context_);
    auto* ssl = tls_->native_handle();
    error_code no_address;
    asio::ip::make_address(origin_.host, no_address);
    if (no_address) {  // SNI is for names; what SSL_set_tlsext_host_name expands to, less its old-style cast
        std::string name = origin_.host;
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    }
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification{origin_.host});

    error_code error;
    tcp_.expires_at(deadline);
    co_await tls_->async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
    if (!error) co_return;
    if (error == asio::error::operation_aborted || error == beast::error::timeout) fail(step, error);
    std::string reason = "TLS handshake with " + origin_.host + ": " + error.message();
    if (const auto verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK)
        reason.append(", ").append(X509_verify_cert_error_string(verdict));
    fail(step, reason);
}

asio::awaitable<void> Connection::open(std::string step, Deadline deadline) {
    deadline = std::min<Deadline>(deadline, steady_clock::now() + options_.connect_timeout);
    const auto endpoints = co_await resolve(step, deadline);
    error_code error = asio::error::host_not_found;
    auto left = static_cast<int>(endpoints.size());
    for (const auto& endpoint : endpoints) {
        // A fair part of the time for each address, so that one that swallows packets does not use it all up.
        tcp_.expires_after((deadline - steady_clock::now()) / left--);
        co_await tcp_.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
        if (!error) break;
        if (error == asio::error::operation_aborted) fail(step, error);
        error_code ignored;
        tcp_.socket().close(ignored);
    }
    if (error) fail(step, "connecting to " + origin_.authority + ": " + error.message());
    error_code ignored;
    tcp_.socket().set_option(asio::ip::tcp::no_delay{true}, ignored);
    if (context_ != nullptr) co_await shake_hands(step, deadline);
    tcp_.expires_never();
}

asio::awaitable<std::size_t> Connection::read_some(asio::mutable_buffer buffer, error_code& error) {
    auto token = asio::redirect_error(asio::use_awaitable, error);
    return tls_ ? tls_->async_read_some(buffer, token) : tcp_.async_read_some(buffer, token);
}

asio::awaitable<std::size_t> Connection::write_some(asio::const_buffer buffer, error_code& error) {
    auto token = asio::redirect_error(asio::use_awaitable, error);
    return tls_ ? tls_->async_write_some(buffer, token) : tcp_.async_write_some(buffer, token);
}

asio::awaitable<void> Connection::write(std::string text, std::string_view step, Deadline deadline) {
    for (asio::const_buffer rest = asio::buffer(text); rest.size() > 0;) {
        error_code error;
        expire(options_.read_timeout, deadline);
        const auto written = co_await write_some(rest, error);
        wrote_ = wrote_ || written > 0 || tls_;  // behind TLS a failed write does not tell how much has left
        stale_ = is_closed(error);
        if (error) fail(step, error);
        rest += written;
    }
}

/// Reads until the parser has a whole message; a message that the peer cut is a failure.
asio::awaitable<void> Connection::read(Parser& parser, std::string_view step, Deadline deadline) {
    parser.eager(true);
    parser.header_limit(header_limit);
    parser.body_limit(options_.body_limit);
    error_code parsed;
    while (!parser.is_done()) {
        if (parsed == http::error::need_more || received_.size() == 0) {
            error_code error;
            expire(options_.read_timeout, deadline);
            const auto came = co_await read_some(received_.prepare(read_size), error);
            received_.commit(came);
            if (came == 0 && !answered_) stale_ = is_closed(error);
            answered_ = answered_ || came > 0;
            if (error == asio::error::eof && parser.got_some()) parser.put_eof(error);
            if (error) fail(step, error);
            if (came == 0) continue;
        }
        received_.consume(parser.put(received_.data(), parsed));
        if (parsed && parsed != http::error::need_more) fail(step, parsed);
        if (received_.size() > unparsed_limit) fail(step, "broken answer");
    }
}

asio::awaitable<Reply> Connection::exchange(const Request& request, std::string step, Deadline deadline) {
    reusable_ = stale_ = wrote_ = answered_ = false;
    std::string text = head(request, options_, origin_) + request.body;
    co_await write(std::move(text), step, deadline);

    std::optional<Parser> parser;
    do {
        parser.emplace();
        if (request.reads_only) parser->get().body().reserve(expected_);
        co_await read(*parser, step, deadline);
    } while (parser->get().result_int() / 100 == 1);  // 100 Continue and the like announce the answer
    tcp_.expires_never();

    auto& answer = parser->get();
    Reply reply;
    reply.status = static_cast<int>(answer.result_int());
    reply.date = text_of(answer[http::field::date]);
    if (const auto wait = answer[http::field::retry_after]; !wait.empty())
        reply.retry_after = parse_retry_after(text_of(wait), server_time(reply.date));
    // One page is as large as the next: with some room it is neither moved while it grows nor when it is read in
    // place.
    if (request.reads_only) expected_ = std::min(answer.body().size() / 8 * 9, expected_max);
    reply.body = unpack(text_of(answer[http::field::content_encoding]), std::move(answer.body()), step);
    reusable_ = answer.keep_alive() && !parser->need_eof() && received_.size() == 0;
    co_return reply;
}

std::string Connection::unpack(const std::string& encoding, std::string body, std::string_view step) const {
    if (body.empty() || encoding.empty() || beast::iequals(encoding, "identity")) return body;
    if (!beast::iequals(encoding, "gzip")) fail(step, "answer in an encoding that was not asked for: " + encoding);
    auto inflated = gunzip(body, options_.body_limit);
    if (inflated.error == InflateError::too_large) fail(step, error_code{http::error::body_limit});
    if (inflated.error) fail(step, "broken gzip in the answer");
    return std::move(inflated.text);  // with its capacity: a page is read in place where there is some left
}

bool Connection::quiet() {
    char byte = 0;
    const auto count = ::recv(tcp_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace leadsync::instantly
