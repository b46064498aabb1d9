#include "connectors/postgres/listener.hpp"

#include <algorithm>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/postgres/connection.hpp"

namespace leadsync::postgres {

using namespace std::chrono_literals;

namespace {

/// The server may take a moment to see that an earlier process is gone, and its locks with it.
constexpr auto takeover_patience = 3s;
/// From one look whether a lost lock is free to the next.
constexpr auto relock_pause = 250ms;

WorkspaceTaken taken(const std::string& workspace) {
    return WorkspaceTaken{"workspace " + workspace
                          + " is driven by another leadsync on this database; stop that one first"};
}

WorkspaceTaken taken_meanwhile(const std::string& workspace) {
    return WorkspaceTaken{"workspace " + workspace
                          + " is driven by another leadsync on this database: it has taken the lock that this one "
                            "lost when its connection broke; let only one of them run"};
}

void take_lock(pqxx::nontransaction& session, const std::string& workspace) {
    try {
        session.exec_params("SELECT pg_advisory_lock(hashtextextended('leadsync workspace ' || $1, 0))", workspace);
    } catch (const pqxx::sql_error& error) {
        if (error.sqlstate() != "55P03") throw;  // lock_not_available
        throw taken(workspace);
    }
}

bool takes_lock(pqxx::connection& connection, const std::string& workspace) {
    pqxx::nontransaction session{connection};
    const auto row = session.exec_params1(
        "SELECT pg_try_advisory_lock(hashtextextended('leadsync workspace ' || $1, 0))", workspace);
    return row[0].as<bool>();
}

std::unique_ptr<pqxx::connection> open(const std::string& url) {
    auto connection = open_connection(url);
    pqxx::nontransaction session{*connection};
    session.exec("SET application_name = 'leadsync listener'");
    session.exec("SET lock_timeout = " + std::to_string(std::chrono::milliseconds{takeover_patience}.count()));
    return connection;
}

std::unique_ptr<pqxx::connection> open_with_locks(const std::string& url,
                                                  const std::vector<std::string>& workspaces) {
    auto connection = open(url);
    pqxx::nontransaction session{*connection};
    for (const auto& workspace : workspaces) take_lock(session, workspace);
    return connection;
}

/// A session on its way to having all locks.
struct Candidate {
    std::unique_ptr<pqxx::connection> connection;
    std::chrono::steady_clock::time_point since;
    std::vector<std::string> locked;

    [[nodiscard]] bool has(const std::string& workspace) const { return std::ranges::count(locked, workspace) > 0; }
};

/// A server that has crashed may have forgotten which tokens it had drawn last, for a claim does not wait for the
/// disk: what is in hand by one of them is not to be taken for what is claimed from now on. More than can be drawn
/// meanwhile.
void pass_over_tokens(pqxx::connection& connection) {
    pqxx::nontransaction session{connection};
    session.exec("SELECT max(nextval('sync.lease_tokens')) FROM generate_series(1, 100000)");
}

/// One look at what is not locked yet, on a session that is opened where there is none.
boost::asio::awaitable<Candidate> take_what_is_free(std::string url, std::vector<std::string> workspaces,
                                                    Candidate earlier) {
    auto candidate = std::move(earlier);
    if (!candidate.connection) {
        candidate.connection = open(url);
        candidate.since = std::chrono::steady_clock::now();
    }
    for (const auto& workspace : workspaces)
        if (!candidate.has(workspace) && takes_lock(*candidate.connection, workspace))
            candidate.locked.push_back(workspace);
    if (candidate.locked.size() == workspaces.size()) pass_over_tokens(*candidate.connection);
    co_return candidate;
}

}  // namespace

class Listener::Receiver : public pqxx::notification_receiver {
public:
    Receiver(pqxx::connection_base& connection, const std::function<void()>& wake)
        : notification_receiver{connection, "leadsync"}, wake_{wake} {}

    void operator()(const std::string& /*payload*/, int /*backend*/) override { wake_(); }

private:
    const std::function<void()>& wake_;
};

Listener::Listener(boost::asio::any_io_executor executor, std::string url, std::vector<std::string> workspaces,
                   std::chrono::milliseconds patience)
    : executor_{std::move(executor)}, url_{std::move(url)}, workspaces_{std::move(workspaces)}, patience_{patience} {}

Listener::~Listener() = default;

pqxx::connection& Listener::connected() {
    if (!connection_) throw pqxx::broken_connection{"not connected to PostgreSQL"};
    return *connection_;
}

void Listener::disconnect() {
    fence_.lower();
    connection_.reset();
}

void Listener::connect() {
    disconnect();
    connection_ = open_with_locks(url_, workspaces_);
    fence_.raise(*connection_);
}

boost::asio::awaitable<void> Listener::reconnect(boost::asio::any_io_executor blocking) {
    disconnect();
    Candidate candidate;
    boost::asio::steady_timer timer{executor_};
    for (;;) {
        const auto wanted = workspaces_;
        auto taking = take_what_is_free(url_, wanted, std::move(candidate));
        candidate = co_await boost::asio::co_spawn(
            blocking, std::move(taking),
            boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot{}, boost::asio::use_awaitable));
        if (wanted != workspaces_) {  // one was let go of meanwhile
            candidate = Candidate{};
            continue;
        }
        const auto missing = std::ranges::find_if_not(wanted, [&](const auto& name) { return candidate.has(name); });
        if (missing == wanted.end()) break;
        if (std::chrono::steady_clock::now() - candidate.since >= patience_) throw taken_meanwhile(*missing);
        timer.expires_after(relock_pause);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
    fence_.raise(*candidate.connection);
    connection_ = std::move(candidate.connection);
}

boost::asio::awaitable<void> Listener::take(std::string workspace) {
    if (std::ranges::count(workspaces_, workspace) > 0) co_return;
    const auto deadline = std::chrono::steady_clock::now() + takeover_patience;
    boost::asio::steady_timer timer{executor_};
    while (!takes_lock(connected(), workspace)) {
        if (std::chrono::steady_clock::now() >= deadline) throw taken(workspace);
        timer.expires_after(100ms);
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
    workspaces_.push_back(std::move(workspace));
}

void Listener::release(const std::string& workspace) {
    std::erase(workspaces_, workspace);
    if (!connection_) return;
    pqxx::nontransaction session{*connection_};
    session.exec_params("SELECT pg_advisory_unlock(hashtextextended('leadsync workspace ' || $1, 0))", workspace);
}

boost::asio::awaitable<void> Listener::run(std::function<void()> wake) {
    try {
        const Receiver receiver{connected(), wake};
        connection_->get_notifs();
        // Asio closes the descriptor it is given; libpq keeps its own, unless the connection broke meanwhile.
        const int handle = ::dup(connection_->sock());
        if (handle < 0) throw pqxx::broken_connection{"the listening connection to PostgreSQL is gone"};
        boost::asio::posix::stream_descriptor socket{executor_, handle};
        wake();  // what was edited before LISTEN took effect
        for (;;) {
            co_await socket.async_wait(boost::asio::posix::stream_descriptor::wait_read, boost::asio::use_awaitable);
            connection_->get_notifs();
            if (!connection_->is_open())
                throw pqxx::broken_connection{"the listening connection to PostgreSQL is gone"};
        }
    } catch (const pqxx::failure&) {
        fence_.lower();  // the locks went with the session
        throw;
    }
}

}  // namespace leadsync::postgres
