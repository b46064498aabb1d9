#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "connectors/store/leads.hpp"
#include "connectors/store/progress.hpp"
#include "connectors/store/queue.hpp"

namespace leadsync::simulation {

using sync::Instant;

inline std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return text;
}

inline bool same_email(const sync::Value& one, const sync::Value& other) {
    return one && other && lower(*one) == lower(*other);
}

/// A row of `crm.leads`.
struct ModelRow {
    sync::InstantlyId instantly_id;  ///< empty: null
    sync::Content content;
    nlohmann::json extra = nlohmann::json::object();
    sync::SyncStatus status = sync::SyncStatus::pending;
    sync::Value error;
    std::optional<Instant> synced_at;
    std::optional<Instant> deleted_at;
};

/// A row of `sync.base`.
struct ModelBase {
    sync::InstantlyId instantly_id;
    sync::Content content;
    std::uint64_t content_hash = 0;
    std::uint64_t raw_hash = 0;
    sync::Value remote_updated_at;
    std::optional<std::map<sync::Key, sync::Value>> expected;
    std::optional<Instant> expected_until;
    std::optional<Instant> written_at;
    std::optional<Instant> observed_at;
    std::map<sync::Key, sync::Flip> flips;
    std::map<sync::Key, sync::LateWrite> late;
    std::optional<Instant> deleted_at;
    sync::Value deleted_email;  ///< null: not known any more
    std::optional<Instant> buried_at;
    std::optional<Instant> gone_at;
};

/// `sync.base` with the index of its leads' ids on Instantly.
class ModelBases {
public:
    using Rows = std::map<sync::LeadId, ModelBase>;

    [[nodiscard]] Rows::const_iterator begin() const { return rows_.begin(); }
    [[nodiscard]] Rows::const_iterator end() const { return rows_.end(); }
    [[nodiscard]] Rows::iterator end() { return rows_.end(); }
    [[nodiscard]] Rows::const_iterator find(const sync::LeadId& id) const { return rows_.find(id); }
    [[nodiscard]] Rows::iterator find(const sync::LeadId& id) { return rows_.find(id); }
    [[nodiscard]] bool contains(const sync::LeadId& id) const { return rows_.contains(id); }
    [[nodiscard]] const ModelBase& at(const sync::LeadId& id) const { return rows_.at(id); }
    [[nodiscard]] ModelBase& at(const sync::LeadId& id) { return rows_.at(id); }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }

    /// In order of the ids on Instantly.
    [[nodiscard]] const std::map<sync::InstantlyId, sync::LeadId>& by_instantly_id() const { return ids_; }

    /// The row of `id`, made where there is none, which is of this lead on Instantly from now on.
    ModelBase& put(const sync::LeadId& id, const sync::InstantlyId& instantly_id) {
        auto& base = rows_[id];
        if (base.instantly_id != instantly_id) ids_.erase(base.instantly_id);
        base.instantly_id = instantly_id;
        ids_[instantly_id] = id;
        return base;
    }
    void erase(const sync::LeadId& id) {
        const auto base = rows_.find(id);
        if (base == rows_.end()) return;
        ids_.erase(base->second.instantly_id);
        rows_.erase(base);
    }

private:
    Rows rows_;
    std::map<sync::InstantlyId, sync::LeadId> ids_;
};

/// A row of `sync.queue`.
struct ModelQueued {
    std::int64_t generation = 1;
    Instant due_at;
    int attempts = 0;
    int resends = 0;
    std::optional<std::int64_t> lease_token;
    std::optional<Instant> lease_until;
    sync::Value last_error;
    std::optional<Instant> dead_at;
    std::optional<Instant> edited_at;
    std::optional<Instant> held_at;
    store::Approval decision = store::Approval::none;
    std::optional<store::HoldKind> decided;
};

inline bool is_leased(const ModelQueued& lead, Instant now) { return lead.lease_until && *lead.lease_until > now; }

/// What `crm.conflicts.resolution` can say.
enum class Resolution { local, remote, agreed };

/// A row of `crm.conflicts`, without its id.
struct ModelConflict {
    sync::LeadId lead;
    sync::Key key;
    sync::Value base;
    sync::Value local;
    sync::Value remote;
    sync::Rule rule = sync::Rule::local;
    std::optional<Resolution> resolution;
    std::optional<Instant> resolved_at;
};

/// A row of `crm.held`, without its id.
struct ModelHeld {
    sync::LeadId lead;
    store::HoldKind kind = store::HoldKind::create;
    std::string reason;
    store::Approval decision = store::Approval::none;
    Instant held_at{};
    std::optional<Instant> decided_at;
};

/// A row of `crm.history`; they lie in the order in which they were written.
struct ModelHistory {
    store::HistoryEntry entry;
    Instant at;
};

