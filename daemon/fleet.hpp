#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include "connectors/instantly/transport.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/listener.hpp"
#include "connectors/postgres/store.hpp"
#include "daemon/config.hpp"
#include "daemon/tasks.hpp"
#include "daemon/workspace_sync.hpp"

namespace leadsync::daemon {

/// Between two tries to reach a PostgreSQL that is away.
inline constexpr sync::Backoff database_backoff{std::chrono::milliseconds{500}, std::chrono::seconds{10}};

/// Connections to the one database. A page of leads takes tens of milliseconds to write and dozens may wait for their
/// turn: neither an edit nor the budget of a request is to wait behind them.
struct Connections {
    /// See Database.
    explicit Connections(const std::string& url) : pushing{url, 3}, reading{url, 3} {}

    postgres::Database pushing;
    postgres::Database reading;
};

/// A workspace's connections to both sides, and the sync between them.
class DrivenWorkspace {
public:
    DrivenWorkspace(const boost::asio::any_io_executor& executor, Connections& database, Clock& clock,
                    const WorkspaceConfig& config, const SyncOptions& options);

    [[nodiscard]] WorkspaceSync& sync() { return sync_; }

    /// This process drives the workspace from here on, alone: leases of an earlier one are void. Blocking: before the
    /// event loop. Throws pqxx::failure.
    void take_over();
    /// In order, with nothing under way any more: gives back what is left, and tells what was spent of the budget.
    /// Blocking: behind the event loop. Throws pqxx::failure.
    void leave();

    /// The same beside what goes on. They throw store::StoreError.
    boost::asio::awaitable<void> take_over_beside();
    boost::asio::awaitable<void> leave_beside();

private:
    void give_back(store::Transaction& transaction) const;

    instantly::HttpTransport transport_;
    postgres::Store store_;
    postgres::Store reading_store_;
    WorkspaceSync sync_;
};

/// The workspaces that this process drives, each with a task of its own: they come, change and go while the others go
/// on. Lives on one thread.
class Fleet {
public:
    /// Names of workspaces: what a new config has made of them, and which of those it could not be begun with.
    struct Changes {
        std::vector<std::string> added, removed, changed, not_driven;
    };

    Fleet(boost::asio::io_context& io, Connections& database, postgres::Listener& listener, Clock& clock,
          SyncOptions options);
    ~Fleet();
    Fleet(const Fleet&) = delete;
    Fleet& operator=(const Fleet&) = delete;

    /// One that is not running yet.
    void add(const WorkspaceConfig& config);
    /// All of them. Throws pqxx::failure.
    void take_over();
    [[nodiscard]] std::vector<WorkspaceSync*> syncs();

    /// Runs all of them.
    void start();
    /// Throws what one of them ended by.
    boost::asio::awaitable<void> until_one_fails();
    /// A local edit was committed.
    void wake();
    /// Other processes may drive the workspaces until the locks are taken again.
    void locks_lost();
    /// They claim nothing more; returns once what is in hand is finished, or `grace` is over.
    boost::asio::awaitable<void> finish(std::chrono::milliseconds grace);
    /// Cancels what still runs; returns once all of it has unwound.
    boost::asio::awaitable<void> cancel();
    /// Gives back what is left, with nothing under way any more.
    void leave();

    /// Adds, removes and changes workspaces until they are those of a new config, side by side: none waits for
    /// another, but that those that go are gone first, for another name may stand for the same workspace now. One
    /// that changes finishes what it has in hand first, and begins anew with what is durable.
    boost::asio::awaitable<Changes> become(const std::vector<WorkspaceConfig>& wanted,
                                           std::chrono::milliseconds grace);

private:
    struct Driven;

    using Place = std::list<Driven>::iterator;

    Place find(const std::string& name);
    void start(Driven& driven);
    boost::asio::awaitable<void> replace(const WorkspaceConfig& config, std::chrono::milliseconds grace);
    boost::asio::awaitable<void> retire(const std::string& name, std::chrono::milliseconds grace);
    boost::asio::awaitable<void> launch(const WorkspaceConfig& config);
    boost::asio::awaitable<void> try_to_launch(const WorkspaceConfig& config);
    void let_go(const std::string& name);
    boost::asio::awaitable<void> wait_until_idle(std::optional<std::string> name, std::chrono::milliseconds grace);

    boost::asio::io_context& io_;
    Connections& database_;
    postgres::Listener& listener_;
    Clock& clock_;
    SyncOptions options_;
    std::list<Driven> driven_;
    std::exception_ptr failed_;
    Signal ended_;            ///< a task did
    bool finishing_ = false;  ///< a reload under way begins nothing more
};

}  // namespace leadsync::daemon
