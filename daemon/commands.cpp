#include "daemon/commands.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/postgres/connection.hpp"
#include "connectors/postgres/migrator.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/daemon.hpp"
#include "daemon/freshness_watch.hpp"
#include "daemon/status.hpp"
#include "daemon/version.hpp"
#include "migrations/migrations.hpp"

namespace leadsync::daemon {
namespace {

using postgres::MigrationState;

std::string_view name_of(MigrationState state) {
    switch (state) {
        case MigrationState::pending:
            return "pending";
        case MigrationState::applied:
            return "applied";
        case MigrationState::changed:
            return "changed since it was applied";
        case MigrationState::unknown:
            return "unknown to this program: the database is newer";
    }
    return "pending";
}

/// The lines of `check`.
class Report {
public:
    void ok(const std::string& line) { fmt::print("ok    {}\n", line); }
    void bad(const std::string& line) {
        fmt::print("FAIL  {}\n", line);
        failed_ = true;
    }
    [[nodiscard]] bool failed() const { return failed_; }

private:
    bool failed_ = false;
};

/// `active_leads`: as the daemon has counted them; 0 where it never ran.
boost::asio::awaitable<void> check_workspace(const WorkspaceConfig& config, std::int64_t active_leads,
                                             Report& report) {
    const auto executor = co_await boost::asio::this_coro::executor;
    SystemClock clock;
    Pace pace{clock, limits_of(config.rate), nullptr};
    instantly::HttpTransport transport{executor, transport_options(config)};
    instantly::Client client{transport, config.api_key.reveal(), pace.lane(sync::Lane::fresh)};
    try {
        const auto workspace = co_await client.current_workspace();
        report.ok(fmt::format("workspace {}: the key belongs to \"{}\"", config.name, workspace.name));
        instantly::LeadQuery query{.limit = 1};
        const auto page = co_await client.list_leads(query);
        report.ok(fmt::format("workspace {}: leads can be read", config.name));
        const auto campaigns = co_await client.list_campaigns();
        const auto lists = co_await client.list_lead_lists();
        const auto labels = co_await client.list_lead_labels();
        report.ok(fmt::format("workspace {}: {} campaigns, {} lists, {} labels", config.name, campaigns.size(),
                              lists.size(), labels.size()));
        if (const auto count = co_await client.lead_count()) {
            const auto& bounds = config.freshness.bounds;
            const auto budget = sync::budget_of(limits_of(config.rate));
            const auto line =
                fmt::format("workspace {}: {}", config.name, told(bounds, active_leads, *count, budget));
            if (sync::demand_of(bounds, active_leads, *count).all() <= budget)
                report.ok(line);
            else
                report.bad(line + ": raise the bound that needs most, or rate.share");
        }
    } catch (const instantly::ApiError& error) {
        report.bad(fmt::format("workspace {}: {}{}", config.name, error.what(),
                               error.status() == 401   ? ": put a valid API key into api_key or api_key_file"
                               : error.status() == 403 ? ": the key needs the scopes leads:all, workspaces:read, "
                                                         "campaigns:read, lead_lists:read, lead-labels:read, "
                                                         "background-jobs:read, workspace_billing:read"
                                                       : ""));
    }
}

}  // namespace

Exit run(const Config& config) {
    Daemon daemon{config};
    daemon.run([file = config.file] { return load_config(file); });
    return Exit::done;
}

Exit backfill(const Config& config, const WorkspaceNames& workspaces, bool drain) {
    const auto names = chosen_workspaces(config, workspaces);
    Daemon daemon{config, {.patience = std::chrono::minutes{15}}};
    if (!daemon.backfill(names, drain)) {
        fmt::print(stderr, "interrupted; the next backfill goes on from here\n");
        return Exit::failed;
    }
    return anything_left(read_status(daemon.database_url(), names)) ? Exit::work_left : Exit::done;
}

Exit migrate(const Config& config, bool only_status, bool json) {
    const ConfiguredDatabase database{config};
    const postgres::Migrator migrator{database.url(), postgres::embedded_migrations()};
    if (!only_status) {
        const auto applied = migrator.migrate();
        for (const auto& migration : applied) fmt::print("applied {}\n", migration.name);
        if (applied.empty()) fmt::print("nothing to do: the schema is up to date\n");
        return Exit::done;
    }
    auto list = nlohmann::json::array();
    for (const auto& line : migrator.status()) {
        list.push_back({{"version", line.version},
                        {"name", line.name},
                        {"state", name_of(line.state)},
                        {"applied_at", line.applied_at ? nlohmann::json(*line.applied_at) : nlohmann::json()}});
        if (!json)
            fmt::print("{:04}  {:<30} {} {}\n", line.version, line.name, name_of(line.state),
                       line.applied_at.value_or(""));
    }
    if (json) fmt::print("{}\n", list.dump(2));
    return Exit::done;
}

Exit check(const Config& config) {
    Report report;
    report.ok(fmt::format("config {}: {} workspace(s)", config.file.string(), config.workspaces.size()));
    std::map<std::string, std::int64_t> active_leads;
    try {
        const ConfiguredDatabase database{config};
        postgres::open_connection(database.url());  // throws where it can't be reached
        if (const auto psql = database.psql_command())
            report.ok(fmt::format("database: embedded PostgreSQL under {}; while leadsync runs: {}",
                                  config.data_dir.string(), *psql));
        else
            report.ok("database: reachable");
        const auto states = postgres::Migrator{database.url(), postgres::embedded_migrations()}.status();
        const auto count = [&](MigrationState state) {
            return std::ranges::count(states, state, &postgres::MigrationStatus::state);
        };
        if (count(MigrationState::changed) + count(MigrationState::unknown) > 0)
            report.bad("schema: does not fit this program: leadsync migrate --status tells where");
        else if (count(MigrationState::pending) > 0)
            report.ok(fmt::format("schema: {} migration(s) pending; run, backfill and migrate apply them",
                                  count(MigrationState::pending)));
        else {
            report.ok("schema: up to date");
            for (const auto& status : read_status(database.url(), chosen_workspaces(config, {})))
                active_leads[status.name] = status.active_leads;
        }
    } catch (const std::exception& error) {
        std::string line = error.what();
        std::ranges::replace(line, '\n', ' ');
        report.bad("database: " + line);
    }
    boost::asio::io_context io{1};
    auto workspaces = [&]() -> boost::asio::awaitable<void> {
        for (const auto& workspace : config.workspaces)
            co_await check_workspace(workspace, active_leads[workspace.name], report);
    };
    boost::asio::co_spawn(io, workspaces(), [](const std::exception_ptr& error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
    return report.failed() ? Exit::failed : Exit::done;
}

}  // namespace leadsync::daemon
