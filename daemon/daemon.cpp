#include "daemon/daemon.hpp"

#include <csignal>
#include <systemd/sd-daemon.h>
#include <thread>

#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>

#include "connectors/postgres/migrator.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/persistence.hpp"
#include "daemon/tasks.hpp"
#include "migrations/migrations.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t database_threads = 3;
constexpr sync::Backoff database_backoff{500ms, 10s};
constexpr auto grace = 5s;  // for what is in hand at SIGTERM; the rest of ten seconds is for unwinding

std::vector<std::string> names_of(const Config& config) {
    std::vector<std::string> names;
    for (const auto& workspace : config.workspaces) names.push_back(workspace.name);
    return names;
}

}  // namespace

ConfiguredDatabase::ConfiguredDatabase(const Config& config) {
    if (config.database.url) {
        url_ = config.database.url->reveal();
    } else {
        cluster_.emplace(config.data_dir);
        url_ = cluster_->url();
    }
}

std::optional<std::string> ConfiguredDatabase::psql_command() const {
    return cluster_ ? std::optional{cluster_->psql_command()} : std::nullopt;
}

void prepare_schema(const std::string& url, const std::vector<std::string>& workspaces) {
    for (const auto& migration : postgres::Migrator{url, postgres::embedded_migrations()}.migrate())
        spdlog::info("schema: migration {} applied", migration.name);
    postgres::Database database{url, 1};
    database.run_blocking([&](pqxx::work& transaction) { postgres::Workspaces::declare(transaction, workspaces); });
}

DrivenWorkspace::DrivenWorkspace(const asio::any_io_executor& executor, postgres::Database& database, Clock& clock,
                                 const WorkspaceConfig& config, const SyncOptions& options)
    : transport_{executor, transport_options(config)},
      store_{database, config.name},
      sync_{{transport_, store_, clock, random_dice()}, config, options} {}

void DrivenWorkspace::take_over() {
    store_.run_blocking([](store::Transaction& transaction) { transaction.queue.release_all(); });
}

void DrivenWorkspace::leave() {
    store_.run_blocking([this](store::Transaction& transaction) {
        transaction.queue.release_all();
        transaction.queue.wake();  // nobody is there to be rung
        if (const auto spent = sync_.spent()) transaction.progress.record_spent(*spent);
    });
}

Daemon::Daemon(const Config& config, SyncOptions options)
    : options_{options},
      configured_{config},
      database_{configured_.url(), database_threads},
      names_{names_of(config)},
      listener_{io_.get_executor(), configured_.url(), names_} {
    for (const auto& workspace : config.workspaces)
        workspaces_.push_back(
            std::make_unique<DrivenWorkspace>(io_.get_executor(), database_, clock_, workspace, options_));
}

void Daemon::start() {
    prepare_schema(configured_.url(), names_);
    listener_.connect();
    for (const auto& workspace : workspaces_) workspace->take_over();
}

/// A machine may start us before its PostgreSQL, or restart that one while we start.
void Daemon::start_once_database_is_up() {
    auto dice = random_dice();
    for (int attempt = 1;; ++attempt) {
        try {
            start();
            return;
        } catch (const pqxx::failure& error) {
            if (!postgres::is_away(error)) throw;
            const auto wait = sync::backoff_delay(database_backoff, attempt, dice());
            spdlog::warn("{}; trying again in {} ms", postgres::one_line(error), wait.count());
            std::this_thread::sleep_for(wait);
        }
    }
}

void Daemon::return_what_is_left() {
    try {
        for (const auto& workspace : workspaces_) workspace->leave();
    } catch (const pqxx::failure& error) {
        spdlog::warn("leases stay until they expire or the next start: {}", postgres::one_line(error));
    }
}

void Daemon::run() {
    start_once_database_is_up();
    spdlog::info("leadsync drives {} workspace(s)", workspaces_.size());
    sd_notify(0, "READY=1");
    std::exception_ptr failed;
    asio::co_spawn(io_, serve(), [&](std::exception_ptr error) { failed = std::move(error); });
    io_.run();
    sd_notify(0, "STOPPING=1");
    if (failed) std::rethrow_exception(failed);
    return_what_is_left();
    spdlog::info("stopped");
}

asio::awaitable<void> Daemon::serve() {
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(stop_signal());
    tasks.push_back(listen());
    for (const auto& workspace : workspaces_) tasks.push_back(workspace->sync().run());
    co_await until_first_ends(std::move(tasks));
}

asio::awaitable<void> Daemon::stop_signal() {
    asio::signal_set signals{co_await asio::this_coro::executor, SIGTERM, SIGINT};
    co_await signals.async_wait(asio::use_awaitable);
    spdlog::info("stopping: finishing what is in hand; once more to hurry");
    for (const auto& workspace : workspaces_) workspace->sync().stop();
    auto hurry = [&]() -> asio::awaitable<void> { co_await signals.async_wait(asio::use_awaitable); };
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(finish_what_is_in_hand());
    tasks.push_back(hurry());
    co_await until_first_ends(std::move(tasks));
}

asio::awaitable<void> Daemon::finish_what_is_in_hand() {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    const auto busy = [](const auto& workspace) { return !workspace->sync().idle(); };
    while (std::ranges::any_of(workspaces_, busy) && std::chrono::steady_clock::now() < deadline)
        co_await clock_.sleep_for(20ms);
}

asio::awaitable<void> Daemon::listen() {
    auto dice = random_dice();
    for (int attempt = 1;; ++attempt) {
        try {
            co_await listener_.run([&] {
                attempt = 1;
                for (const auto& workspace : workspaces_) workspace->sync().wake();
            });
        } catch (const pqxx::failure& error) {
            spdlog::warn("listening for local edits: {}", postgres::one_line(error));
        }
        co_await clock_.sleep_for(sync::backoff_delay(database_backoff, attempt, dice()));
        try {
            listener_.connect();
        } catch (const pqxx::failure& error) {
            spdlog::warn("listening for local edits: {}", postgres::one_line(error));
        }
    }
}

bool Daemon::backfill(const std::vector<std::string>& names, bool drain) {
    start();
    BackfillProgress progress;
    bool finished = false;
    auto sweep_all = [&]() -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> sweeps;
        for (const auto& workspace : workspaces_) {
            auto* sync = &workspace->sync();
            if (!names.empty() && std::ranges::count(names, sync->name()) == 0) continue;
            sweeps.push_back(sync->backfill(drain, [&progress, sync](const SweepProgress& at) {
                progress.update(sync->name(), at, sync->lead_count());
            }));
        }
        co_await all(std::move(sweeps));
        finished = true;
    };
    auto interrupted = [&]() -> asio::awaitable<void> {
        asio::signal_set signals{co_await asio::this_coro::executor, SIGTERM, SIGINT};
        co_await signals.async_wait(asio::use_awaitable);
    };
    auto either = [&]() -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(sweep_all());
        tasks.push_back(interrupted());
        co_await until_first_ends(std::move(tasks));
    };
    std::exception_ptr failed;
    asio::co_spawn(io_, either(), [&](std::exception_ptr error) { failed = std::move(error); });
    io_.run();
    progress.finish();
    if (failed) std::rethrow_exception(failed);
    return_what_is_left();
    return finished;
}

}  // namespace leadsync::daemon
