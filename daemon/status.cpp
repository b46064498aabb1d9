#include "daemon/status.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "connectors/postgres/database.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/freshness_watch.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {

using postgres::WorkspaceStatus;

namespace {

using sync::FreshnessClass;

constexpr auto not_known_yet = "not known yet";
constexpr auto until_known =
    "no leadsync has begun with this workspace: start leadsync, or let it reload its config (SIGHUP)";

/// A class of leads: how old what is known of the oldest can be, and may be.
struct ClassAge {
    FreshnessClass of;
    std::chrono::milliseconds bound;
    std::optional<double> oldest_seconds;

    [[nodiscard]] double bound_seconds() const { return std::chrono::duration<double>{bound}.count(); }
    [[nodiscard]] bool is_kept() const { return oldest_seconds.value_or(0) <= bound_seconds(); }
};

std::vector<ClassAge> ages_of(const WorkspaceStatus& status, const sync::FreshnessBounds& bounds) {
    return {{FreshnessClass::fresh, bounds.fresh, status.new_seconds_ago},
            {FreshnessClass::active, bounds.active, status.active_seconds_ago},
            {FreshnessClass::rest, bounds.rest, status.rest_seconds_ago}};
}

nlohmann::json freshness_of(const WorkspaceStatus& status, const WorkspaceConfig& config) {
    auto classes = nlohmann::json::object();
    for (const auto& age : ages_of(status, config.freshness.bounds))
        classes[std::string{name_of(age.of)}] = {{"bound_seconds", age.bound_seconds()},
                                                 {"oldest_seconds", or_null(age.oldest_seconds)},
                                                 {"kept", age.is_kept()}};
    classes["active"]["leads"] = status.active_leads;
    const auto demand = sync::demand_of(config.freshness.bounds, status.active_leads, status.leads);
    return {{"classes", classes},
            {"requests_per_second_needed", demand.all()},
            {"requests_per_second_allowed", sync::budget_of(limits_of(config.rate))}};
}

nlohmann::json to_json(const WorkspaceStatus& status, const WorkspaceConfig& config) {
    return {{"workspace", status.name},
            {"state", status.state},
            {"reason", status.reason.empty() ? nlohmann::json() : nlohmann::json(status.reason)},
            {"driven", status.is_driven},
            {"leads", status.leads},
            {"freshness", freshness_of(status, config)},
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

/// Of a workspace that the database has never heard of.
nlohmann::json unknown_to_json(const WorkspaceConfig& config) {
    return {{"workspace", config.name}, {"state", not_known_yet}, {"reason", until_known}, {"driven", false}};
}

/// A count, and what to do where it is not zero.
void print_count(const char* name, std::int64_t count, const char* what, const char* remedy) {
    fmt::print("  {:<10} {}{}{}\n", name, grouped(count), what, count > 0 ? remedy : "");
}

void print_freshness(const WorkspaceStatus& status, const WorkspaceConfig& config) {
    if (!status.rest_seconds_ago) {
        fmt::print("  freshness  no complete sweep yet\n");
        return;
    }
    std::string line;
    for (const auto& age : ages_of(status, config.freshness.bounds)) {
        if (!line.empty()) line += ", ";
        line += fmt::format("{} {} of {}{}", name_of(age.of), age.oldest_seconds ? spoken(*age.oldest_seconds) : "-",
                            spoken(age.bound_seconds()), age.is_kept() ? "" : " (LATE)");
    }
    fmt::print("  freshness  {}\n", line);
    fmt::print("  to keep it {}\n", told(config.freshness.bounds, status.active_leads, status.leads,
                                         sync::budget_of(limits_of(config.rate))));
}

void print(const WorkspaceStatus& status, const WorkspaceConfig& config) {
    fmt::print("{}\n", status.name);
    fmt::print("  state      {}{}\n", status.state, status.reason.empty() ? "" : ": " + status.reason);
    if (!status.is_driven)
        fmt::print("  daemon     none runs: nothing is read or sent; the last sign of one was {} ago\n",
                   spoken(status.reported_seconds_ago));
    fmt::print("  leads      {}\n", grouped(status.leads));
    print_freshness(status, config);
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
               grouped(static_cast<std::int64_t>(config.rate.per_minute * config.rate.share)));
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
    for (const auto& configured : config.workspaces) {
        const auto workspace = std::ranges::find(all, configured.name, &WorkspaceStatus::name);
        const bool is_known = workspace != all.end();
        list.push_back(is_known ? to_json(*workspace, configured) : unknown_to_json(configured));
        if (json) continue;
        if (is_known)
            print(*workspace, configured);
        else
            fmt::print("{}\n  state      {}: {}\n", configured.name, not_known_yet, until_known);
    }
    if (json) fmt::print("{}\n", list.dump(2));
    return anything_left(all) ? Exit::work_left : Exit::done;
}

}  // namespace leadsync::daemon
