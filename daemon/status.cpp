#include "daemon/status.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "connectors/postgres/database.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {

using postgres::WorkspaceStatus;

namespace {

nlohmann::json to_json(const WorkspaceStatus& status) {
    return {{"workspace", status.name},
            {"state", status.state},
            {"reason", status.reason.empty() ? nlohmann::json() : nlohmann::json(status.reason)},
            {"leads", status.leads},
            {"fresh_seconds_ago", or_null(status.fresh_seconds_ago)},
            {"pending", status.pending},
            {"oldest_pending_seconds", or_null(status.oldest_pending_seconds)},
            {"errors", status.errors},
            {"dead_letters", status.dead_letters},
            {"conflicts_open", status.conflicts},
            {"held", status.held},
            {"requests_last_minute", status.requests_last_minute},
            {"sweep_pages", or_null(status.sweep_pages)},
            {"sweep_leads", or_null(status.sweep_leads)},
            {"reported_seconds_ago", status.reported_seconds_ago}};
}

/// A count, and what to do where it is not zero.
void print_count(const char* name, std::int64_t count, const char* what, const char* remedy) {
    fmt::print("  {:<10} {}{}{}\n", name, grouped(count), what, count > 0 ? remedy : "");
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
    print_count("given up", status.dead_letters, "", ", each until its next edit or word: leadsync queue list");
    if (status.errors > status.dead_letters)
        print_count("errors", status.errors, "",
                    ": SELECT email, sync_error FROM crm.leads WHERE sync_error IS NOT NULL");
    print_count("conflicts", status.conflicts, " open", ": leadsync conflicts list");
    print_count("held", status.held, "", ": leadsync held list");
    fmt::print("  requests   {} of {} in the last minute\n", grouped(status.requests_last_minute),
               grouped(static_cast<std::int64_t>(rate.per_minute * rate.share)));
}

}  // namespace

std::vector<std::string> chosen_workspaces(const Config& config, const std::vector<std::string>& given) {
    for (const auto& name : given)
        if (std::ranges::find(config.workspaces, name, &WorkspaceConfig::name) == config.workspaces.end())
            throw ConfigError{{config.file.string() + ": there is no workspace \"" + name + "\" in it"}};
    if (!given.empty()) return given;
    std::vector<std::string> names;
    for (const auto& workspace : config.workspaces) names.push_back(workspace.name);
    return names;
}

std::vector<WorkspaceStatus> read_status(const std::string& url, const std::vector<std::string>& names) {
    return with_schema([&] {
        postgres::Database database{url, 1};
        return database.run_blocking(
            [&](pqxx::work& transaction) { return postgres::Workspaces::status(transaction, names); });
    });
}

bool anything_left(const std::vector<WorkspaceStatus>& all) {
    return std::ranges::any_of(all, [](const auto& workspace) {
        return workspace.dead_letters > 0 || workspace.conflicts > 0 || workspace.held > 0;
    });
}

Exit status(const Config& config, bool json) {
    const ConfiguredDatabase database{config};
    const auto all = read_status(database.url(), chosen_workspaces(config, {}));
    auto list = nlohmann::json::array();
    for (const auto& workspace : all) {
        list.push_back(to_json(workspace));
        if (json) continue;
        print(workspace, std::ranges::find(config.workspaces, workspace.name, &WorkspaceConfig::name)->rate);
    }
    if (json) fmt::print("{}\n", list.dump(2));
    return anything_left(all) ? Exit::work_left : Exit::done;
}

}  // namespace leadsync::daemon
