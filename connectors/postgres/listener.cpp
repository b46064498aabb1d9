#include "connectors/postgres/listener.hpp"

#include <algorithm>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace leadsync::postgres {

namespace {

void take_lock(pqxx::nontransaction& session, const std::string& workspace) {
    try {
        session.exec_params("SELECT pg_advisory_lock(hashtextextended('leadsync workspace ' || $1, 0))", workspace);
    } catch (const pqxx::sql_error& error) {
        if (error.sqlstate() != "55P03") throw;  // lock_not_available
        throw WorkspaceTaken{"workspace " + workspace
                             + " is driven by another leadsync on this database; stop that one first"};
    }
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

void Listener::connect() {
    connection_.reset();
    auto connection = std::make_unique<pqxx::connection>(url_);
    pqxx::nontransaction session{*connection};
    // The server may take a moment to see that an earlier process is gone, and its locks with it.
    session.exec("SET application_name = 'leadsync listener'; SET lock_timeout = '3s'");
    for (const auto& workspace : workspaces_) take_lock(session, workspace);
    connection_ = std::move(connection);
}

void Listener::take(const std::string& workspace) {
    if (std::ranges::count(workspaces_, workspace) > 0) return;
    if (connection_) {
        pqxx::nontransaction session{*connection_};
        take_lock(session, workspace);
    }
    workspaces_.push_back(workspace);
}

void Listener::release(const std::string& workspace) {
    std::erase(workspaces_, workspace);
    if (!connection_) return;
    pqxx::nontransaction session{*connection_};
    session.exec_params("SELECT pg_advisory_unlock(hashtextextended('leadsync workspace ' || $1, 0))", workspace);
}

boost::asio::awaitable<void> Listener::run(std::function<void()> wake) {
    if (!connection_) throw pqxx::broken_connection{"not connected to PostgreSQL"};
    const Receiver receiver{*connection_, wake};
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
