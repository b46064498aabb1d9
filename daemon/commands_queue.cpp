#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "daemon/backfill_progress.hpp"
#include "daemon/operator_session.hpp"

namespace leadsync::daemon {
namespace {

using nlohmann::json;
using postgres::AttemptRow;
using postgres::LeadState;
using postgres::QueueRow;
using postgres::Review;

json to_json(const QueueRow& row) {
    return {{"workspace", row.workspace},
            {"lead_id", row.lead_id},
            {"email", or_null(row.email)},
            {"kind", row.kind},
            {"state", row.state},
            {"queued_seconds_ago", row.queued_seconds_ago},
            {"due_in_seconds", row.due_in_seconds},
            {"attempts", row.attempts},
            {"resends", row.resends},
            {"last_error", or_null(row.last_error)},
            {"given_up_at", or_null(row.given_up_at)}};
}

/// `acme  ann@example.com  change, given up, queued 3 min 2 s ago, 4 attempts: PATCH …: 400 "…"`
std::string line_of(const QueueRow& row) {
    auto line = fmt::format("{}  {}  {}, {}", row.workspace, called(row.email, row.lead_id), row.kind, row.state);
    if (row.state == "waiting") line += " for " + spoken(row.due_in_seconds);
    line += ", queued " + spoken(row.queued_seconds_ago) + " ago";
    if (row.attempts > 0) line += ", " + counted(row.attempts, "failed attempt");
    if (row.resends > 0) line += ", " + counted(row.resends, "write") + " not stored";
    return row.last_error ? line + ": " + *row.last_error : line;
}

json to_json(const AttemptRow& attempt) {
    return {{"at", attempt.at},
            {"outcome", attempt.outcome},
            {"error", attempt.error},
            {"request", or_null(attempt.request)},
            {"sent", or_null(attempt.sent)},
            {"answer", or_null(attempt.answer)}};
}

void print(const AttemptRow& attempt) {
    fmt::print("  {}  {}: {}\n", attempt.at.substr(0, 19), attempt.outcome, attempt.error);
    if (attempt.request && attempt.sent) fmt::print("      sent   {} {}\n", *attempt.request, quoted(attempt.sent));
    if (attempt.answer) fmt::print("      answer {}\n", quoted(attempt.answer));
}

std::vector<LeadState> found(Review& all, const std::string& lead) {
    auto leads = all.find(lead);
    if (leads.empty()) throw std::runtime_error{"no lead \"" + lead + "\" is known; nothing was changed"};
    return leads;
}

}  // namespace

Exit list_queue(const Config& config, const WorkspaceNames& workspaces, bool everything, bool as_json) {
    const auto rows = as_operator(config, workspaces, [&](Review& all) { return all.queue(everything); });
    auto list = json::array();
    for (const auto& row : rows) {
        if (as_json)
            list.push_back(to_json(row));
        else
            fmt::print("{}\n", line_of(row));
    }
    if (as_json)
        fmt::print("{}\n", to_text(list));
    else if (rows.empty())
        fmt::print("{}\n", everything ? "nothing is queued" : "nothing has failed");
    return Exit::done;
}

Exit show_queued(const Config& config, const WorkspaceNames& workspaces, const std::string& lead, bool as_json) {
    struct Shown {
        LeadState lead;
        std::vector<AttemptRow> attempts;
    };
    const auto leads = as_operator(config, workspaces, [&](Review& all) {
        std::vector<Shown> shown;
        for (auto& state : all.find(lead)) {
            auto attempts = all.attempts_of(state);
            shown.push_back({std::move(state), std::move(attempts)});
        }
        return shown;
    });
    if (leads.empty()) throw std::runtime_error{"no lead \"" + lead + "\" is known: give its email or an id"};
    auto list = json::array();
    for (const auto& [state, attempts] : leads) {
        auto tried = json::array();
        for (const auto& attempt : attempts) tried.push_back(to_json(attempt));
        if (as_json) {
            list.push_back({{"workspace", state.workspace},
                            {"lead_id", state.lead_id},
                            {"email", or_null(state.email)},
                            {"queued", state.pending.has_value()},
                            {"given_up_at", state.pending ? or_null(state.pending->dead_at) : json()},
                            {"last_error", state.pending ? or_null(state.pending->last_error) : json()},
                            {"attempts", tried}});
            continue;
        }
        const auto standing = !state.pending           ? "not queued"
                              : state.pending->dead_at ? "given up"
                              : state.pending->held_at ? "held"
                              : state.pending->in_hand ? "in hand"
                                                       : "waiting";
        fmt::print("{}  {}  {}  {}\n", state.workspace, called(state.email, state.lead_id), state.lead_id, standing);
        for (const auto& attempt : attempts) print(attempt);
        if (attempts.empty()) fmt::print("  nothing has failed\n");
    }
    if (as_json) fmt::print("{}\n", to_text(list));
    return Exit::done;
}

Exit decide_queued(const Config& config, const QueueSelection& selection, const std::string& decision) {
    if (selection.all != selection.leads.empty()) throw UsageError{"give either leads or --all"};
    const auto count = as_operator(config, selection.workspaces, [&](Review& all) {
        if (selection.all) return all.decide_given_up(decision);
        std::int64_t decided = 0;
        for (const auto& name : selection.leads) {
            std::int64_t queued = 0;
            for (const auto& lead : found(all, name)) queued += all.decide_queued(lead, decision) ? 1 : 0;
            if (queued == 0) throw std::runtime_error{"lead \"" + name + "\" is not queued; nothing was changed"};
            decided += queued;
        }
        return decided;
    });
    fmt::print("{} to be {} as soon as the daemon comes to it\n", counted(count, "lead"),
               decision == "retry" ? "tried again" : "put back to what Instantly has");
    return Exit::done;
}

}  // namespace leadsync::daemon
