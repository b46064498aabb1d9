#include <algorithm>
#include <set>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "connectors/instantly/codec.hpp"
#include "tests/simulation/simulated_world.hpp"

namespace leadsync::simulation {

using namespace std::chrono_literals;
using sync::Field;
using sync::SyncStatus;

namespace {

/// From the look to the write: what is edited on Instantly in between is overwritten unseen, as its API has no
/// conditional write. Nothing longer is forgiven.
constexpr auto unseen_window = 3s;

std::string trimmed(std::string text) {
    const auto blank = [](char c) { return c == ' '; };
    text.erase(text.begin(), std::ranges::find_if_not(text, blank));
    while (!text.empty() && blank(text.back())) text.pop_back();
    return text;
}

/// Whether a value may be what a normalising server made of another.
bool same(const sync::Value& seen, const sync::Value& set) {
    if (sync::agree(seen, set)) return true;
    const auto text = trimmed(set.value_or(""));
    return sync::agree(seen, text) || sync::agree(seen, lower(text)) || sync::agree(seen, lower(set.value_or("")));
}

std::string shown(const sync::Value& value) { return value ? "\"" + *value + "\"" : "nothing"; }

/// The keys in which two contents differ, as a merge sees them.
std::vector<sync::Key> differences(const sync::Content& one, const sync::Content& other) {
    std::vector<sync::Key> keys;
    for (const auto& line : sync::field_table())
        if (line.owner == sync::Owner::both_ways && !sync::agree(one[line.field], other[line.field]))
            keys.emplace_back(line.name);
    auto names = one.custom_variables;
    names.insert(other.custom_variables.begin(), other.custom_variables.end());
    for (const auto& [name, value] : names)
        if (!sync::agree(sync::text_of(one.custom_variables, name), sync::text_of(other.custom_variables, name)))
            keys.push_back(sync::key_of_variable(name));
    return keys;
}

bool is_honest_error(const std::string& error) {
    for (const auto* words : {"did not create", "deleted on Instantly", "no longer has this lead",
                              "gone on Instantly", "rejected", "no longer on Instantly", "can't be cleared"})
        if (error.find(words) != std::string::npos) return true;
    return false;
}

}  // namespace

std::optional<sync::RemoteLead> SimulatedWorld::truth(const std::string& instantly_id) {
    const auto lead = instantly_->settled().lead(*sandbox::parse_uuid(instantly_id));
    if (!lead) return std::nullopt;
    return instantly::parse_lead(nlohmann::json::parse(lead->dump()));
}

void SimulatedWorld::check(Outcome& outcome) {
    for (const auto& violation : store_->violations())
        outcome.broken.push_back("PostgreSQL would have refused: " + violation);
    for (const auto& [entry, at] : store_->state().history)
        tell(fmt::format("history {:%T} {} {}: {} -> {}, {} {} {}", std::chrono::floor<std::chrono::milliseconds>(at),
                         entry.lead.text, entry.key, shown(entry.before), shown(entry.after),
                         sync::name_of(entry.side), entry.rule, entry.request));
    for (const auto& [id, conflict] : store_->state().conflicts)
        tell(fmt::format("conflict {} {} {}: base {}, {} here, {} on Instantly, {}, {}", id, conflict.lead.text,
                         conflict.key, shown(conflict.base), shown(conflict.local), shown(conflict.remote),
                         sync::name_of(conflict.rule), conflict.resolved_at ? "settled" : "open"));
    check_quiet(outcome);
    check_agreement(outcome);
    check_edits(outcome);
    check_no_twins(outcome);
    check_no_arguing(outcome);
    check_no_phantoms(outcome);
    check_patience(outcome);
}

/// DESIGN §2 (3): after convergence only reads are sent, and nothing waits.
void SimulatedWorld::check_quiet(Outcome& outcome) const {
    const auto late = instantly_->writes() - writes_at_quiet_end_;
    if (late > 0) outcome.broken.push_back(fmt::format("{} writes are still sent long after the last edit", late));
    for (const auto& [id, queued] : store_->state().queue)
        if (!queued.dead_at)
            outcome.broken.push_back(fmt::format(
                "lead {} still waits: {} attempts, {} resends, {}, {}", id.text, queued.attempts, queued.resends,
                queued.last_error.value_or("no error"), queued.held_at ? "held" : "not held"));
}

/// DESIGN §2 (2, 3): local = base = remote.
void SimulatedWorld::check_agreement(Outcome& outcome) {
    const auto& state = store_->state();
    std::set<std::string> remote_ids;
    for (const auto& instantly_id : instantly_->lead_ids()) {
        remote_ids.insert(instantly_id);
        const auto base = base_of(state, {instantly_id});
        if (base == state.bases.end()) {
            outcome.broken.push_back(fmt::format("lead {} was never brought in", instantly_id));
            continue;
        }
        const auto row = state.rows.find(base->first);
        if (base->second.deleted_at) {
            if (config_.deletes.local == sync::LocalDeletes::push)
                outcome.broken.push_back(fmt::format("lead {} was deleted here, and is still there", instantly_id));
            continue;
        }
        if (row == state.rows.end()) {
            outcome.broken.push_back(fmt::format("lead {} has a base and no row", instantly_id));
            continue;
        }
        if (row->second.status == SyncStatus::error && is_honest_error(row->second.error.value_or(""))) continue;
        if (row->second.status != SyncStatus::synced) {
            outcome.broken.push_back(fmt::format("lead {} is {}: {}", instantly_id, sync::name_of(row->second.status),
                                                 row->second.error.value_or("")));
            continue;
        }
        const auto lead = truth(instantly_id);
        for (const auto& key : differences(row->second.content, lead->content))
            outcome.broken.push_back(fmt::format("lead {} {}: {} here, {} on Instantly", instantly_id, key,
                                                 shown(value_in(row->second.content, key)),
                                                 shown(value_in(lead->content, key))));
        for (const auto& key : differences(base->second.content, lead->content))
            outcome.broken.push_back(fmt::format("lead {} {}: base {}, on Instantly {}", instantly_id, key,
                                                 shown(value_in(base->second.content, key)),
                                                 shown(value_in(lead->content, key))));
    }
    for (const auto& [id, row] : state.rows) {
        const bool placed = row.content[Field::campaign] || row.content[Field::list_id];
        if (row.instantly_id.text.empty()) {
            const bool told = row.status == SyncStatus::error && is_honest_error(row.error.value_or(""));
            if (placed && !told)
                outcome.broken.push_back(fmt::format("row {} was not created: {} {}", id.text,
                                                     sync::name_of(row.status), row.error.value_or("")));
        } else if (!remote_ids.contains(row.instantly_id.text)) {
            const bool told = row.status == SyncStatus::deleted
                              || (row.status == SyncStatus::error && is_honest_error(row.error.value_or("")));
            if (!told)
                outcome.broken.push_back(fmt::format("row {} is {}, and its lead is gone: {}", id.text,
                                                     sync::name_of(row.status), row.error.value_or("")));
        }
    }
}

/// DESIGN §2 (1): the last edit of each side stands, or was overruled by the other with a row in crm.conflicts.
void SimulatedWorld::check_edits(Outcome& outcome) {
    const auto& state = store_->state();
    const std::chrono::milliseconds read_lag{instantly_->workspace().switches.read_lag_ms};
    std::multimap<std::pair<std::string, sync::Key>, const ModelConflict*> contested;
    for (const auto& [id, conflict] : state.conflicts) {
        const bool place = conflict.key == "campaign" || conflict.key == "list_id";
        contested.insert({{conflict.lead.text, place ? "place" : conflict.key}, &conflict});
    }
    for (const auto& [id, row] : state.rows) {
        const auto& there_id = row.instantly_id.text;
        if (row.status != SyncStatus::synced || there_id.empty()) continue;
        if (edits_.is_exempt(id.text) || edits_.is_exempt(there_id)) continue;
        std::set<sync::Key> keys;
        for (const auto* side : {&edits_.here, &edits_.there})
            for (const auto& [name, edit] : *side)
                if (name.first == (side == &edits_.here ? id.text : there_id)) keys.insert(name.second);
        for (const auto& key : keys) {
            const auto here = UserEdits::find(edits_.here, id.text, key);
            const auto there = UserEdits::find(edits_.there, there_id, key);
            if (key == "lt_interest_status" && instantly_->set_together.contains(there_id)) continue;
            const auto now = value_in(row.content, key);
            const auto window = unseen_window + read_lag;
            const auto overwritten = [&](const sync::Key& what) {
                return there && edits_.was_written(there_id, what, there->at, window);
            };
            // A server that replaces the map has all variables overwritten by a PATCH of one.
            const bool unseen = overwritten(key) || (sync::variable_of(key) && overwritten("custom_variables"));
            const auto conflicts = contested.equal_range({id.text, key});
            const bool told = std::any_of(conflicts.first, conflicts.second, [&](const auto& conflict) {
                return key == "place" || same(now, conflict.second->local) || same(now, conflict.second->remote);
            });
            if (told || (unseen && !here)) continue;
            // A value that was set here before, and whose write is in doubt, is taken for that write come through.
            const bool looks_like_ours = there && edits_.ever_here.contains({id.text, key, there->value});
            if (looks_like_ours && here && same(now, here->value)) continue;
            // Set here to what a lagging read still showed of there, the sides had agreed; what came next was an
            // edit.
            const bool seemed_agreed = here && there && here->at >= there->at && here->at - there->at < window
                                       && edits_.ever_there.contains({there_id, key, here->value});
            if (seemed_agreed && same(now, there->value)) continue;
            const bool either = unseen || (here && here->back_to_base) || (there && there->back_to_base);
            const bool here_is_last = here && (!there || here->at > there->at);
            const auto& last = here_is_last ? here : there;
            if (same(now, last->value)) continue;
            const auto& other = here_is_last ? there : here;
            if (either && other && same(now, other->value)) continue;
            outcome.broken.push_back(fmt::format(
                "lead {} {}: {} stands; set to {} here at {:.3f}, to {} on Instantly at {:.3f}, and no conflict "
                "tells",
                there_id, key, shown(now), here ? shown(here->value) : "-",
                here ? std::chrono::duration<double>(here->at.time_since_epoch()).count() - 3600 : 0.0,
                there ? shown(there->value) : "-",
                there ? std::chrono::duration<double>(there->at.time_since_epoch()).count() - 3600 : 0.0));
        }
    }
}

/// DESIGN §4: what the server has made of a write is believed, not sent again. (Where it looks as it did before the
/// write, nobody can tell that it arrived.)
void SimulatedWorld::check_no_arguing(Outcome& outcome) {
    const auto& state = store_->state();
    std::map<std::pair<std::string, sync::Key>, sync::Value> before_write;
    for (const auto& [entry, at] : state.history) {
        const std::pair name{entry.lead.text, entry.key};
        if (entry.side == sync::Side::local && entry.rule == "edit") before_write[name] = entry.before;
        const auto first = before_write.find(name);
        const auto row = state.rows.find(entry.lead);
        if (entry.rule != "sent again" || first == before_write.end() || row == state.rows.end()) continue;
        const bool made_of_it = sync::same_but_for_form(entry.before, entry.after)
                                && !sync::agree(entry.before, entry.after)
                                && !sync::same_but_for_form(entry.before, first->second);
        if (made_of_it && !edits_.there.contains({row->second.instantly_id.text, entry.key}))
            outcome.broken.push_back(fmt::format(
                "lead {} {}: {} was sent again although {} stood there, which was {} before", entry.lead.text,
                entry.key, shown(entry.after), shown(entry.before), shown(first->second)));
    }
}

/// DESIGN §4, stale answers: what is taken for an edit made on Instantly is a value that somebody set, there or here.
void SimulatedWorld::check_no_phantoms(Outcome& outcome) const {
    const auto set_by_somebody = [](const auto& ever, const std::string& id, const store::HistoryEntry& entry) {
        return std::ranges::any_of(ever, [&](const auto& edit) {
            return std::get<0>(edit) == id && std::get<1>(edit) == entry.key && same(entry.after, std::get<2>(edit));
        });
    };
    const auto& state = store_->state();
    for (const auto& [entry, at] : state.history) {
        if (entry.side != sync::Side::remote || entry.rule != "edit" || entry.after.value_or("").empty()) continue;
        const auto field = sync::field_named(entry.key);
        if (field && sync::spec(*field).kind != sync::Kind::text) continue;  // set for several leads, or by moves
        if (sync::same_but_for_form(entry.before, entry.after)) continue;    // by a write of the whole map
        const auto row = state.rows.find(entry.lead);
        if (row == state.rows.end() || edits_.is_exempt(entry.lead.text)) continue;
        const auto& there = row->second.instantly_id.text;
        if (edits_.is_exempt(there) || set_by_somebody(edits_.ever_there, there, entry)
            || set_by_somebody(edits_.ever_here, entry.lead.text, entry))
            continue;
        outcome.broken.push_back(fmt::format("lead {} {}: {} was taken for an edit there, and nobody made it", there,
                                             entry.key, shown(entry.after)));
    }
}

/// DESIGN §4: a write that does not show yet is waited for, not sent again at once.
void SimulatedWorld::check_patience(Outcome& outcome) const {
    std::map<std::pair<std::string, sync::Key>, sync::Instant> sent;
    for (const auto& [entry, at] : store_->state().history) {
        if (entry.side != sync::Side::local || (entry.rule != "edit" && entry.rule != "sent again")) continue;
        auto& last = sent[{entry.lead.text, entry.key}];
        if (entry.rule == "sent again" && at - last < daemon::PusherTiming{}.patience)
            outcome.broken.push_back(fmt::format("lead {} {}: sent again after {} ms", entry.lead.text, entry.key,
                                                 std::chrono::floor<std::chrono::milliseconds>(at - last).count()));
        last = at;
    }
}

/// DESIGN §2 (4): what was claimed is settled or given back long before its lease ends, also where the answer to the
/// claim was lost.
void SimulatedWorld::check_leases(sync::Instant quiet_since) {
    for (const auto& [id, queued] : store_->state().queue)
        if (queued.lease_until && *queued.lease_until - daemon::PusherTiming{}.lease < quiet_since)
            outcome_.broken.push_back(fmt::format("lead {} is leased, and nobody is at work on it", id.text));
}

/// DESIGN §2 (6): no create makes a second lead.
void SimulatedWorld::check_no_twins(Outcome& outcome) {
    if (lists_lie_) return;
    std::map<std::string, std::vector<std::string>> seen;
    for (const auto& id : instantly_->lead_ids()) {
        const auto lead = truth(id);
        const auto email = lower(lead->content[Field::email].value_or(""));
        if (email.starts_with("new") && !made_on_both_sides_.contains(email)) seen[email].push_back(id);
        const auto name = lead->content[Field::first_name].value_or("");
        // One without an email that somebody has edited or moved there meanwhile can't be known again.
        const bool touched =
            std::ranges::any_of(edits_.ever_there, [&](const auto& edit) { return std::get<0>(edit) == id; });
        if (email.empty() && name.starts_with("Nobody") && !touched) seen[name].push_back(id);
    }
    for (const auto& [name, ids] : seen)
        if (ids.size() > 1)
            outcome.broken.push_back(
                fmt::format("{} leads were made of one, {}: {}", ids.size(), name, fmt::join(ids, ", ")));
}

}  // namespace leadsync::simulation
