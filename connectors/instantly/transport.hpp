#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/verb.hpp>

namespace leadsync::instantly {

/// Leave to send one request, given by the rate limiter. One that is let go of without departing is not spent.
class Turn {
public:
    Turn() = default;
    virtual ~Turn() = default;
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    /// Its request is written now. False: the wait for a connection was too long, and the leave is void and given
    /// back.
    [[nodiscard]] virtual bool departs() = 0;
};

/// Waits until one more request may leave. Passed before every sending, a second try of the same request included.
using Gate = std::function<boost::asio::awaitable<std::unique_ptr<Turn>>()>;

struct Request {
    boost::beast::http::verb method = boost::beast::http::verb::get;
    std::string target;         ///< path and query
    std::string body;           ///< JSON; with an empty body no Content-Type is sent (INSTANTLY.md, Transport)
    std::string authorization;  ///< never logged
    bool reads_only = false;    ///< changes nothing, though it may be a POST: it may be sent twice
    /// Of a write: its leads, each by what tells it from others, its id mostly. A refusal may be about them alone.
    std::vector<std::string> leads{};
};

struct Reply {
    int status = 0;
    std::string body;
    std::optional<std::chrono::milliseconds> retry_after;
    std::string date;  ///< the server's clock, as sent
    /// Of a 403 that is about the request's leads, or its kind of call, alone: how often they have been refused so.
    int refusals = 0;
};

struct TransportOptions {
    std::string base_url = "https://api.instantly.ai";
    std::string user_agent;
    std::chrono::milliseconds connect_timeout{10'000};
    std::chrono::milliseconds read_timeout{60'000};    ///< without a byte arriving
    std::chrono::milliseconds total_timeout{120'000};  ///< for the whole request
    std::chrono::milliseconds idle_timeout{30'000};    ///< an idle connection older than this is not used again
    std::size_t body_limit = 64U << 20U;
    std::size_t connections_max = 64;
    std::optional<std::string> ca_file;  ///< trusted instead of the system's certificates
};

/// How requests reach Instantly.
class Transport {
public:
    virtual ~Transport() = default;

    /// Sends one request, when `gate` (empty: nobody) lets it, and reads its whole answer, whatever its status.
    /// Throws ApiError when there is none.
    virtual boost::asio::awaitable<Reply> send(Request request, Gate gate) = 0;
};

/// Keep-alive HTTP/1.1 connections to one origin. TLS 1.2 or newer with verification and SNI; plain HTTP only to
/// loopback (the constructor throws std::invalid_argument otherwise). Lives on one thread.
class HttpTransport final : public Transport {
public:
    HttpTransport(boost::asio::any_io_executor executor, TransportOptions options);
    ~HttpTransport() override;
    HttpTransport(const HttpTransport&) = delete;
    HttpTransport& operator=(const HttpTransport&) = delete;

    /// Throws ApiError when there is no answer: could not connect, time-out (waiting at the gate counts for none),
    /// connection lost, cut answer, AnswerTooLarge. A request that failed on a kept-alive connection, closed by the
    /// peer before a byte of the answer came, passes the gate and is sent once more on a fresh one only when it is a
    /// GET or `reads_only`, or nothing of it had been written.
    boost::asio::awaitable<Reply> send(Request request, Gate gate) override;

private:
    struct Pool;
    static boost::asio::awaitable<void> take_place(std::shared_ptr<Pool> pool, const std::string& step,
                                                   std::chrono::steady_clock::time_point deadline);

    std::shared_ptr<Pool> pool_;
};

}  // namespace leadsync::instantly
