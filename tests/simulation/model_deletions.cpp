#include <algorithm>

#include "tests/simulation/model_leads.hpp"

namespace leadsync::simulation {

using sync::InstantlyId;
using sync::LeadId;
using sync::SyncStatus;

void ModelLeads::note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                             const std::vector<InstantlyId>& present, Instant requested_at) {
    seen(present);
    const auto& state = transaction_.read();
    const std::set<InstantlyId> shown{present.begin(), present.end()};
    const auto& known = state.bases.by_instantly_id();
    std::map<LeadId, ModelAbsent> missing;
    for (auto lead = after ? known.upper_bound({*after}) : known.begin();
         lead != known.end() && (!last || lead->first.text <= *last); ++lead) {
        const auto& [instantly_id, id] = *lead;
        const auto& base = state.bases.at(id);
        if (state.merges.contains(id) || shown.contains(instantly_id)) continue;
        if (base.deleted_at || base.gone_at || (base.written_at && *base.written_at >= requested_at)) continue;
        missing.try_emplace(id, ModelAbsent{.instantly_id = instantly_id});
    }
    if (!missing.empty()) transaction_.write().absent.merge(missing);
}

void ModelLeads::note_absent(const std::vector<InstantlyId>& asked, const std::vector<InstantlyId>& present,
                             Instant requested_at) {
    seen(present);
    const auto& state = transaction_.read();
    std::map<LeadId, ModelAbsent> missing;
    for (const auto& lead : asked) {
        const auto found = base_of(state, lead);
        if (found == state.bases.end() || std::ranges::count(present, lead) > 0) continue;
        const auto& [id, base] = *found;
        const bool is_written_since = base.written_at && *base.written_at >= requested_at;
        if (base.deleted_at || base.gone_at || is_written_since || state.merges.contains(id)) continue;
        missing.try_emplace(id, ModelAbsent{.instantly_id = lead, .by = store::Absence::look});
    }
    if (!missing.empty()) transaction_.write().absent.merge(missing);
}

void ModelLeads::seen(const std::vector<InstantlyId>& ids) {
    if (transaction_.read().absent.empty()) return;
    auto& state = transaction_.write();
    for (auto absent = state.absent.begin(); absent != state.absent.end();) {
        const auto& [id, noted] = *absent;
        if (!noted.confirmed_at || std::ranges::count(ids, noted.instantly_id) == 0) {
            ++absent;
            continue;
        }
        const auto undecided = std::erase_if(state.held, [&](const auto& held) {
            return held.second.lead == id && held.second.kind == store::HoldKind::remote_deletion
                   && held.second.decision == store::Approval::none;
        });
        if (undecided > 0) {
            auto& queued = queue_up(state, id, transaction_.now());
            queued.due_at = transaction_.now();
            const bool waits = std::ranges::any_of(state.held, [&](const auto& held) {
                return held.second.lead == id && held.second.decision == store::Approval::none;
            });
            if (!waits) queued.held_at.reset();
        }
        absent = state.absent.erase(absent);
    }
}

std::vector<std::pair<LeadId, InstantlyId>> ModelLeads::absent(store::Absence by, int limit) {
    std::vector<std::pair<LeadId, InstantlyId>> noted;
    const auto& state = transaction_.read();
    for (const auto& [id, absent] : state.absent)
        if (!absent.confirmed_at && absent.by == by && !state.merges.contains(id)
            && static_cast<int>(noted.size()) < limit)
            noted.emplace_back(id, absent.instantly_id);
    return noted;
}

void ModelLeads::looked_into(const std::vector<LeadId>& ids, const std::unordered_set<std::string>& confirmed,
                             Instant requested_at) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        const auto noted = state.absent.find(id);
        if (noted == state.absent.end()) continue;
        if (!confirmed.contains(id.text)) {
            state.absent.erase(noted);
            continue;
        }
        noted->second.confirmed_at = transaction_.now();
        if (const auto base = state.bases.find(id); base != state.bases.end())
            base->second.observed_at = std::max(base->second.observed_at.value_or(requested_at), requested_at);
    }
}

