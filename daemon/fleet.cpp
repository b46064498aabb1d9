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

    WorkspaceConfig config;
    DrivenWorkspace workspace;
    asio::cancellation_signal cancel;
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

void Fleet::start() {
    for (auto& driven : driven_) start(driven);
}

void Fleet::start(Driven& driven) {
    driven.runs = true;
    asio::co_spawn(
        io_, driven.workspace.sync().run(),
        asio::bind_cancellation_slot(driven.cancel.slot(), [this, &driven](const std::exception_ptr& error) {
            driven.runs = false;
            if (error && !is_cancellation(error) && !failed_) failed_ = error;
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

void Fleet::cancel() {
    for (auto& driven : driven_) driven.cancel.emit(asio::cancellation_type::terminal);
}

void Fleet::leave() {
    for (auto& driven : driven_) driven.workspace.leave();
}

asio::awaitable<void> Fleet::become(const std::vector<WorkspaceConfig>& wanted, milliseconds grace) {
    for (auto driven = driven_.begin(); driven != driven_.end();) {
        const auto next = std::next(driven);
        if (std::ranges::find(wanted, driven->config) == wanted.end()) co_await retire(driven, grace);
        driven = next;
    }
    for (const auto& config : wanted) {
        if (finishing_) co_return;
        if (std::ranges::find(driven_, config.name, [](const Driven& driven) { return driven.config.name; })
            == driven_.end())
            co_await launch(config);
    }
}

asio::awaitable<void> Fleet::retire(std::list<Driven>::iterator driven, milliseconds grace) {
    const auto name = driven->config.name;
    driven->workspace.sync().stop();
    std::optional<std::string> only{name};
    co_await wait_until_idle(std::move(only), grace);
    driven->cancel.emit(asio::cancellation_type::terminal);
    while (driven->runs) co_await clock_.sleep_for(5ms);
    try {
        co_await driven->workspace.leave_beside();
        listener_.release(name);
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: its leases stay until they expire: {}", name, error.what());
    } catch (const pqxx::failure& error) {
        spdlog::warn("workspace {}: its lock stays until the next connect: {}", name, postgres::one_line(error));
    }
    driven_.erase(driven);
    spdlog::info("workspace {}: no longer driven as it was", name);
}

/// As soon as PostgreSQL can be reached.
asio::awaitable<void> Fleet::launch(const WorkspaceConfig& config) {
    auto dice = random_dice();
    for (int attempt = 1;; ++attempt) {
        try {
            co_await listener_.take(config.name);
            co_await database_.pushing.run(
                [&](pqxx::work& transaction) { postgres::Workspaces::declare(transaction, {config.name}); });
            add(config);
            co_await driven_.back().workspace.take_over_beside();
            start(driven_.back());
            spdlog::info("workspace {}: driven from now on", config.name);
            co_return;
        } catch (const postgres::WorkspaceTaken& taken) {
            spdlog::error("{}, then reload once more", taken.what());
            co_return;
        } catch (const pqxx::failure& error) {
            spdlog::warn("workspace {}: {}; trying again", config.name, postgres::one_line(error));
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: {}; trying again", config.name, error.what());
        }
        if (!driven_.empty() && driven_.back().config.name == config.name) driven_.pop_back();
        co_await clock_.sleep_for(sync::backoff_delay(database_backoff, attempt, dice()));
    }
}

}  // namespace leadsync::daemon
