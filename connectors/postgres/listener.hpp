#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <pqxx/pqxx>

#include "connectors/postgres/fence.hpp"

namespace leadsync::postgres {

/// Another process drives a workspace that this one was to drive.
class WorkspaceTaken : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The daemon's standing connection: hears local edits (NOTIFY leadsync), and holds the advisory lock of every
/// workspace this process drives, so that two processes on one database never drive the same one.
class Listener {
public:
    Listener(boost::asio::any_io_executor executor, std::string url, std::vector<std::string> workspaces);
    ~Listener();

    /// One more workspace: its lock is taken now. Throws like connect(), also while there is no connection to take it
    /// on, and blocks nobody while another process has not let go of it yet.
    boost::asio::awaitable<void> take(std::string workspace);
    /// One less: another process may drive it.
    void release(const std::string& workspace);

    /// Connects, takes the locks, listens. Blocking and short. Throws WorkspaceTaken when another process holds one.
    void connect();

    /// The same for a connection that broke, on a thread of `blocking`: a server that is out of reach is waited for.
    boost::asio::awaitable<void> reconnect(boost::asio::any_io_executor blocking);

    /// Shows where the locks are, of this connection and those after it.
    [[nodiscard]] const Fence& fence() const { return fence_; }

    /// Calls `wake` for every notification, until the connection breaks (pqxx::broken_connection) or it is cancelled.
    boost::asio::awaitable<void> run(std::function<void()> wake);

private:
    class Receiver;

    /// Throws pqxx::broken_connection while there is none.
    pqxx::connection& connected();

    boost::asio::any_io_executor executor_;
    std::string url_;
    std::vector<std::string> workspaces_;
    std::unique_ptr<pqxx::connection> connection_;
    Fence fence_;
};

}  // namespace leadsync::postgres
