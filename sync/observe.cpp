#include "sync/observe.hpp"

#include <array>
#include <stdexcept>

namespace leadsync::sync {
namespace {

constexpr std::array<std::string_view, 7> status_names{"synced", "pending", "verifying", "conflict",
                                                       "held",   "error",   "deleted"};

/// A lead given up on or held stays so while there is something left to send.
SyncStatus status_after(const MergeResult& result, SyncStatus before) {
    if (!result.to_push.empty()) {
        const bool stays = before == SyncStatus::error || before == SyncStatus::held;
        return stays ? before : SyncStatus::pending;
    }
    if (!result.awaited.empty()) return SyncStatus::verifying;
    return result.parked.empty() ? SyncStatus::synced : SyncStatus::conflict;
}

}  // namespace

std::string_view name_of(SyncStatus status) { return status_names.at(static_cast<std::size_t>(status)); }

SyncStatus sync_status_named(std::string_view name) {
    for (std::size_t i = 0; i < status_names.size(); ++i)
        if (status_names.at(i) == name) return static_cast<SyncStatus>(i);
    throw std::invalid_argument{"no sync_status is called " + std::string{name}};
}

bool is_stale(const Observation& observation, const KnownLead& known, Instant now) {
    // A time far ahead was told by a clock that has been set back since, and orders nothing. A little ahead is what
    // was written while this answer was on its way into the database.
    const auto came_before = [&](const std::optional<Instant>& at) {
        return at && *at <= now + clock_step_min && observation.requested_at < *at;
    };
    if (came_before(known.written_at) || came_before(known.observed_at)) return true;
    const auto& updated = observation.lead.content[Field::timestamp_updated];
    const bool may_lag = !known.observed_at || observation.requested_at - *known.observed_at < read_lag_max;
    return may_lag && updated && *updated < known.remote_updated_at;  // canonical times sort as text
}

Content both_ways_of(const Content& content) {
    Content both_ways;
    for (const auto& line : field_table())
        if (line.owner == Owner::both_ways) both_ways[line.field] = content[line.field];
    both_ways.custom_variables = content.custom_variables;
    return both_ways;
}

LeadRow new_row(const LeadId& id, Observation observation) {
    LeadRow row{.id = id, .instantly_id = observation.lead.id};
    row.local = std::move(observation.lead.content);
    row.extra = std::move(observation.lead.extra);
    row.content_hash = observation.lead.content_hash;
    row.raw_hash = observation.lead.raw_hash;
    row.observed_at = observation.requested_at;
    return row;
}

Outcome take_in(const KnownLead& known, const Observation& observation, const ConflictPolicy& policy) {
    Circumstances circumstances{.at = observation.requested_at,
                                .local_edited_at = known.edited_at,
                                .open = known.open,
                                .form_is_believed = known.form_is_believed};
    // Without its `Date` Instantly's clock is taken to be ours.
    if (circumstances.local_edited_at)
        *circumstances.local_edited_at += observation.clock_ahead.value_or(std::chrono::microseconds{0});
    Outcome outcome{.result = merge(known.base, known.local, observation.lead, policy, circumstances)};
    auto& row = outcome.row;
    row.id = known.id;
    row.instantly_id = observation.lead.id;
    row.local = outcome.result.local;
    row.extra = observation.lead.extra;
    row.status = status_after(outcome.result, known.status);
    if (row.status == SyncStatus::error || row.status == SyncStatus::held) row.error = known.error;
    row.base = outcome.result.base;
    // What may come through late is looked for until it can't any more, also where the lead shows nothing new.
    if (row.base->late.empty()) {
        row.content_hash = observation.lead.content_hash;
        row.raw_hash = observation.lead.raw_hash;
    }
    row.observed_at = observation.requested_at;
    return outcome;
}

bool differ_both_ways(const Content& one, const Content& other) {
    for (const auto& line : field_table())
        if (line.owner == Owner::both_ways && !agree(one[line.field], other[line.field])) return true;
    for (const auto* side : {&one, &other})
        for (const auto& [name, value] : side->custom_variables)
            if (!agree(text_of(one.custom_variables, name), text_of(other.custom_variables, name))) return true;
    return false;
}

bool has_local_edits(const KnownLead& known) {
    return !merge(known.base, known.local, {.content = known.base.content}, {}).to_push.empty();
}

std::vector<Change> undo(KnownLead& known) {
    const auto edited = merge(known.base, known.local, {.content = known.base.content}, {});
    std::vector<Change> changes;
    for (const auto* keys : {&edited.to_push, &edited.awaited})
        for (const auto& key : *keys) {
            auto before = value_of(known.local, key);
            auto after = value_of(known.base.content, key);
            if (!agree(before, after)) changes.push_back({key, std::move(before), std::move(after), "rejected"});
        }
    for (const auto& line : field_table())
        if (line.owner == Owner::both_ways) known.local[line.field] = known.base.content[line.field];
    known.local.custom_variables = known.base.content.custom_variables;
    return changes;
}

}  // namespace leadsync::sync
