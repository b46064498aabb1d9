#include <algorithm>
#include <regex>
#include <stdexcept>

#include "tests/simulation/model_store.hpp"

// What migrations/0002_capture.sql, 0003_operators.sql, 0018_edits_keep_their_place.sql, 0027_numbers_that_last.sql
// and 0028_ids_used_again.sql do when a user writes.

namespace leadsync::simulation {
namespace {

using store::Approval;
using sync::Field;
using sync::LeadId;
using sync::Owner;
using sync::SyncStatus;
using sync::Value;

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument{message}; }

bool is_flat(const sync::CustomVariables& variables) {
    return std::ranges::none_of(variables, [](const auto& variable) { return variable.second.is_structured(); });
}

bool has_target(const sync::Content& content) { return content[Field::campaign] || content[Field::list_id]; }

/// What no call could carry to Instantly.
void check_row(const ModelRow& row) {
    static const std::regex address{R"([^@\s]+@[^@\s]+\.[^@\s]+)"};
    const auto& content = row.content;
    if (!is_flat(content.custom_variables)) refuse("custom_variables must be a flat JSON object");
    if (!row.instantly_id.text.empty()) return;
    const auto& email = content[Field::email];
    if (email && !std::regex_match(*email, address)) refuse("\"" + *email + "\" is no email address");
    if (content[Field::campaign] && !email) refuse("a lead in a campaign needs an email");
    if (content[Field::campaign] && content[Field::list_id])
        refuse("a new lead goes to a campaign or to a list, not to both");
}

Value error_of_pending(const ModelRow& row) {
    if (!row.instantly_id.text.empty() || has_target(row.content)) return std::nullopt;
    return "local only: set campaign or list_id to create it on Instantly";
}

/// Queues a lead for an edit, or for whatever else a person wants done with it.
ModelQueued& revive(ModelState& state, const LeadId& id, Instant now) {
    auto& lead = queue_up(state, id, now);
    lead.due_at = now;
    lead.attempts = 0;
    lead.resends = 0;
    lead.dead_at.reset();
    return lead;
}

ModelQueued& capture(ModelState& state, const LeadId& id, Instant now) {
    const auto waiting = state.queue.find(id);
    std::optional<Instant> place;
    if (waiting != state.queue.end() && !waiting->second.dead_at && !is_leased(waiting->second, now))
        place = waiting->second.due_at;
    auto& lead = revive(state, id, now);
    if (place) lead.due_at = std::min(*place, now);
    lead.decision = Approval::none;
    lead.decided.reset();
    lead.edited_at = now;
    return lead;
}

/// Whether a tombstone is the lead that this row is again.
bool is_of(const ModelBase& tombstone, const sync::Content& content) {
    const bool is_being_deleted = tombstone.expected && tombstone.expected->contains("");
    const bool is_same_person =
        !tombstone.deleted_email || same_email(tombstone.deleted_email, content[Field::email].value_or(""));
    return is_same_person && !tombstone.gone_at && !is_being_deleted;
}

void put_aside(ModelState& state, const LeadId& id, const LeadId& other) {
    if (const auto base = state.bases.find(id); base != state.bases.end()) {
        const auto tombstone = base->second;
        state.bases.erase(id);
        state.bases.put(other, tombstone.instantly_id) = tombstone;
    }
    if (auto noted = state.creates.extract(id)) {
        noted.key() = other;
        state.creates.insert(std::move(noted));
    }
    if (auto queued = state.queue.extract(id)) {
        queued.key() = other;
        state.queue.insert(std::move(queued));
    }
    for (auto& [number, held] : state.held)
        if (held.lead == id) held.lead = other;
    for (auto& [number, conflict] : state.conflicts)
        if (conflict.lead == id && !conflict.resolved_at) conflict.lead = other;
}

}  // namespace

LeadId ModelStore::insert(const sync::Content& content, std::optional<LeadId> given) {
    for (const auto& line : sync::field_table())
        if (line.owner == Owner::instantly && content[line.field])
            refuse("column \"" + std::string{line.name} + "\" of crm.leads can't be set here");
    ModelRow row{.content = content};
    check_row(row);
    row.error = error_of_pending(row);
    auto id = given ? std::move(*given) : surroundings_.new_id();
    if (const auto base = state_.bases.find(id); base != state_.bases.end() && base->second.deleted_at) {
        if (is_of(base->second, content)) {
            row.instantly_id = base->second.instantly_id;
            base->second.deleted_at.reset();
            base->second.content_hash = 0;
            base->second.expected.reset();
            base->second.expected_until.reset();
        } else {
            put_aside(state_, id, surroundings_.new_id());
        }
    } else if (const auto noted = state_.creates.find(id);
               noted != state_.creates.end() && !state_.rows.contains(id)
               && lower(noted->second.email.value_or("")) != lower(content[Field::email].value_or(""))) {
        put_aside(state_, id, surroundings_.new_id());
    }
    state_.rows.emplace(id, std::move(row));
    if (has_target(content)) capture(state_, id, surroundings_.now());
    return id;
}