/// A row of `sync.absent`.
struct ModelAbsent {
    sync::InstantlyId instantly_id;
    store::Absence by = store::Absence::sweep;
    std::optional<Instant> confirmed_at;
};

/// A row of `sync.merges`, by its source.
struct ModelMerge {
    sync::LeadId destination;
    std::optional<Instant> sent_at;
};

struct ModelRange {
    store::SweepRange at;
    store::SweepStep read;
    bool is_complete = false;
};

struct ModelSweep {
    Instant started_at;
    std::map<std::int64_t, ModelRange> ranges;
};

/// The row of `crm.workspaces`.
struct ModelWorkspace {
    sync::Value instantly_id;
    sync::Value instantly_name;
    std::string state = "starting";
    std::optional<std::string> reason;
    std::optional<std::int64_t> leads_on_instantly;
    std::optional<Instant> backfilled_at;
    std::optional<Instant> sweep_completed_at;
    std::optional<Instant> fresh_as_of;
    std::optional<Instant> new_leads_checked_at;
    std::optional<sync::InstantlyId> new_leads_read_to;
    std::int64_t active_leads = 0;
    std::optional<Instant> active_as_of;
    std::optional<Instant> repaired_at;  ///< of `sync.repairs`
    std::size_t requests_last_minute = 0;
    bool asleep = false;  ///< of `sync.doorbell`
    std::vector<store::SpentSecond> spent;
    std::map<std::int64_t, ModelRange> chains;  ///< of `sync.ranges`
    std::optional<ModelSweep> sweep;            ///< of `sync.sweeps` and `sync.ranges`
    std::int64_t next_range = 1;
};

/// All tables of one workspace, as values.
struct ModelState {
    std::map<sync::LeadId, ModelRow> rows;
    ModelBases bases;
    std::map<sync::LeadId, ModelQueued> queue;
    std::map<std::int64_t, ModelConflict> conflicts;
    std::map<std::int64_t, ModelHeld> held;
    std::vector<ModelHistory> history;
    std::map<sync::LeadId, ModelAbsent> absent;
    std::map<sync::InstantlyId, Instant> active;  ///< until when
    std::map<sync::LeadId, store::NotedCreate> creates;
    std::map<sync::LeadId, ModelMerge> merges;
    ModelWorkspace workspace;
    std::map<store::Catalog, std::map<std::string, store::CatalogRow>> catalogs;
    std::int64_t next_conflict = 1;
    std::int64_t next_held = 1;
    std::int64_t next_lease_token = 1;
    std::map<sync::LeadId, std::deque<std::string>> attempts;  ///< their errors, oldest first
};

/// The base of the lead that Instantly knows by this id; the end when there is none.
template <class State>
auto base_of(State& state, const sync::InstantlyId& id) {
    const auto& ids = state.bases.by_instantly_id();
    const auto found = ids.find(id);
    return found == ids.end() ? state.bases.end() : state.bases.find(found->second);
}

/// Queues a lead, or raises its generation. Hands out the row, so that the caller sets what else it changes.
ModelQueued& queue_up(ModelState& state, const sync::LeadId& id, Instant now);

/// Forgets what waits for an operator's word on this lead.
void forget_undecided(ModelState& state, const sync::LeadId& id);

/// The state within one transaction. It is copied when it is first written to, so that it can be put back.
class ModelTransaction {
public:
    ModelTransaction(ModelState& state, Instant now) : state_{state}, now_{now} {}

    [[nodiscard]] const ModelState& read() const { return state_; }
    ModelState& write() {
        if (before_) return state_;
        // The history only grows, as a rule, and is by far the largest: its length is enough.
        auto history = std::exchange(state_.history, {});
        before_ = state_;
        state_.history = std::move(history);
        history_before_ = state_.history.size();
        return state_;
    }
    /// For those who also shorten the history.
    ModelState& write_history() {
        auto& state = write();
        before_->history = state.history;
        history_before_.reset();
        return state;
    }
    /// Of the state only this: most transactions, by far, write nothing else, and copying the rest takes long.
    ModelWorkspace& write_workspace() {
        if (!before_ && !workspace_before_) workspace_before_ = state_.workspace;
        return state_.workspace;
    }
    void roll_back() {
        if (before_ && history_before_) {
            before_->history = std::move(state_.history);
            before_->history.resize(*history_before_);
        }
        if (before_) state_ = std::move(*before_);
        if (workspace_before_) state_.workspace = std::move(*workspace_before_);
    }

    /// The database's now(): the same throughout the transaction.
    [[nodiscard]] Instant now() const { return now_; }

private:
    ModelState& state_;
    Instant now_;
    std::optional<ModelState> before_;
    std::optional<std::size_t> history_before_;
    std::optional<ModelWorkspace> workspace_before_;
};

}  // namespace leadsync::simulation
