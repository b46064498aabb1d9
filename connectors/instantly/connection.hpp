#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "connectors/instantly/origin.hpp"
#include "connectors/instantly/transport.hpp"

namespace leadsync::instantly {

using Deadline = std::chrono::steady_clock::time_point;

/// One connection to the origin: opened once, then one exchange after the other. Both operations throw ApiError, and
/// system_error(operation_aborted) when they are cancelled; after either the connection is of no more use.
class Connection {
public:
    /// `options` and `origin` must outlive it; `tls` is null for plain HTTP.
    Connection(const boost::asio::any_io_executor& executor, const TransportOptions& options, const Origin& origin,
               boost::asio::ssl::context* tls);

    /// Resolves, connects and shakes hands; `step` begins the message of a failure.
    boost::asio::awaitable<void> open(std::string step, Deadline deadline);

    boost::asio::awaitable<Reply> exchange(const Request& request, std::string step, Deadline deadline);

    /// Whether another exchange may follow the last one.
    [[nodiscard]] bool reusable() const { return reusable_; }
    /// Whether an idle connection is still good: the peer has neither closed it nor sent anything.
    [[nodiscard]] bool quiet();
    /// Whether the last exchange failed because the peer had closed the connection, before a byte of its answer came.
    [[nodiscard]] bool was_stale() const { return stale_; }
    /// Whether a byte of the last request may have left: from then on a failure leaves it in doubt.
    [[nodiscard]] bool wrote() const { return wrote_; }

private:
    using error_code = boost::system::error_code;
    using Parser = boost::beast::http::response_parser<boost::beast::http::string_body>;
    using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

    boost::asio::awaitable<Endpoints> resolve(std::string_view step, Deadline deadline);
    boost::asio::awaitable<void> shake_hands(std::string_view step, Deadline deadline);
    boost::asio::awaitable<void> write(std::string text, std::string_view step, Deadline deadline);
    boost::asio::awaitable<void> read(Parser& parser, std::string_view step, Deadline deadline);
    boost::asio::awaitable<std::size_t> read_some(boost::asio::mutable_buffer buffer, error_code& error);
    boost::asio::awaitable<std::size_t> write_some(boost::asio::const_buffer buffer, error_code& error);

    [[nodiscard]] std::string unpack(const std::string& encoding, std::string body, std::string_view step) const;

    /// Lets the next operation end after `timeout` or at `deadline`, whichever is first.
    void expire(std::chrono::milliseconds timeout, Deadline deadline);
    [[noreturn]] void fail(std::string_view step, const error_code& error) const;
    [[noreturn]] void fail(std::string_view step, std::string_view reason) const;

    const TransportOptions& options_;
    const Origin& origin_;
    boost::asio::ssl::context* context_;
    boost::beast::tcp_stream tcp_;
    std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
    boost::beast::flat_buffer received_;
    std::size_t expected_ = 0;  ///< size of the next page
    bool reusable_ = false;
    bool stale_ = false;
    bool wrote_ = false;
    bool answered_ = false;
};

}  // namespace leadsync::instantly
