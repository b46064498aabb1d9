#include "daemon/daemon.hpp"

#include <csignal>
#include <functional>
#include <systemd/sd-daemon.h>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include "connectors/postgres/migrator.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/logging.hpp"
#include "daemon/persistence.hpp"
#include "daemon/tasks.hpp"
#include "daemon/workspace_drain.hpp"
#include "daemon/workspace_failures.hpp"
#include "migrations/migrations.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto stop_grace = 5s;  // for what is in hand at SIGTERM; the rest of ten seconds is for unwinding

constexpr auto locks_lost =
    "the locks of the workspaces are lost with the session that held them; nothing is read or sent until they are "
    "taken again";
constexpr auto locks_still_lost = "the locks of the workspaces can't be taken again yet";

std::vector<std::string> names_of(const Config& config) {
    std::vector<std::string> names;
    for (const auto& workspace : config.workspaces) names.push_back(workspace.name);
    return names;
}

/// `added second; changed acme`, or that nothing changed.
std::string told_of_reload(const Fleet::Changes& changes, bool log_changed) {
    std::vector<std::string> parts;
    const auto tell = [&](const char* what, const std::vector<std::string>& names) {
        if (!names.empty()) parts.push_back(fmt::format("{} {}", what, fmt::join(names, ", ")));
    };
    tell("added", changes.added);
    tell("removed", changes.removed);
    tell("changed", changes.changed);
    if (log_changed) parts.emplace_back("changed the log");
    tell("not driven:", changes.not_driven);
    return parts.empty() ? "nothing changed" : fmt::format("{}", fmt::join(parts, "; "));
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

Daemon::Daemon(const Config& config, SyncOptions options, std::chrono::milliseconds relock_patience)
    : config_{config},
      patience_{options.patience},
      configured_{config},
      listener_{io_.get_executor(), configured_.url(), names_of(config), relock_patience},
      database_{configured_.url()},
      fleet_{io_, database_, listener_, clock_, options} {
    database_.pushing.stay_behind(listener_.fence());
    database_.reading.stay_behind(listener_.fence());
    for (const auto& workspace : config.workspaces) fleet_.add(workspace);
}

void Daemon::start() {
    prepare_schema(configured_.url(), names_of(config_));
    listener_.connect();
    fleet_.take_over();
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
        fleet_.leave();
    } catch (const pqxx::failure& error) {
        spdlog::warn("leases stay until they expire or the next start: {}", postgres::one_line(error));
    }
}

void Daemon::run(Reload reload) {
    std::signal(SIGHUP, SIG_IGN);  // until there is something to reload
    start_once_database_is_up();
    stops_.emplace(io_, SIGTERM, SIGINT);
    hangups_.emplace(io_, SIGHUP);
    spdlog::info("leadsync drives {} workspace(s)", config_.workspaces.size());
    sd_notify(0, "READY=1");
    const auto failed = run_to_end(serve(std::move(reload)));
    sd_notify(0, "STOPPING=1");
    if (failed) std::rethrow_exception(failed);
    return_what_is_left();
    spdlog::info("stopped");
}

std::exception_ptr Daemon::run_to_end(asio::awaitable<void> task) {
    std::exception_ptr failed;
    asio::co_spawn(io_, std::move(task), [&](std::exception_ptr error) {
        failed = std::move(error);
        io_.stop();  // a look-up that nobody waits for may be under way still, and would keep the loop going
    });
    io_.run();
    return failed;
}

asio::awaitable<void> Daemon::serve(Reload reload) {
    fleet_.start();
    std::exception_ptr failed;
    try {
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(stop_signal());
        tasks.push_back(listen());
        tasks.push_back(reload_on_hangup(std::move(reload)));
        tasks.push_back(fleet_.until_one_fails());
        co_await until_first_ends(std::move(tasks));
    } catch (...) {
        failed = std::current_exception();
    }
    co_await fleet_.cancel();
    if (failed) std::rethrow_exception(failed);
}

