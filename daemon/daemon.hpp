#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "connectors/postgres/database.hpp"
#include "connectors/postgres/embedded_cluster.hpp"
#include "connectors/postgres/listener.hpp"
#include "daemon/config.hpp"
#include "daemon/fleet.hpp"

namespace leadsync::daemon {

/// The database of a config: the one it names, or the embedded cluster, with the schema brought up to date.
class ConfiguredDatabase {
public:
    explicit ConfiguredDatabase(const Config& config);

    [[nodiscard]] const std::string& url() const { return url_; }
    /// A line that opens the database in psql; nothing when the config names a database of its own.
    [[nodiscard]] std::optional<std::string> psql_command() const;

private:
    std::optional<postgres::EmbeddedCluster> cluster_;
    std::string url_;
};

/// Applies what is pending and makes the workspaces known.
void prepare_schema(const std::string& url, const std::vector<std::string>& workspaces);

/// Reads the config once more. Throws ConfigError.
using Reload = std::function<Config()>;

/// The whole program: members are built top to bottom and torn down bottom to top.
class Daemon {
public:
    /// `relock_patience`: see Listener::reconnect().
    explicit Daemon(const Config& config, SyncOptions options = {},
                    std::chrono::milliseconds relock_patience = postgres::relock_patience);

    /// Drives every workspace of the config, once PostgreSQL can be reached. Returns after SIGTERM or SIGINT, with
    /// every task unwound and what was in hand finished or returned; a second signal hurries it. On SIGHUP the config
    /// is read again: workspaces come, change and go, the others go on; one that is wrong changes nothing. Nothing is
    /// read, written or sent while the locks of the workspaces are lost; throws postgres::WorkspaceTaken when another
    /// process has one.
    void run(Reload reload);

    /// One complete sweep of the named workspaces (none: all), then, with `drain`, until nothing is pending. False
    /// when a signal stopped it: the next one goes on from there. One that fails ends none of the others: throws what
    /// WorkspaceFailures does once all are over. A lock that is lost is met as by run().
    bool backfill(const std::vector<std::string>& names, bool drain);

    [[nodiscard]] const std::string& database_url() const { return configured_.url(); }

private:
    /// Runs the event loop until `task` is over, which leaves no other behind. What it failed by.
    std::exception_ptr run_to_end(boost::asio::awaitable<void> task);
    boost::asio::awaitable<void> serve(Reload reload);
    boost::asio::awaitable<void> listen();
    boost::asio::awaitable<void> stop_signal();
    boost::asio::awaitable<void> reload_on_hangup(Reload reload);
    void warn_of_what_takes_a_restart(const Config& config) const;
    void start();
    void start_once_database_is_up();
    void return_what_is_left();

    // One I/O thread: what it owns needs no lock. It goes last: it may have to wait for a look-up, and no database is
    // to wait with it.
    boost::asio::io_context io_{1};
    // Until all of this is gone, the embedded cluster included: a signal that comes when nobody waits for one any
    // more is not to kill what gives back and records what is left.
    std::optional<boost::asio::signal_set> stops_;
    std::optional<boost::asio::signal_set> hangups_;
    Config config_;
    std::optional<std::chrono::seconds> patience_;
    ConfiguredDatabase configured_;
    SystemClock clock_;
    postgres::Listener listener_;  ///< Its fence is what the connections stay behind.
    Connections database_;
    Fleet fleet_;
};

}  // namespace leadsync::daemon
