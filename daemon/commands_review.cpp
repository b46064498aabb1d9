#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/backfill_progress.hpp"
#include "daemon/operator_session.hpp"

namespace leadsync::daemon {
namespace {

using postgres::ConflictRow;
using postgres::HeldGroup;
using postgres::HeldRow;
using postgres::Review;

nlohmann::json to_json(const ConflictRow& conflict) {
    return {{"id", conflict.id},
            {"workspace", conflict.workspace},
            {"lead_id", conflict.lead_id},
            {"email", or_null(conflict.email)},
            {"field", conflict.field},
            {"base", or_null(conflict.base)},
            {"local", or_null(conflict.local)},
            {"remote", or_null(conflict.remote)},
            {"rule", conflict.rule},
            {"resolution", or_null(conflict.resolution)},
            {"resolved_by", or_null(conflict.resolved_by)},
            {"created_at", conflict.created_at},
            {"resolved_at", or_null(conflict.resolved_at)}};
}

/// `7  acme  ann@example.com  phone: here "2", on Instantly "3", before "1"; rule manual, 3 min 2 s ago`
std::string line_of(const ConflictRow& conflict) {
    auto line = fmt::format("{}  {}  {}  {}: here {}, on Instantly {}, before {}; rule {}, {} ago", conflict.id,
                            conflict.workspace, called(conflict.email, conflict.lead_id), conflict.field,
                            quoted(conflict.local), quoted(conflict.remote), quoted(conflict.base), conflict.rule,
                            spoken(conflict.seconds_ago));
    if (!conflict.resolution) return line;
    if (*conflict.resolution == "agreed")
        line += "; both sides came to agree";
    else
        line +=
            "; resolved as " + *conflict.resolution + (conflict.resolved_by ? " by " + *conflict.resolved_by : "");
    return line + (conflict.resolved_at ? "" : ", to be carried out");
}

nlohmann::json to_json(const HeldRow& held) {
    return {
        {"id", held.id},     {"workspace", held.workspace}, {"lead_id", held.lead_id}, {"email", or_null(held.email)},
        {"kind", held.kind}, {"side", held.side},           {"reason", held.reason},   {"held_at", held.held_at}};
}

/// `8 new leads here`, `2 deleted leads on Instantly`
std::string named(const HeldGroup& group) {
    const auto* what = group.kind == "create" ? "new lead" : group.kind == "change" ? "edited lead" : "deleted lead";
    return counted(group.count, what) + " " + place_of(group.side);
}

void print(const HeldGroup& group) {
    std::string samples;
    for (const auto& lead : group.samples) (samples += samples.empty() ? "" : ", ") += lead;
    if (group.count > static_cast<std::int64_t>(group.samples.size())) samples += ", …";
    fmt::print("{}  {} (--kind {} --side {}), the oldest {} ago: {}\n    {}\n", group.workspace, named(group),
               group.kind, group.side, spoken(group.oldest_seconds_ago), group.reason, samples);
}

/// Exactly one of ids and `--all`; narrowing only with `--all`.
void expect_sound(const Selection& selection) {
    const bool narrowed = !selection.workspaces.empty() || selection.field || selection.kind || selection.side;
    if (selection.all != selection.ids.empty()) throw UsageError{"give either ids or --all"};
    if (narrowed && !selection.all) throw UsageError{"an id says it all: narrow down with --all only"};
    if (selection.field) expect_field(*selection.field);
}

std::int64_t distinct(const std::vector<std::int64_t>& ids) {
    return static_cast<std::int64_t>(std::set<std::int64_t>{ids.begin(), ids.end()}.size());
}

}  // namespace

void expect_field(const std::string& name) {
    const auto field = sync::field_named(name);
    if (field && sync::spec(*field).owner == sync::Owner::both_ways) return;
    if (name.starts_with("custom_variables.")) return;
    std::string allowed;
    for (const auto& line : sync::field_table())
        if (line.owner == sync::Owner::both_ways) allowed.append(line.name).append(", ");
    throw UsageError{"no field that both sides can edit is called \"" + name + "\"; there are " + allowed
                     + "custom_variables.NAME"};
}

Exit list_conflicts(const Config& config, const WorkspaceNames& workspaces, bool settled_too, bool json) {
    const auto conflicts = as_operator(config, workspaces, [&](Review& all) { return all.conflicts(settled_too); });
    auto list = nlohmann::json::array();
    for (const auto& conflict : conflicts) {
        if (json)
            list.push_back(to_json(conflict));
        else
            fmt::print("{}\n", line_of(conflict));
    }
    if (json)
        fmt::print("{}\n", to_text(list));
    else if (conflicts.empty())
        fmt::print("no {}conflicts\n", settled_too ? "" : "open ");
    return Exit::done;
}

Exit resolve_conflicts(const Config& config, const Selection& selection, const std::string& take) {
    expect_sound(selection);
    const auto count = as_operator(config, selection.workspaces, [&](Review& all) {
        if (selection.all) return all.resolve_all(selection.field, take);
        all.resolve(selection.ids, take);
        return distinct(selection.ids);
    });
    fmt::print("{} resolved: the value {} is taken as soon as the daemon comes to it\n", counted(count, "conflict"),
               place_of(take));
    return Exit::done;
}

Exit list_held(const Config& config, const WorkspaceNames& workspaces, bool json) {
    if (json) {
        auto list = nlohmann::json::array();
        for (const auto& held : as_operator(config, workspaces, [](Review& all) { return all.held(); }))
            list.push_back(to_json(held));
        fmt::print("{}\n", to_text(list));
        return Exit::done;
    }
    const auto groups = as_operator(config, workspaces, [](Review& all) { return all.held_groups(); });
    for (const auto& group : groups) print(group);
    if (groups.empty()) fmt::print("nothing is held\n");
    return Exit::done;
}

Exit decide_held(const Config& config, const Selection& selection, const std::string& decision) {
    expect_sound(selection);
    const auto count = as_operator(config, selection.workspaces, [&](Review& all) {
        if (selection.all) return all.decide_all({selection.kind, selection.side}, decision);
        all.decide(selection.ids, decision);
        return distinct(selection.ids);
    });
    fmt::print("{} {}: carried out as soon as the daemon comes to it\n", counted(count, "held change"),
               decision == "approve" ? "approved" : "rejected");
    return Exit::done;
}

}  // namespace leadsync::daemon