asio::awaitable<void> Daemon::stop_signal() {
    co_await stops_->async_wait(asio::use_awaitable);
    spdlog::info("stopping: finishing what is in hand; once more to hurry");
    auto hurry = [&]() -> asio::awaitable<void> { co_await stops_->async_wait(asio::use_awaitable); };
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(fleet_.finish(stop_grace));
    tasks.push_back(hurry());
    co_await until_first_ends(std::move(tasks));
}

asio::awaitable<void> Daemon::reload_on_hangup(Reload reload) {
    for (;;) {
        co_await hangups_->async_wait(asio::use_awaitable);
        std::optional<Config> config;
        try {
            config = reload();
        } catch (const ConfigError& error) {
            for (const auto& line : error.lines()) spdlog::error("{}", line);
            spdlog::error("the config is wrong: nothing was changed");
        }
        if (!config) continue;
        warn_of_what_takes_a_restart(*config);
        set_up_logging(config->log);
        const bool log_changed = config->log != config_.log;
        config_.workspaces = config->workspaces;
        config_.log = config->log;
        const auto changes = co_await fleet_.become(config_.workspaces, stop_grace);
        spdlog::info("reloaded: {}", told_of_reload(changes, log_changed));
    }
}

void Daemon::warn_of_what_takes_a_restart(const Config& config) const {
    if (config.database != config_.database || config.data_dir != config_.data_dir)
        spdlog::warn("database.url and data_dir stay as they were until leadsync is restarted");
}

asio::awaitable<void> Daemon::listen() {
    auto dice = random_dice();
    const auto blocking = database_.pushing.executor();
    bool has_locks = true;
    int attempt = 0;  // since it last listened
    const std::function<void()> wake = [&] {
        attempt = 0;
        fleet_.wake();
    };
    for (;;) {
        try {
            if (!has_locks) {
                co_await listener_.reconnect(blocking);
                has_locks = true;
                spdlog::info("the locks of the workspaces are taken again");
            }
            co_await listener_.run(wake);
        } catch (const pqxx::failure& error) {
            const auto* what = std::exchange(has_locks, false) ? locks_lost : locks_still_lost;
            fleet_.locks_lost();
            spdlog::warn("{}: {}", what, postgres::one_line(error));
        }
        ++attempt;
        co_await clock_.sleep_for(sync::backoff_delay(database_backoff, attempt, dice()));
    }
}

bool Daemon::backfill(const std::vector<std::string>& names, bool drain) {
    start();
    stops_.emplace(io_, SIGTERM, SIGINT);
    BackfillProgress progress;
    WorkspaceFailures failures;
    bool finished = false;
    auto fill = [&](WorkspaceSync& sync) -> asio::awaitable<void> {
        TellProgress tell = [&](const SweepProgress& at) { progress.update(sync.name(), at, sync.lead_count()); };
        co_await sync.backfill(std::move(tell));
        if (drain) co_await drain_patiently(sync, database_.reading, clock_, patience_);
    };
    auto sweep_all = [&]() -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> sweeps;
        for (auto* sync : fleet_.syncs())
            if (names.empty() || std::ranges::count(names, sync->name()) > 0)
                sweeps.push_back(failures.watch(sync->name(), fill(*sync)));
        co_await all(std::move(sweeps));
        finished = true;
    };
    auto interrupted = [&]() -> asio::awaitable<void> { co_await stops_->async_wait(asio::use_awaitable); };
    auto either = [&]() -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(sweep_all());
        tasks.push_back(listen());
        tasks.push_back(interrupted());
        co_await until_first_ends(std::move(tasks));
    };
    const auto failed = run_to_end(either());
    progress.finish();
    if (failed) std::rethrow_exception(failed);
    return_what_is_left();
    if (finished) failures.throw_if_any();
    return finished;
}

}  // namespace leadsync::daemon
