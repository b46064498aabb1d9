#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "connectors/instantly/transport.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/embedded_cluster.hpp"
#include "connectors/postgres/listener.hpp"
#include "connectors/postgres/store.hpp"
#include "daemon/config.hpp"
#include "daemon/workspace_sync.hpp"

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

/// A workspace's connections to both sides, and the sync between them.
class DrivenWorkspace {
public:
    DrivenWorkspace(const boost::asio::any_io_executor& executor, postgres::Database& database, Clock& clock,
                    const WorkspaceConfig& config, const SyncOptions& options);

    [[nodiscard]] WorkspaceSync& sync() { return sync_; }

    /// This process drives the workspace from here on, alone: leases of an earlier one are void. Throws
    /// pqxx::failure.
    void take_over();
    /// In order, with nothing under way any more: gives back what is left, and tells what was spent of the budget.
    /// Throws pqxx::failure.
    void leave();

private:
    instantly::HttpTransport transport_;
    postgres::Store store_;
    WorkspaceSync sync_;
};

/// The whole program: members are built top to bottom and torn down bottom to top.
class Daemon {
public:
    explicit Daemon(const Config& config, SyncOptions options = {});

    /// Drives every workspace of the config, once PostgreSQL can be reached. Returns after SIGTERM or SIGINT, with
    /// every task unwound and what was in hand finished or returned; a second signal hurries it.
    void run();

    /// One complete sweep of the named workspaces (none: all), then, with `drain`, until nothing is pending. False
    /// when a signal stopped it: the next one goes on from there.
    bool backfill(const std::vector<std::string>& names, bool drain);

    [[nodiscard]] const std::string& database_url() const { return configured_.url(); }

private:
    boost::asio::awaitable<void> serve();
    boost::asio::awaitable<void> listen();
    boost::asio::awaitable<void> stop_signal();
    boost::asio::awaitable<void> finish_what_is_in_hand();
    void start();
    void start_once_database_is_up();
    void return_what_is_left();

    SyncOptions options_;
    ConfiguredDatabase configured_;
    postgres::Database database_;
    boost::asio::io_context io_{1};  // one I/O thread: what it owns needs no lock
    SystemClock clock_;
    std::vector<std::unique_ptr<DrivenWorkspace>> workspaces_;
    std::vector<std::string> names_;
    postgres::Listener listener_;
};

}  // namespace leadsync::daemon
