#include "daemon/commands.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/postgres/migrator.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/daemon.hpp"
#include "daemon/version.hpp"
#include "migrations/migrations.hpp"

namespace leadsync::daemon {
namespace {

using postgres::MigrationState;
using postgres::WorkspaceStatus;

std::vector<WorkspaceStatus> read_status(const std::string& url, const Config& config) {
    std::vector<std::string> names;
    for (const auto& workspace : config.workspaces) names.push_back(workspace.name);
    postgres::Database database{url, 1};
    try {
        return database.run_blocking(
            [&](pqxx::work& transaction) { return postgres::Workspaces::status(transaction, names); });
    } catch (const pqxx::undefined_table&) {
        throw std::runtime_error{
            "the schema is not there yet: leadsync migrate makes it, and so do run and backfill"};
    }
}

bool any_errors(const std::vector<WorkspaceStatus>& all) {
    return std::ranges::any_of(all, [](const auto& workspace) { return workspace.errors > 0; });
}

nlohmann::json to_json(const WorkspaceStatus& status) {
    const auto or_null = [](const auto& value) { return value ? nlohmann::json(*value) : nlohmann::json(); };
    return {{"workspace", status.name},
            {"state", status.state},
            {"reason", status.reason.empty() ? nlohmann::json() : nlohmann::json(status.reason)},
            {"leads", status.leads},
            {"fresh_seconds_ago", or_null(status.fresh_seconds_ago)},
            {"pending", status.pending},
            {"oldest_pending_seconds", or_null(status.oldest_pending_seconds)},
            {"errors", status.errors},
            {"conflicts_last_day", status.conflicts},
            {"requests_last_minute", status.requests_last_minute},
            {"sweep_pages", or_null(status.sweep_pages)},
            {"sweep_leads", or_null(status.sweep_leads)},
            {"reported_seconds_ago", status.reported_seconds_ago}};
}

void print(const WorkspaceStatus& status, const RateConfig& rate) {
    fmt::print("{}\n", status.name);
    fmt::print("  state      {}{}\n", status.state, status.reason.empty() ? "" : ": " + status.reason);
    fmt::print("  leads      {}\n", grouped(status.leads));
    if (status.fresh_seconds_ago)
        fmt::print("  freshness  every lead read within the last {}\n", spoken(*status.fresh_seconds_ago));
    else
        fmt::print("  freshness  no complete sweep yet\n");
    if (status.sweep_pages)
        fmt::print("  sweep      under way, {} leads in {} pages\n", grouped(status.sweep_leads.value_or(0)),
                   grouped(*status.sweep_pages));
    fmt::print("  queue      {} pending{}\n", grouped(status.pending),
               status.oldest_pending_seconds ? ", the oldest for " + spoken(*status.oldest_pending_seconds) : "");
    fmt::print("  errors     {}{}\n", grouped(status.errors),
               status.errors > 0 ? ": SELECT email, sync_error FROM crm.leads WHERE sync_status = 'error'" : "");
    fmt::print("  conflicts  {} in the last day{}\n", grouped(status.conflicts),
               status.conflicts > 0 ? ": SELECT * FROM crm.conflicts ORDER BY created_at DESC" : "");
    fmt::print("  requests   {} of {} in the last minute\n", grouped(status.requests_last_minute),
               grouped(static_cast<std::int64_t>(rate.per_minute * rate.share)));
}

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

boost::asio::awaitable<void> check_workspace(const WorkspaceConfig& config, Report& report) {
    const auto executor = co_await boost::asio::this_coro::executor;
    SystemClock clock;
    Pace pace{clock, {config.rate.per_second, config.rate.per_minute, config.rate.share}};
    instantly::HttpTransport transport{executor, transport_options(config)};
    instantly::Client client{transport, config.api_key.reveal(), [&pace] { return pace.turn(); }};
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
            const double per_second =
                std::min<double>(config.rate.per_second, config.rate.per_minute / 60.0) * config.rate.share;
            const auto sweep = static_cast<double>(*count) / 100.0 / per_second;
            const auto line = fmt::format(
                "workspace {}: {} leads, a sweep takes at least {} of a share of {:.0f} requests/s; freshness.rest "
                "is {}",
                config.name, grouped(*count), spoken(sweep), per_second,
                spoken(static_cast<double>(config.freshness.rest.count()) / 1000));
            if (sweep * 1000 <= static_cast<double>(config.freshness.rest.count()))
                report.ok(line);
            else
                report.bad(line + ": raise freshness.rest or rate.share");
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
    daemon.run();
    return Exit::done;
}

Exit backfill(const Config& config, const std::vector<std::string>& workspaces, bool drain) {
    for (const auto& name : workspaces)
        if (std::ranges::find(config.workspaces, name, &WorkspaceConfig::name) == config.workspaces.end())
            throw ConfigError{{config.file.string() + ": there is no workspace \"" + name + "\" in it"}};
    Daemon daemon{config, {.patience = std::chrono::minutes{15}}};
    if (!daemon.backfill(workspaces, drain)) {
        fmt::print(stderr, "interrupted; the next backfill goes on from here\n");
        return Exit::failed;
    }
    return any_errors(read_status(daemon.database_url(), config)) ? Exit::work_left : Exit::done;
}

Exit status(const Config& config, bool json) {
    const ConfiguredDatabase database{config};
    const auto all = read_status(database.url(), config);
    if (json) {
        auto list = nlohmann::json::array();
        for (const auto& workspace : all) list.push_back(to_json(workspace));
        fmt::print("{}\n", list.dump(2));
    } else {
        for (std::size_t i = 0; i < all.size(); ++i) print(all[i], config.workspaces[i].rate);
    }
    return any_errors(all) ? Exit::work_left : Exit::done;
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
    try {
        const ConfiguredDatabase database{config};
        report.ok(config.database.url ? "database: reachable"
                                      : "database: embedded PostgreSQL under " + config.data_dir.string());
        const auto states = postgres::Migrator{database.url(), postgres::embedded_migrations()}.status();
        const auto count = [&](MigrationState state) {
            return std::ranges::count(states, state, &postgres::MigrationStatus::state);
        };
        if (count(MigrationState::changed) + count(MigrationState::unknown) > 0)
            report.bad("schema: does not fit this program: leadsync migrate --status tells where");
        else if (count(MigrationState::pending) > 0)
            report.ok(fmt::format("schema: {} migration(s) pending; run, backfill and migrate apply them",
                                  count(MigrationState::pending)));
        else
            report.ok("schema: up to date");
    } catch (const std::exception& error) {
        std::string line = error.what();
        std::ranges::replace(line, '\n', ' ');
        report.bad("database: " + line);
    }
    boost::asio::io_context io{1};
    auto workspaces = [&]() -> boost::asio::awaitable<void> {
        for (const auto& workspace : config.workspaces) co_await check_workspace(workspace, report);
    };
    boost::asio::co_spawn(io, workspaces(), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
    return report.failed() ? Exit::failed : Exit::done;
}

}  // namespace leadsync::daemon
