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

WorkspaceTaken taken(const std::string& workspace) {
    return WorkspaceTaken{"workspace " + workspace
                          + " is driven by another leadsync on this database; stop that one first"};
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

std::unique_ptr<pqxx::connection> open(const std::string& url, const std::vector<std::string>& workspaces) {
    auto connection = open_connection(url);
    pqxx::nontransaction session{*connection};
    session.exec("SET application_name = 'leadsync listener'");
    session.exec("SET lock_timeout = " + std::to_string(std::chrono::milliseconds{takeover_patience}.count()));
    for (const auto& workspace : workspaces) take_lock(session, workspace);
    return connection;
}

boost::asio::awaitable<std::unique_ptr<pqxx::connection>> open_there(std::string url,
                                                                     std::vector<std::string> workspaces) {
    co_return open(url, workspaces);
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

Listener::Listener(boost::asio::any_io_executor executor, std::string url, std::vector<std::string> workspaces)
    : executor_{std::move(executor)}, url_{std::move(url)}, workspaces_{std::move(workspaces)} {}

Listener::~Listener() = default;

pqxx::connection& Listener::connected() {
    if (!connection_) throw pqxx::broken_connection{"not connected to PostgreSQL"};
    return *connection_;
}

void Listener::connect() {
    connection_.reset();
    connection_ = open(url_, workspaces_);
    fence_.raise(*connection_);
}

boost::asio::awaitable<void> Listener::reconnect(boost::asio::any_io_executor blocking) {
    connection_.reset();
    std::vector<std::string> locked;
    std::unique_ptr<pqxx::connection> connection;
    do {  // once more when workspaces have come or gone meanwhile
        connection.reset();
        locked = workspaces_;
        auto opening = open_there(url_, locked);
        try {
            connection = co_await boost::asio::co_spawn(
                blocking, std::move(opening),
                boost::asio::bind_cancellation_slot(boost::asio::cancellation_slot{}, boost::asio::use_awaitable));
        } catch (const WorkspaceTaken&) {
            if (locked == workspaces_) throw;  // else it may be one that was let go of meanwhile
        }
    } while (locked != workspaces_);
    fence_.raise(*connection);
    connection_ = std::move(connection);
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
        if (!connection_->is_open()) throw pqxx::broken_connection{"the listening connection to PostgreSQL is gone"};
    }
}

}  // namespace leadsync::postgres
