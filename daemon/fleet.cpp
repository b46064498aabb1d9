#include "daemon/fleet.hpp"

#include <algorithm>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <spdlog/spdlog.h>

#include "connectors/postgres/workspaces.hpp"

namespace leadsync::daemon {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

namespace {

bool is_cancellation(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& failed) {
        return failed.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

}  // namespace

DrivenWorkspace::DrivenWorkspace(const asio::any_io_executor& executor, Connections& database, Clock& clock,
                                 const WorkspaceConfig& config, const SyncOptions& options)
    : transport_{executor, transport_options(config)},
      store_{database.pushing, config.name},
      reading_store_{database.reading, config.name},
      sync_{{transport_, store_, reading_store_, clock, random_dice()}, config, options} {}

void DrivenWorkspace::take_over() {
    Claims left;
    store_.run_blocking([&](store::Transaction& transaction) { left = transaction.queue.release_all(); });
    sync_.return_later(std::move(left));
}

asio::awaitable<void> DrivenWorkspace::take_over_beside() {
    auto left = co_await store_.run([](store::Transaction& transaction) { return transaction.queue.release_all(); });
    sync_.return_later(std::move(left));
}

void DrivenWorkspace::leave() {
    store_.run_blocking([this](store::Transaction& transaction) { give_back(transaction); });
}

asio::awaitable<void> DrivenWorkspace::leave_beside() {
    co_await store_.run([this](store::Transaction& transaction) { give_back(transaction); });
}

void DrivenWorkspace::give_back(store::Transaction& transaction) const {
    transaction.queue.release_all();
    transaction.queue.wake();  // nobody is there to be rung
    if (const auto spent = sync_.spent()) transaction.progress.record_spent(*spent);
}

struct Fleet::Driven {
    Driven(const asio::any_io_executor& executor, Connections& database, Clock& clock,
           const WorkspaceConfig& its_config, const SyncOptions& options)
        : config{its_config}, workspace{executor, database, clock, its_config, options} {}

    void cancel() {
        is_cancelled = true;
        signal.emit(asio::cancellation_type::terminal);
    }

    /// What its task failed by, given what it ended by. An operation may also be aborted though nobody asked for it:
    /// taken for our own word, that would leave a workspace dead without anybody being told.
    [[nodiscard]] std::exception_ptr failure(const std::exception_ptr& error) const {
        if (!error || !is_cancellation(error)) return error;
        if (is_cancelled) return nullptr;
        return std::make_exception_ptr(
            std::runtime_error{"workspace " + config.name + " ended though nobody ended it"});
    }