void ModelStore::update(const LeadId& id, const std::function<void(sync::Content&)>& edit) {
    const auto found = state_.rows.find(id);
    if (found == state_.rows.end()) return;
    auto row = found->second;
    edit(row.content);
    const auto& before = found->second.content;
    for (const auto& line : sync::field_table())
        if (line.owner != Owner::both_ways && row.content[line.field] != before[line.field])
            refuse("column \"" + std::string{line.name} + "\" of crm.leads can't be set here");
    if (row.content == before) return;
    check_row(row);
    if (row.status != SyncStatus::held) {
        row.status = SyncStatus::pending;
        row.error = error_of_pending(row);
    }
    const bool is_anywhere = !row.instantly_id.text.empty() || has_target(row.content);
    found->second = std::move(row);
    if (is_anywhere) capture(state_, id, surroundings_.now());
}

void ModelStore::erase(const LeadId& id) {
    const auto row = state_.rows.find(id);
    if (row == state_.rows.end()) return;
    const bool is_anywhere = !row->second.instantly_id.text.empty() || has_target(row->second.content);
    const auto email = row->second.content[Field::email];
    state_.rows.erase(row);
    const auto now = surroundings_.now();
    if (const auto base = state_.bases.find(id); base != state_.bases.end() && !base->second.deleted_at) {
        base->second.deleted_at = now;
        base->second.deleted_email = email.value_or("");
    }
    std::erase_if(state_.merges,
                  [&](const auto& merge) { return merge.first == id || merge.second.destination == id; });
    state_.absent.erase(id);
    forget_undecided(state_, id);
    if (is_anywhere) capture(state_, id, now).held_at.reset();
}

void ModelStore::resolve(std::int64_t conflict, sync::Side side) {
    const auto found = state_.conflicts.find(conflict);
    if (found == state_.conflicts.end()) return;
    if (found->second.resolution) refuse("conflict " + std::to_string(conflict) + " was resolved already");
    found->second.resolution = side == sync::Side::local ? Resolution::local : Resolution::remote;
    if (!found->second.resolved_at) revive(state_, found->second.lead, surroundings_.now());
}

void ModelStore::decide(std::int64_t held, bool approve) {
    const auto found = state_.held.find(held);
    if (found == state_.held.end()) return;
    auto& [lead, kind, reason, decision, held_at, decided_at] = found->second;
    if (decision != Approval::none) refuse("held change " + std::to_string(held) + " was decided already");
    decision = approve ? Approval::approved : Approval::rejected;
    const auto now = surroundings_.now();
    decided_at = now;
    auto& queued = queue_up(state_, lead, now);
    queued.due_at = now;
    queued.attempts = 0;
    queued.dead_at.reset();
    const bool waits_for_more = std::ranges::any_of(state_.held, [&](const auto& other) {
        return other.second.lead == lead && other.second.decision == Approval::none;
    });
    if (!waits_for_more) queued.held_at.reset();
    if (queued.decision == Approval::rejected) return;
    queued.decision = decision;
    queued.decided = kind;
}

void ModelStore::merge_leads(const LeadId& source, const LeadId& destination) {
    if (source == destination) refuse("a lead can't be merged with itself");
    for (const auto& id : {source, destination}) {
        const auto row = state_.rows.find(id);
        if (row == state_.rows.end()) refuse("the workspace has no lead " + id.text);
        if (row->second.instantly_id.text.empty() || row->second.deleted_at)
            refuse("lead " + id.text + " is not on Instantly");
        const bool merging = std::ranges::any_of(state_.merges, [&](const auto& merge) {
            return merge.first == id || (merge.second.destination == id && id == source);
        });
        if (merging) refuse("lead " + id.text + " is being merged already");
    }
    state_.merges.emplace(source, ModelMerge{.destination = destination});
    auto& row = state_.rows.at(source);
    if (row.status != SyncStatus::held) row.status = SyncStatus::pending;
    revive(state_, source, surroundings_.now());
}

}  // namespace leadsync::simulation
