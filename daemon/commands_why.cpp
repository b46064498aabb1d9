#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "connectors/postgres/review.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/status.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {
namespace {

using nlohmann::json;
using postgres::ConflictRow;
using postgres::HeldRow;
using postgres::HistoryRow;
using postgres::LeadState;
using postgres::Review;

/// One line of a lead's story.
struct Event {
    std::string at;  ///< ISO 8601 in UTC: sorts as text
    std::string text;
    json data;
};

/// `2026-11-25 09:12:03`
std::string to_the_second(const std::string& at) {
    auto time = at.substr(0, 19);
    if (time.size() > 10) time[10] = ' ';
    return time;
}

// --- history -------------------------------------------------------------------------------------------------------

/// What happened to the lead as a whole.
std::string story_of_lead(const HistoryRow& entry) {
    const auto& rule = entry.rule;
    const auto request = entry.request.value_or("");
    const auto name = entry.after ? *entry.after + " " : entry.before ? *entry.before + " " : std::string{};
    if (rule == "created") return fmt::format("{}inserted here, created on Instantly by {}", name, request);
    if (rule == "appeared") return fmt::format("{}made on Instantly, first seen by {}", name, request);
    if (rule == "adopted")
        return fmt::format(
            "{}found on Instantly already, by email and campaign or list: tied to this row, seen by {}", name,
            request);
    if (rule == "refused") return fmt::format("Instantly refused what was sent: {}", request);
    if (rule == "rejected") return "an operator rejected the edits made here: undone";
    if (rule == "merged")
        return fmt::format("{} merged into {}, by {}", entry.before.value_or("this lead"),
                           entry.after.value_or("another lead"), request);
    if (rule == "deleted" && entry.side == "local")
        return fmt::format("deleted here, and on Instantly by {}", request);
    if (rule == "deleted") return fmt::format("{}deleted on Instantly, seen by {}", name, request);
    return fmt::format("{}{}, by {}", name, rule, request);
}

/// Why one field changed.
std::string reason_of(const HistoryRow& entry) {
    const auto& rule = entry.rule;
    const auto request = entry.request.value_or("");
    if (rule == "edit" && entry.side == "local") return "edited here, sent by " + request;
    if (rule == "edit") return "edited on Instantly, seen by " + request;
    if (rule == "sent again") return "sent again by " + request + ", because Instantly had not stored it";
    if (rule == "put off") return "not sent yet, for the look at the lead had become old: the next is " + request;
    if (rule == "normalised") return "what was sent came back in Instantly's own form, seen by " + request;
    if (rule == "resolution") return "the conflict was resolved for the value on Instantly, seen by " + request;
    if (rule == "remote")
        return "edited on both sides: by the rule \"remote\" the value on Instantly stands, seen by " + request;
    if (rule == "newest")
        return "edited on both sides: the edit on Instantly is the newer one (rule \"newest\"), seen by " + request;
    return rule + " " + place_of(entry.side) + ", by " + request;
}

Event event_of(const HistoryRow& entry) {
    const auto text =
        entry.field ? fmt::format("{}: {}, {}", *entry.field, changed(entry.before, entry.after), reason_of(entry))
                    : story_of_lead(entry);
    return {entry.at,
            text,
            {{"at", entry.at},
             {"event", "history"},
             {"field", or_null(entry.field)},
             {"old", or_null(entry.before)},
             {"new", or_null(entry.after)},
             {"side", entry.side},
             {"rule", entry.rule},
             {"request", or_null(entry.request)},
             {"text", text}}};
}

// --- conflicts -----------------------------------------------------------------------------------------------------

/// Who decided, and how.
std::string ruling_of(const ConflictRow& conflict) {
    const bool by_rule = !conflict.resolved_by && conflict.resolution && *conflict.resolution != "agreed";
    const auto kept = by_rule ? "the value " + place_of(*conflict.resolution) + " stands" : std::string{};
    const auto how_to =
        fmt::format("a person decides: leadsync conflicts resolve {} --take local|remote", conflict.id);
    if (conflict.rule == "newest") return "the newer edit wins (rule \"newest\"): " + kept;
    if (conflict.rule == "keep_value")
        return "an empty value on Instantly does not take one away here (rule \"keep_value\"): " + kept;
    if (conflict.rule == "flip_flop")
        return "the two sides keep undoing each other's edits (rule \"flip_flop\"): " + how_to;
    if (conflict.rule == "late_write")
        return "a write of ours came through late and overran an edit made on Instantly, which goes out again "
               "(rule \"late_write\"): "
               + kept;
    if (conflict.rule == "manual") return "rule \"manual\": " + how_to;
    return fmt::format("rule \"{}\": {}", conflict.rule, kept);
}

void add_events(const ConflictRow& conflict, std::vector<Event>& events) {
    const json common{{"id", conflict.id},
                      {"field", conflict.field},
                      {"base", or_null(conflict.base)},
                      {"local", or_null(conflict.local)},
                      {"remote", or_null(conflict.remote)},
                      {"rule", conflict.rule},
                      {"resolution", or_null(conflict.resolution)},
                      {"resolved_by", or_null(conflict.resolved_by)}};
    const auto add = [&](const std::string& at, const char* event, const std::string& text) {
        auto data = common;
        data.update({{"at", at}, {"event", event}, {"text", text}});
        events.push_back({at, text, std::move(data)});
    };
    add(conflict.created_at, "conflict",
        fmt::format("{}: conflict {}: here {}, on Instantly {}, before {}; {}", conflict.field, conflict.id,
                    quoted(conflict.local), quoted(conflict.remote), quoted(conflict.base), ruling_of(conflict)));
    if (!conflict.resolved_at || !conflict.resolution) return;
    if (*conflict.resolution == "agreed")
        add(*conflict.resolved_at, "agreed",
            fmt::format("{}: conflict {} is over: both sides came to hold {}", conflict.field, conflict.id,
                        quoted(conflict.local)));
    else if (conflict.resolved_by)
        add(*conflict.resolved_at, "resolved",
            fmt::format("{}: conflict {} resolved by {}: the value {} stands", conflict.field, conflict.id,
                        *conflict.resolved_by, place_of(*conflict.resolution)));
}

// --- held ----------------------------------------------------------------------------------------------------------

void add_events(const HeldRow& held, std::vector<Event>& events) {
    const auto what = fmt::format("{} {}",
                                  held.kind == "create"   ? "creation"
                                  : held.kind == "change" ? "edit"
                                                          : "deletion",
                                  place_of(held.side));
    const json common{{"id", held.id},
                      {"kind", held.kind},
                      {"side", held.side},
                      {"reason", held.reason},
                      {"decision", or_null(held.decision)},
                      {"decided_by", or_null(held.decided_by)}};
    const auto add = [&](const std::string& at, const char* event, const std::string& text) {
        auto data = common;
        data.update({{"at", at}, {"event", event}, {"text", text}});
        events.push_back({at, text, std::move(data)});
    };
    add(held.held_at, "held", fmt::format("the {} is held ({}): {}", what, held.id, held.reason));
    if (held.decision && held.decided_at)
        add(*held.decided_at, "decided",
            fmt::format("the {} was {} by {}", what, *held.decision == "approve" ? "approved" : "rejected",
                        held.decided_by.value_or("somebody")));
}

// --- the state now -------------------------------------------------------------------------------------------------

std::string standing_of(const LeadState& lead) {
    if (lead.tombstone) return "deleted here; Instantly still has it, and it is not brought back";
    if (!lead.sync_status) return "gone: no row here";
    auto text = *lead.sync_status;
    if (lead.sync_error) text += ": " + *lead.sync_error;
    if (lead.synced_at) text += ", last in step at " + to_the_second(*lead.synced_at);
    if (lead.deleted_at) text += ", gone on Instantly since " + to_the_second(*lead.deleted_at);
    return text;
}

/// What its row in the queue says, a line each.
std::vector<std::string> lines_of(const LeadState::Pending& pending) {
    std::vector<std::string> lines;
    if (pending.dead_at)
        lines.push_back("given up on at " + to_the_second(*pending.dead_at) + ", until the next edit");
    else if (pending.held_at)
        lines.push_back("held since " + to_the_second(*pending.held_at) + ": leadsync held list shows it");
    else if (pending.in_hand)
        lines.emplace_back("pending: in hand right now");
    else
        lines.push_back(
            "pending since " + to_the_second(pending.queued_at)
            + (pending.due_in_seconds > 0 ? ", next look in " + spoken(pending.due_in_seconds) : ", due now"));
    if (pending.decision && !pending.dead_at)
        lines.push_back(fmt::format("an operator's decision is to be carried out: {} the {}", *pending.decision,
                                    pending.decided.value_or("change")));
    if (pending.attempts > 0 || pending.resends > 0 || pending.last_error)
        lines.push_back(fmt::format("{} failed, {} not stored; the last error: {}",
                                    counted(pending.attempts, "attempt"), counted(pending.resends, "write"),
                                    pending.last_error.value_or("none")));
    if (pending.edited_at)
        lines.push_back(fmt::format("last edited here at {} by {}", to_the_second(*pending.edited_at),
                                    pending.edited_by.value_or("somebody")));
    return lines;
}

json to_json(const LeadState::Pending& pending) {
    return {{"queued_at", pending.queued_at},
            {"due_in_seconds", pending.due_in_seconds},
            {"attempts", pending.attempts},
            {"resends", pending.resends},
            {"in_hand", pending.in_hand},
            {"last_error", or_null(pending.last_error)},
            {"dead_at", or_null(pending.dead_at)},
            {"held_at", or_null(pending.held_at)},
            {"decision", or_null(pending.decision)},
            {"decided", or_null(pending.decided)},
            {"edited_at", or_null(pending.edited_at)},
            {"edited_by", or_null(pending.edited_by)}};
}

json to_json(const LeadState& lead) {
    return {{"workspace", lead.workspace},
            {"lead_id", lead.lead_id},
            {"instantly_id", or_null(lead.instantly_id)},
            {"email", or_null(lead.email)},
            {"sync_status", or_null(lead.sync_status)},
            {"sync_error", or_null(lead.sync_error)},
            {"synced_at", or_null(lead.synced_at)},
            {"deleted_at", or_null(lead.deleted_at)},
            {"deleted_here", lead.tombstone},
            {"awaited", lead.awaited ? json::parse(*lead.awaited) : json()},
            {"merge_into", or_null(lead.merge_into)},
            {"pending", lead.pending ? to_json(*lead.pending) : json()}};
}

// --- all of it -----------------------------------------------------------------------------------------------------

/// What the operator asked about, of one lead.
struct Story {
    LeadState lead;
    std::vector<Event> events;  ///< in order of time
    std::vector<ConflictRow> open;
};

Story tell(Review& all, LeadState lead, const std::optional<std::string>& field) {
    Story story{.lead = std::move(lead), .events = {}, .open = {}};
    const auto is_asked_for = [&](const sync::Value& name) { return !field || !name || *name == *field; };
    for (const auto& conflict : all.conflicts_of(story.lead)) {
        if (!is_asked_for(conflict.field)) continue;
        add_events(conflict, story.events);
        if (!conflict.resolved_at) story.open.push_back(conflict);
    }
    for (const auto& entry : all.history_of(story.lead))
        if (is_asked_for(entry.field)) story.events.push_back(event_of(entry));
    for (const auto& held : all.held_of(story.lead)) add_events(held, story.events);
    std::ranges::stable_sort(story.events, {}, &Event::at);
    return story;
}

json to_json(const Story& story) {
    auto events = json::array();
    for (const auto& event : story.events) events.push_back(event.data);
    auto open = json::array();
    for (const auto& conflict : story.open) open.push_back(conflict.id);
    return {{"lead", to_json(story.lead)}, {"events", events}, {"open_conflicts", open}};
}

void print(const Story& story) {
    const auto& lead = story.lead;
    fmt::print("{}  {}  {}{}\n", lead.workspace, lead.email.value_or("(no email)"), lead.lead_id,
               lead.instantly_id && *lead.instantly_id != lead.lead_id ? ", on Instantly " + *lead.instantly_id : "");
    for (const auto& event : story.events) fmt::print("  {}  {}\n", to_the_second(event.at), event.text);
    if (story.events.empty()) fmt::print("  nothing has changed since it was first read\n");
    fmt::print("now: {}\n", standing_of(lead));
    if (lead.awaited) fmt::print("     sent and not shown by a read yet: {}\n", *lead.awaited);
    if (lead.merge_into) fmt::print("     to be merged into {}\n", *lead.merge_into);
    if (lead.pending)
        for (const auto& line : lines_of(*lead.pending)) fmt::print("     {}\n", line);
    for (const auto& conflict : story.open)
        fmt::print("     open: conflict {} of {}{}\n", conflict.id, conflict.field,
                   conflict.resolution ? ", resolved as " + *conflict.resolution + ", to be carried out" : "");
}

}  // namespace

Exit why(const Config& config, const WhyQuestion& question) {
    if (question.field) expect_field(*question.field);
    const auto names = chosen_workspaces(config, question.workspaces);
    const ConfiguredDatabase database{config};
    const auto stories = with_schema([&] {
        return postgres::review(database.url(), names, [&](Review& all) {
            std::vector<Story> found;
            for (auto& lead : all.find(question.lead)) found.push_back(tell(all, std::move(lead), question.field));
            return found;
        });
    });
    if (stories.empty())
        throw std::runtime_error{"no lead \"" + question.lead + "\" is known, and none was: give its email or an id"};
    if (question.json) {
        auto list = json::array();
        for (const auto& story : stories) list.push_back(to_json(story));
        fmt::print("{}\n", to_text(list));
        return Exit::done;
    }
    for (std::size_t i = 0; i < stories.size(); ++i) {
        if (i > 0) fmt::print("\n");
        print(stories[i]);
    }
    return Exit::done;
}

}  // namespace leadsync::daemon
