#pragma once

#include <optional>
#include <string>

#include "sync/merge.hpp"

namespace leadsync::sync {

/// `crm.leads.sync_status`.
enum class SyncStatus {
    synced,
    pending,    ///< an edit is on its way
    verifying,  ///< accepted by Instantly, not read back yet
    conflict,   ///< a person decides
    held,       ///< the guard holds it until it is approved or rejected
    error,      ///< given up on until the next edit; `sync_error` says why
    deleted,    ///< gone on Instantly
};

std::string_view name_of(SyncStatus status);
/// Throws std::invalid_argument when no status is called so.
SyncStatus sync_status_named(std::string_view name);

/// A lead as its rows in `crm.leads` and `sync.base` are to be.
struct LeadRow {
    LeadId id;
    InstantlyId instantly_id;
    Content local;
    nlohmann::json extra = nlohmann::json::object();
    SyncStatus status = SyncStatus::synced;
    Value error;
    std::optional<Base> base;        ///< nothing: it is what the row holds, as of a new lead
    std::uint64_t content_hash = 0;  ///< 0: whatever the lead shows next is merged
    std::uint64_t raw_hash = 0;
    Instant observed_at;  ///< when the answer that the base rests on was asked for, by the daemon's clock
};

/// A lead as its rows are.
struct KnownLead {
    LeadId id;
    InstantlyId instantly_id;
    Content local;  ///< email, both-ways fields, custom variables
    Base base;
    std::string remote_updated_at;       ///< canonical; empty when unknown
    std::optional<Instant> written_at;   ///< end of our last completed write, by the daemon's clock
    std::optional<Instant> observed_at;  ///< when the answer that the base rests on was asked for, by that clock
    std::optional<Instant> edited_at;    ///< the last local edit not yet dealt with, by the daemon's clock
    std::map<Key, OpenConflict> open;    ///< conflicts that wait for a person, or have their word
    bool form_is_believed = false;       ///< see Circumstances
    SyncStatus status = SyncStatus::synced;
    Value error;
};

/// How long reads may lag behind what is stored (INSTANTLY.md says seconds).
inline constexpr std::chrono::seconds read_lag_max{60};

/// By how much a time has to lie ahead of the clock for the clock to have been set back.
inline constexpr std::chrono::seconds clock_step_min{60};

/// Whether the answer is older than what is known of the lead, so that it must not undo anything: asked for before
/// our last completed write or before the answer that the base rests on, or with an older `timestamp_updated` than
/// the base (DESIGN §4, Stale pages). That one counts no longer than reads can lag: a server whose clock went back,
/// or that told a time it did not keep, would not be believed ever again. `now`: by the clock that told when it was
/// asked for.
bool is_stale(const Observation& observation, const KnownLead& known, Instant now);

/// The row of a lead that nothing stands for here: what Instantly holds.
LeadRow new_row(const LeadId& id, Observation observation);

/// What an observation makes of a known lead.
struct Outcome {
    LeadRow row;
    MergeResult result;
};
Outcome take_in(const KnownLead& known, const Observation& observation, const ConflictPolicy& policy);

/// The both-ways part of a lead's content: what a base holds.
Content both_ways_of(const Content& content);

/// Whether two contents hold another value of anything that both sides may set.
bool differ_both_ways(const Content& one, const Content& other);

/// Whether the row holds edits that the base does not.
bool has_local_edits(const KnownLead& known);

/// Puts the local values back to the base: an operator has rejected the edits. What that changes, for the history.
std::vector<Change> undo(KnownLead& known);

}  // namespace leadsync::sync
