#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <pqxx/pqxx>

#include "connectors/postgres/fence.hpp"

namespace leadsync::postgres {

/// How long a lock may be held for a session of ours that is gone: when the network was cut, the server finds that
/// out by the keepalives and the timeout that open_connection() asks for, after 30 to 35 s.
inline constexpr std::chrono::milliseconds relock_patience{45'000};

/// Another process drives a workspace that this one was to drive.
class WorkspaceTaken : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The daemon's standing connection: hears local edits (NOTIFY leadsync), and holds the advisory lock of every
/// workspace this process drives, so that two processes on one database never drive the same one.
class Listener {
public:
    /// `patience`: of reconnect().
    Listener(boost::asio::any_io_executor executor, std::string url, std::vector<std::string> workspaces,
             std::chrono::milliseconds patience = relock_patience);
    ~Listener();

    /// One more workspace: its lock is taken now. Throws like connect(), also while there is no connection to take it
    /// on, and blocks nobody while another process has not let go of it yet.
    boost::asio::awaitable<void> take(std::string workspace);
    /// One less: another process may drive it.
    void release(const std::string& workspace);

    /// Connects, takes the locks, raises the fence. Blocking and short. Throws WorkspaceTaken when another process
    /// holds one.
    void connect();

    /// The same for a connection that broke, on a thread of `blocking`: a server that is out of reach is waited for.
    /// A lock may be held for our own session still: it is taken for another process' when it was not to be had for
    /// as long as the patience lasts. Can be cancelled, also meanwhile.
    boost::asio::awaitable<void> reconnect(boost::asio::any_io_executor blocking);

    /// Stands where the locks are, of this connection and those after it, and is down in between.
    [[nodiscard]] const Fence& fence() const { return fence_; }

    /// Calls `wake` for every notification, until the connection breaks (pqxx::broken_connection), and the fence is
    /// down then, or it is cancelled.
    boost::asio::awaitable<void> run(std::function<void()> wake);

private:
    class Receiver;

    /// Throws pqxx::broken_connection while there is none.
    pqxx::connection& connected();
    /// The locks are lost, if they were had.
    void disconnect();

    boost::asio::any_io_executor executor_;
    std::string url_;
    std::vector<std::string> workspaces_;
    std::chrono::milliseconds patience_;
    std::unique_ptr<pqxx::connection> connection_;
    Fence fence_;
};

}  // namespace leadsync::postgres
