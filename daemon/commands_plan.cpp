#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "connectors/instantly/transport.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/dry_run.hpp"
#include "daemon/status.hpp"
#include "daemon/tasks.hpp"
#include "daemon/wording.hpp"
#include "daemon/workspace_failures.hpp"

namespace leadsync::daemon {
namespace {

using nlohmann::json;

constexpr std::size_t samples_shown = 5;
constexpr std::size_t all_of_them = std::numeric_limits<std::size_t>::max();

/// What a step is called on a terminal, in the order in which the steps are told.
struct Heading {
    Step step;
    const char* text;
};
constexpr std::array<Heading, 16> headings{{
    {Step::appear, "from Instantly: new leads"},
    {Step::pull, "from Instantly: changed leads"},
    {Step::adopt, "from Instantly: leads that are rows here already"},
    {Step::gone, "from Instantly: deleted leads"},
    {Step::create, "to Instantly: create"},
    {Step::patch, "to Instantly: PATCH"},
    {Step::interest, "to Instantly: interest status"},
    {Step::assign, "to Instantly: assign"},
    {Step::move, "to Instantly: move"},
    {Step::subsequence, "to Instantly: subsequence"},
    {Step::remove, "to Instantly: delete"},
    {Step::merge, "to Instantly: merge"},
    {Step::forget, "deleted here, no longer synced"},
    {Step::restore, "deletion rejected, the row comes back"},
    {Step::give_up, "can't be sent"},
    {Step::hold, "held by the guard"},
}};

const char* name_of_resolution(const sync::Conflict& conflict) {
    if (!conflict.resolution) return "a person decides";
    return *conflict.resolution == sync::Side::local ? "the value here stands" : "the value on Instantly stands";
}

std::string line_of(const PlannedLead& lead) {
    auto line = called(lead.email, lead.instantly_id.empty() ? lead.id : lead.instantly_id);
    if (!lead.note.empty()) line += "  (" + lead.note + ")";
    for (const auto& change : lead.changes) {
        line += fmt::format("  {}: {}", change.key, changed(change.before, change.after));
        if (!change.rule.empty() && change.rule != "edit") line += " (" + change.rule + ")";
    }
    return line;
}

void print_rest(std::int64_t count) {
    if (count > static_cast<std::int64_t>(samples_shown))
        fmt::print("    … and {} more\n", grouped(count - static_cast<std::int64_t>(samples_shown)));
}

void print_conflicts(const std::vector<PlannedConflict>& conflicts) {
    if (conflicts.empty()) return;
    const auto count = static_cast<std::int64_t>(conflicts.size());
    fmt::print("  conflicts: {}\n", grouped(count));
    for (std::size_t i = 0; i < std::min(samples_shown, conflicts.size()); ++i) {
        const auto& [id, email, conflict] = conflicts[i];
        fmt::print("    {}  {}: here {}, on Instantly {}, before {}; rule {}: {}\n", called(email, id), conflict.key,
                   quoted(conflict.local), quoted(conflict.remote), quoted(conflict.base),
                   sync::name_of(conflict.rule), name_of_resolution(conflict));
    }
    print_rest(count);
}

void print(const WorkspacePlan& plan) {
    fmt::print("{}  {} in {} read; nothing was changed\n", plan.workspace, counted(plan.leads, "lead"),
               counted(plan.pages, "page"));
    for (const auto& [step, text] : headings) {
        const auto found = plan.steps.find(step);
        if (found == plan.steps.end()) continue;
        fmt::print("  {}: {}\n", text, grouped(found->second.count));
        for (const auto& lead : found->second.leads) fmt::print("    {}\n", line_of(lead));
        print_rest(found->second.count);
    }
    print_conflicts(plan.conflicts);
    if (plan.steps.empty() && plan.conflicts.empty()) fmt::print("  nothing to do\n");
    std::string requests;
    for (const auto& [call, count] : plan.requests)
        requests += fmt::format("{}{} {}", requests.empty() ? "" : ", ", grouped(count), call);
    if (!requests.empty()) fmt::print("  requests that change something: {}\n", requests);
}

/// What no sync does anything about: it waits for an operator.
void print(const postgres::WorkspaceStatus& status) {
    if (anything_left({status}))
        fmt::print("  left for an operator: {} given up on, {}, {}: leadsync status\n", grouped(status.dead_letters),
                   counted(status.conflicts, "open conflict"), counted(status.held, "held change"));
}

json to_json(const PlannedLead& lead) {
    auto changes = json::array();
    for (const auto& change : lead.changes)
        changes.push_back({{"field", change.key},
                           {"before", or_null(change.before)},
                           {"after", or_null(change.after)},
                           {"rule", change.rule.empty() ? json() : json(change.rule)}});
    return {{"id", lead.id},
            {"instantly_id", lead.instantly_id.empty() ? json() : json(lead.instantly_id)},
            {"email", or_null(lead.email)},
            {"changes", changes},
            {"note", lead.note.empty() ? json() : json(lead.note)}};
}

json to_json(const PlannedConflict& planned) {
    const auto& conflict = planned.conflict;
    return {{"id", planned.id},
            {"email", or_null(planned.email)},
            {"field", conflict.key},
            {"base", or_null(conflict.base)},
            {"local", or_null(conflict.local)},
            {"remote", or_null(conflict.remote)},
            {"rule", sync::name_of(conflict.rule)},
            {"resolution", conflict.resolution ? json(sync::name_of(*conflict.resolution)) : json()}};
}

json to_json(const WorkspacePlan& plan) {
    auto steps = json::object();
    for (const auto& heading : headings) {
        const auto found = plan.steps.find(heading.step);
        auto leads = json::array();
        if (found != plan.steps.end())
            for (const auto& lead : found->second.leads) leads.push_back(to_json(lead));
        steps[std::string{name_of(heading.step)}] = {{"count", found == plan.steps.end() ? 0 : found->second.count},
                                                     {"leads", leads}};
    }
    auto conflicts = json::array();
    for (const auto& conflict : plan.conflicts) conflicts.push_back(to_json(conflict));
    return {{"workspace", plan.workspace}, {"pages_read", plan.pages}, {"leads_read", plan.leads}, {"steps", steps},
            {"conflicts", conflicts},      {"requests", plan.requests}};
}

/// The workspaces side by side, each by its own limiter. Nothing for one that failed.
std::vector<std::optional<WorkspacePlan>> plan_all(const std::vector<const WorkspaceConfig*>& chosen,
                                                   const std::string& url, std::size_t leads_kept,
                                                   WorkspaceFailures& failures) {
    boost::asio::io_context io{1};
    postgres::Database database{url, 2};
    SystemClock clock;
    std::vector<std::optional<WorkspacePlan>> plans(chosen.size());
    auto plan_one = [&](std::size_t i) -> asio::awaitable<void> {
        instantly::HttpTransport transport{io.get_executor(), transport_options(*chosen[i])};
        plans[i] = co_await dry_run(transport, database, clock, random_dice(), *chosen[i], leads_kept);
    };
    auto plan_them = [&]() -> asio::awaitable<void> {
        std::vector<asio::awaitable<void>> tasks;
        for (std::size_t i = 0; i < chosen.size(); ++i) tasks.push_back(failures.watch(chosen[i]->name, plan_one(i)));
        co_await all(std::move(tasks));
    };
    std::exception_ptr failed;
    asio::co_spawn(io, plan_them(), [&](std::exception_ptr error) { failed = std::move(error); });
    io.run();
    if (failed) std::rethrow_exception(failed);
    return plans;
}

}  // namespace

Exit plan(const Config& config, const WorkspaceNames& workspaces, bool as_json) {
    const auto names = chosen_workspaces(config, workspaces);
    const ConfiguredDatabase database{config};
    const auto before = read_status(database.url(), names);
    std::vector<const WorkspaceConfig*> chosen;
    for (const auto& name : names)
        chosen.push_back(&*std::ranges::find(config.workspaces, name, &WorkspaceConfig::name));
    WorkspaceFailures failures;
    const auto plans = plan_all(chosen, database.url(), as_json ? all_of_them : samples_shown, failures);
    auto list = json::array();
    for (const auto& planned : plans) {
        if (!planned) continue;
        if (as_json) {
            list.push_back(to_json(*planned));
            continue;
        }
        print(*planned);
        const auto status = std::ranges::find(before, planned->workspace, &postgres::WorkspaceStatus::name);
        if (status != before.end()) print(*status);
    }
    if (as_json) fmt::print("{}\n", to_text(list));
    failures.throw_if_any();
    return anything_left(before) ? Exit::work_left : Exit::done;
}

}  // namespace leadsync::daemon
