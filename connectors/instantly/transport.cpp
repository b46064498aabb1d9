#include "connectors/instantly/transport.hpp"

#include <algorithm>
#include <deque>
#include <list>
#include <memory>
#include <stdexcept>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/connection.hpp"

namespace leadsync::instantly {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using std::chrono::steady_clock;

namespace {

/// `POST /api/v2/leads/list`: how the message of a failure begins.
std::string step_of(const Request& request) {
    const std::string verb = http::to_string(request.method);
    return verb + " " + request.target.substr(0, request.target.find('?'));
}

/// Nothing that a header line or the request line could be broken with.
void check(const Request& request) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
    if (std::ranges::any_of(request.target, [&](char c) { return c == ' ' || is_control(c); }))
        throw std::invalid_argument{"a request target holds a space or a control character"};
    if (std::ranges::any_of(request.authorization, is_control))
        throw std::invalid_argument{"an authorization holds a control character"};
}

std::unique_ptr<asio::ssl::context> tls_context(const TransportOptions& options) {
    auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
    boost::system::error_code error;
    if (options.ca_file)
        context->load_verify_file(*options.ca_file, error);
    else
        context->set_default_verify_paths(error);
    if (error)
        throw std::invalid_argument{"trusted certificates " + options.ca_file.value_or("of the system") + ": "
                                    + error.message()};
    return context;
}

}  // namespace

struct HttpTransport::Pool {
    /// One who waits for a place; owned by its own coroutine.
    struct Waiter {
        asio::steady_timer timer;
        bool granted = false;
    };
    struct Idle {
        std::unique_ptr<Connection> connection;
        steady_clock::time_point since;
    };

    Pool(asio::any_io_executor its_executor, TransportOptions its_options)
        : executor{std::move(its_executor)}, options{std::move(its_options)}, origin{parse_origin(options.base_url)} {
        if (origin.tls) tls = tls_context(options);
        if (options.connections_max == 0) throw std::invalid_argument{"connections_max must be at least 1"};
    }

    std::unique_ptr<Connection> new_connection() {
        return std::make_unique<Connection>(executor, options, origin, tls.get());
    }

    /// The connection used last, which is the likeliest to be alive; null when there is none.
    std::unique_ptr<Connection> take_idle() {
        drop_expired();
        while (!idle.empty()) {
            auto connection = std::move(idle.back().connection);
            idle.pop_back();
            if (connection->quiet()) return connection;
        }
        return nullptr;
    }

    void put_idle(std::unique_ptr<Connection> connection) {
        idle.push_back({std::move(connection), steady_clock::now()});
        drop_expired();
    }

    void drop_expired() {
        const auto oldest = steady_clock::now() - options.idle_timeout;
        while (!idle.empty() && idle.front().since < oldest) idle.pop_front();
    }

    /// Gives a place back: to whoever has waited longest.
    void release() {
        if (waiters.empty()) {
            --in_use;
            return;
        }
        auto* next = waiters.front();
        waiters.pop_front();
        next->granted = true;
        next->timer.cancel();
    }

    asio::any_io_executor executor;
    TransportOptions options;
    Origin origin;
    std::unique_ptr<asio::ssl::context> tls;
    std::deque<Idle> idle;  ///< the longest idle first
    std::list<Waiter*> waiters;
    std::size_t in_use = 0;
};

namespace {

/// Runs `last` on the way out, whatever the way.
template <class Action>
struct Finally {
    explicit Finally(Action action) : last{std::move(action)} {}
    ~Finally() { last(); }
    Finally(const Finally&) = delete;
    Finally& operator=(const Finally&) = delete;
    Action last;
};

}  // namespace

HttpTransport::HttpTransport(asio::any_io_executor executor, TransportOptions options)
    : pool_{std::make_shared<Pool>(std::move(executor), std::move(options))} {}

HttpTransport::~HttpTransport() = default;

/// Takes one of the `connections_max` places, in the order of asking. A place granted to one who is cancelled at the
/// same moment is handed on.
asio::awaitable<void> HttpTransport::take_place(std::shared_ptr<Pool> pool, const std::string& step,
                                                Deadline deadline) {
    if (pool->in_use < pool->options.connections_max) {
        ++pool->in_use;
        co_return;
    }
    Pool::Waiter waiter{asio::steady_timer{pool->executor, deadline}};
    pool->waiters.push_back(&waiter);
    bool taken = false;
    const Finally leaving{[&] {
        if (waiter.granted && !taken) pool->release();
        if (!waiter.granted) pool->waiters.remove(&waiter);
    }};
    boost::system::error_code ended;
    co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error{asio::error::operation_aborted};
    if (!waiter.granted) {
        const auto message = step + ": timed out waiting for a free connection";
        throw ApiError{sync::Failure{sync::FailureKind::transient, message, std::nullopt, false}};
    }
    taken = true;
}

asio::awaitable<Reply> HttpTransport::send(Request request, Gate gate) {
    check(request);
    const auto pool = pool_;
    const auto step = step_of(request);
    // The turn first: whoever waits for one holds no connection.
    std::unique_ptr<Turn> turn;
    if (gate) turn = co_await gate();
    auto deadline = steady_clock::now() + pool->options.total_timeout;
    co_await take_place(pool, step, deadline);
    const Finally leaving{[&] { pool->release(); }};

    const bool may_repeat = request.reads_only || request.method == http::verb::get;
    auto connection = pool->take_idle();
    for (bool kept_alive = connection != nullptr;; kept_alive = false) {
        if (!kept_alive) {
            connection = pool->new_connection();
            co_await connection->open(step, deadline);
        }
        while (turn && !turn->departs()) {
            turn = co_await gate();
            deadline = steady_clock::now() + pool->options.total_timeout;
        }
        try {
            Reply reply = co_await connection->exchange(request, step, deadline);
            if (connection->reusable()) pool->put_idle(std::move(connection));
            co_return reply;
        } catch (const ApiError&) {
            const bool again = kept_alive && connection->was_stale() && (may_repeat || !connection->wrote());
            if (!again) throw;
        }
        if (gate) {
            turn = co_await gate();
            deadline = steady_clock::now() + pool->options.total_timeout;
        }
    }
}

}  // namespace leadsync::instantly