    WorkspaceConfig config;
    DrivenWorkspace workspace;
    asio::cancellation_signal signal;
    bool is_cancelled = false;
    bool runs = false;
};

Fleet::Fleet(asio::io_context& io, Connections& database, postgres::Listener& listener, Clock& clock,
             SyncOptions options)
    : io_{io}, database_{database}, listener_{listener}, clock_{clock}, options_{options} {}

Fleet::~Fleet() = default;

void Fleet::add(const WorkspaceConfig& config) {
    driven_.emplace_back(io_.get_executor(), database_, clock_, config, options_);
}

void Fleet::take_over() {
    for (auto& driven : driven_) driven.workspace.take_over();
}

std::vector<WorkspaceSync*> Fleet::syncs() {
    std::vector<WorkspaceSync*> all;
    for (auto& driven : driven_) all.push_back(&driven.workspace.sync());
    return all;
}

Fleet::Place Fleet::find(const std::string& name) {
    return std::ranges::find(driven_, name, [](const Driven& driven) { return driven.config.name; });
}

void Fleet::start() {
    for (auto& driven : driven_) start(driven);
}

void Fleet::start(Driven& driven) {
    driven.runs = true;
    asio::co_spawn(
        io_, driven.workspace.sync().run(),
        asio::bind_cancellation_slot(driven.signal.slot(), [this, &driven](const std::exception_ptr& error) {
            driven.runs = false;
            if (!failed_) failed_ = driven.failure(error);
            ended_.set();
        }));
}

asio::awaitable<void> Fleet::until_one_fails() {
    while (!failed_) co_await ended_.wait_for(clock_, 1h);
    std::rethrow_exception(failed_);
}

void Fleet::wake() {
    for (auto& driven : driven_) driven.workspace.sync().wake();
}

void Fleet::locks_lost() {
    for (auto& driven : driven_) driven.workspace.sync().locks_lost();
}

/// All of them, or the one of that name. They may go meanwhile.
asio::awaitable<void> Fleet::wait_until_idle(std::optional<std::string> name, milliseconds grace) {
    const auto deadline = clock_.now() + grace;
    const auto is_busy = [&](Driven& one) {
        return (!name || one.config.name == *name) && one.runs && !one.workspace.sync().idle();
    };
    while (std::ranges::any_of(driven_, is_busy) && clock_.now() < deadline) co_await clock_.sleep_for(20ms);
}

asio::awaitable<void> Fleet::finish(milliseconds grace) {
    finishing_ = true;
    for (auto& driven : driven_) driven.workspace.sync().stop();
    std::optional<std::string> any;
    co_await wait_until_idle(std::move(any), grace);
}

asio::awaitable<void> Fleet::cancel() {
    for (auto& driven : driven_) driven.cancel();
    while (std::ranges::any_of(driven_, &Driven::runs)) co_await clock_.sleep_for(5ms);
}

void Fleet::leave() {
    for (auto& driven : driven_) driven.workspace.leave();
}

asio::awaitable<Fleet::Changes> Fleet::become(const std::vector<WorkspaceConfig>& wanted, milliseconds grace) {
    Changes changes;
    for (const auto& driven : driven_)
        if (std::ranges::find(wanted, driven.config.name, &WorkspaceConfig::name) == wanted.end())
            changes.removed.push_back(driven.config.name);
    std::vector<WorkspaceConfig> others;
    for (const auto& config : wanted) {
        const auto driven = find(config.name);
        if (driven != driven_.end() && driven->config == config) continue;
        (driven == driven_.end() ? changes.added : changes.changed).push_back(config.name);
        others.push_back(config);
    }

    auto drop = [&](const std::string& name) { return retire(name, grace); };
    co_await for_each_of(changes.removed, changes.removed.size(), drop);
    auto renew = [&](const WorkspaceConfig& config) { return replace(config, grace); };
    co_await for_each_of(others, others.size(), renew);
    for (const auto& config : others)
        if (find(config.name) == driven_.end()) changes.not_driven.push_back(config.name);
    co_return changes;
}

asio::awaitable<void> Fleet::replace(const WorkspaceConfig& config, milliseconds grace) {
    if (find(config.name) != driven_.end()) co_await retire(config.name, grace);
    if (!finishing_) co_await launch(config);
}

asio::awaitable<void> Fleet::retire(const std::string& name, milliseconds grace) {
    const auto driven = find(name);
    driven->workspace.sync().stop();
    std::optional<std::string> only{name};
    co_await wait_until_idle(std::move(only), grace);
    driven->cancel();
    while (driven->runs) co_await clock_.sleep_for(5ms);
    try {
        co_await driven->workspace.leave_beside();
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: its leases stay until they expire: {}", name, error.what());
    }
    let_go(name);
    driven_.erase(driven);
    spdlog::info("workspace {}: no longer driven as it was", name);
}

void Fleet::let_go(const std::string& name) {
    try {
        listener_.release(name);
    } catch (const pqxx::failure& error) {
        spdlog::warn("workspace {}: its lock stays until the next connect: {}", name, postgres::one_line(error));
    }
}

/// As soon as PostgreSQL can be reached. One that cannot be driven is no reason to end the others.
asio::awaitable<void> Fleet::launch(const WorkspaceConfig& config) {
    auto dice = random_dice();
    for (int attempt = 1;; ++attempt) {
        try {
            co_await try_to_launch(config);
            co_return;
        } catch (const postgres::WorkspaceTaken& taken) {
            spdlog::error("{}, then reload once more", taken.what());
            co_return;
        } catch (const std::invalid_argument& error) {
            spdlog::error("workspace {}: {}; mend that, then reload once more", config.name, error.what());
            co_return;
        } catch (const pqxx::failure& error) {
            spdlog::warn("workspace {}: {}; trying again", config.name, postgres::one_line(error));
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: {}; trying again", config.name, error.what());
        }
        co_await clock_.sleep_for(sync::backoff_delay(database_backoff, attempt, dice()));
    }
}

/// What fails leaves nothing behind, or a reconnect would insist on the lock of a workspace that nobody drives.
asio::awaitable<void> Fleet::try_to_launch(const WorkspaceConfig& config) {
    co_await listener_.take(config.name);
    try {
        co_await database_.pushing.run(
            [&](pqxx::work& transaction) { postgres::Workspaces::declare(transaction, {config.name}); });
        add(config);
        auto& launched = driven_.back();
        co_await launched.workspace.take_over_beside();
        if (finishing_) co_return;
        start(launched);
    } catch (...) {
        if (const auto launched = find(config.name); launched != driven_.end()) driven_.erase(launched);
        let_go(config.name);
        throw;
    }
    spdlog::info("workspace {}: driven from now on", config.name);
}

}  // namespace leadsync::daemon