std::vector<LeadId> ModelLeads::confirmed_absent() {
    std::vector<LeadId> ids;
    for (const auto& [id, absent] : transaction_.read().absent)
        if (absent.confirmed_at) ids.push_back(id);
    return ids;
}

std::int64_t ModelLeads::forget_old_tombstones(std::chrono::milliseconds margin, std::int64_t limit) {
    const auto& state = transaction_.read();
    const auto& swept = state.workspace.fresh_as_of;
    if (!swept) return 0;
    std::vector<LeadId> old;
    for (const auto& [id, base] : state.bases) {
        const bool is_deleted = base.deleted_at && base.expected && base.expected->contains("");
        if (!is_deleted || !base.buried_at || *base.buried_at > *swept - margin || state.queue.contains(id)) continue;
        old.push_back(id);
        if (std::ssize(old) == limit) break;
    }
    if (old.empty()) return 0;
    auto& bases = transaction_.write().bases;
    for (const auto& id : old) bases.erase(id);
    return std::ssize(old);
}

bool ModelLeads::has_unsent_edit(const LeadId& id) const {
    const auto& state = transaction_.read();
    const auto queued = state.queue.find(id);
    return state.rows.at(id).status == SyncStatus::pending
           || (queued != state.queue.end() && queued->second.edited_at)
           || std::ranges::any_of(state.conflicts, [&](const auto& conflict) {
                  return conflict.second.lead == id && !conflict.second.resolved_at;
              });
}

void ModelLeads::settle_gone_row(const LeadId& id, sync::RemoteDeletes policy) {
    auto& state = transaction_.write();
    const bool unsent = has_unsent_edit(id);
    auto& row = state.rows.at(id);
    const store::HistoryEntry told{
        .lead = id, .before = row.content[sync::Field::email], .rule = "deleted", .request = "GET /leads/{id}: 404"};
    state.history.push_back({told, transaction_.now()});
    forget_undecided(state, id);
    if (const auto queued = state.queue.find(id); queued != state.queue.end() && unsent) {
        auto& lead = queued->second;
        lead.dead_at = transaction_.now();
        lead.lease_token.reset();
        lead.lease_until.reset();
        lead.held_at.reset();
        lead.decision = store::Approval::none;
        lead.decided.reset();
        lead.last_error = "deleted on Instantly";
    }
    if (unsent || policy == sync::RemoteDeletes::mark) {
        row.status = unsent ? SyncStatus::error : SyncStatus::deleted;
        row.error.reset();
        if (unsent)
            row.error =
                "deleted on Instantly before this edit was sent: to have it there again, insert it as a new lead; "
                "otherwise delete this row";
        row.deleted_at = transaction_.now();
    }
    if (unsent) return;
    state.queue.erase(id);
    if (policy != sync::RemoteDeletes::remove) return;
    state.rows.erase(id);
    state.bases.erase(id);
}

void ModelLeads::remember_gone(const LeadId& id) {
    auto& state = transaction_.write();
    const auto base = state.bases.find(id);
    if (base == state.bases.end()) return;
    base->second.gone_at = transaction_.now();
    base->second.content_hash = 0;
    base->second.expected.reset();
    base->second.expected_until.reset();
}

void ModelLeads::mark_gone(const std::vector<LeadId>& ids, sync::RemoteDeletes policy) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    const std::set<LeadId> in_order{ids.begin(), ids.end()};
    for (const auto& id : in_order) {
        if (state.rows.contains(id)) settle_gone_row(id, policy);
        state.absent.erase(id);
        state.merges.erase(id);
        remember_gone(id);
    }
}

void ModelLeads::bring_back(const std::vector<LeadId>& ids) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        const auto base = state.bases.find(id);
        if (base == state.bases.end()) continue;
        base->second.deleted_at.reset();
        base->second.content_hash = 0;
    }
}

void ModelLeads::keep_gone(const std::vector<LeadId>& ids) {
    set_status(ids, SyncStatus::error, "gone on Instantly; its deletion here was rejected");
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        remember_gone(id);
        state.absent.erase(id);
    }
}

}  // namespace leadsync::simulation
