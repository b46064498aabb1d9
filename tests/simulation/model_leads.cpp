#include "tests/simulation/model_leads.hpp"

#include <algorithm>
#include <set>

namespace leadsync::simulation {
namespace {

using sync::Field;
using sync::InstantlyId;
using sync::LeadId;
using sync::Owner;
using sync::SyncStatus;
using sync::Value;

/// SQL's `=`: nothing equals nothing.
bool equal(const Value& one, const Value& other) { return one && other && *one == *other; }

/// What is read of a row: not what is Instantly's alone.
sync::Content readable(const sync::Content& content) {
    auto result = content;
    for (const auto& line : sync::field_table())
        if (line.owner == Owner::instantly) result[line.field].reset();
    return result;
}

/// Neither deleted here nor gone on Instantly.
bool is_on_both_sides(const ModelBase& base) { return !base.deleted_at && !base.gone_at; }

/// Of a row that waits for nothing: what it holds, or says of itself, is not what was agreed on.
bool is_untold_edit(const ModelRow& row, const ModelBase& base) {
    if (row.status == SyncStatus::pending || row.status == SyncStatus::verifying) return true;
    return row.status == SyncStatus::synced && sync::differ_both_ways(row.content, base.content);
}

std::vector<LeadId> sorted(std::vector<LeadId> ids) {
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

/// The conflict of this lead and key that is open, or resolved and not carried out.
ModelConflict* unsettled(ModelState& state, const LeadId& id, const sync::Key& key) {
    for (auto& [number, conflict] : state.conflicts)
        if (conflict.lead == id && conflict.key == key && !conflict.resolved_at) return &conflict;
    return nullptr;
}

void require_unique_row(const ModelState& state, const LeadId& id, const InstantlyId& instantly_id) {
    for (const auto& [other, row] : state.rows)
        if (other != id && row.instantly_id == instantly_id)
            throw KeyViolation{"crm.leads: two rows would stand for lead " + instantly_id.text};
}

void require_unique_rows(const ModelState& state) {
    std::set<InstantlyId> seen;
    for (const auto& [id, row] : state.rows)
        if (!row.instantly_id.text.empty() && !seen.insert(row.instantly_id).second)
            throw KeyViolation{"crm.leads: two rows would stand for lead " + row.instantly_id.text};
}

void require_unique_base(const ModelState& state, const LeadId& id, const InstantlyId& instantly_id) {
    const auto base = base_of(state, instantly_id);
    if (base != state.bases.end() && base->first != id)
        throw KeyViolation{"sync.base: two rows would stand for lead " + instantly_id.text};
}

}  // namespace

// --- reading -------------------------------------------------------------------------------------------------------

std::unordered_map<std::string, store::Held> ModelLeads::look_up(const std::vector<InstantlyId>& ids) {
    const auto& state = transaction_.read();
    std::unordered_map<std::string, store::Held> held;
    for (const auto& instantly_id : ids) {
        const auto found = base_of(state, instantly_id);
        if (found == state.bases.end()) continue;
        const auto& [id, base] = *found;
        held.emplace(instantly_id.text, store::Held{base.content_hash, base.raw_hash, id, base.expected.has_value(),
                                                    base.deleted_at.has_value(), base.gone_at.has_value(),
                                                    base.expected && base.expected->contains(""),
                                                    base.deleted_at && state.queue.contains(id)});
    }
    return held;
}

store::HeldStretch ModelLeads::look_up(const store::Stretch& stretch, std::size_t limit) {
    std::vector<InstantlyId> ids;
    const auto& known = transaction_.read().bases.by_instantly_id();
    for (auto lead = stretch.after ? known.upper_bound({*stretch.after}) : known.begin();
         lead != known.end() && (!stretch.last || lead->first.text <= *stretch.last) && ids.size() < limit; ++lead)
        ids.push_back(lead->first);
    const bool is_complete = ids.size() < limit;
    const bool is_settled = std::ranges::none_of(
        transaction_.read().absent, [](const auto& absent) { return absent.second.confirmed_at.has_value(); });
    return {look_up(ids), is_complete, is_settled || ids.empty()};
}

std::vector<sync::KnownLead> ModelLeads::load(const std::vector<InstantlyId>& ids, store::Lock lock, Instant now) {
    const auto& state = transaction_.read();
    std::vector<sync::KnownLead> leads;
    std::set<LeadId> in_order;
    for (const auto& instantly_id : ids)
        if (const auto base = base_of(state, instantly_id); base != state.bases.end()) in_order.insert(base->first);
    for (const auto& id : in_order) {
        const auto& base = state.bases.at(id);
        const auto row = state.rows.find(id);
        if (row == state.rows.end() || base.deleted_at) continue;
        if (lock == store::Lock::rows && locked_.contains(id)) continue;
        leads.push_back(known(id, base, row->second, now));
    }
    return leads;
}

sync::KnownLead ModelLeads::known(const LeadId& id, const ModelBase& base, const ModelRow& row, Instant now) const {
    const auto& state = transaction_.read();
    sync::KnownLead lead{.id = id, .instantly_id = base.instantly_id, .local = readable(row.content)};
    lead.base.content = base.content;
    lead.base.expected = base.expected.value_or(std::map<sync::Key, Value>{});
    lead.base.expectations_expired = base.expected_until && *base.expected_until <= transaction_.now();
    lead.base.flips = base.flips;
    lead.base.late = base.late;
    lead.remote_updated_at = base.remote_updated_at.value_or("");
    lead.written_at = base.written_at;
    lead.observed_at = base.observed_at;
    if (const auto queued = state.queue.find(id); queued != state.queue.end() && queued->second.edited_at)
        lead.edited_at = now - (transaction_.now() - *queued->second.edited_at);
    for (const auto& [number, conflict] : state.conflicts) {
        if (conflict.lead != id || conflict.resolved_at) continue;
        sync::OpenConflict open{number, conflict.local, conflict.remote, {}};
        if (conflict.resolution == Resolution::local) open.resolution = sync::Side::local;
        if (conflict.resolution == Resolution::remote) open.resolution = sync::Side::remote;
        lead.open.emplace(conflict.key, std::move(open));
    }
    lead.status = row.status;
    lead.error = row.error;
    return lead;
}

std::unordered_set<std::string> ModelLeads::here_or_deleted(const std::vector<LeadId>& ids) {
    std::unordered_set<std::string> found;
    const auto& state = transaction_.read();
    for (const auto& id : ids) {
        const auto base = state.bases.find(id);
        if (state.rows.contains(id) || (base != state.bases.end() && base->second.deleted_at)) found.insert(id.text);
    }
    return found;
}

std::unordered_map<std::string, store::LocalRow> ModelLeads::adoptable(const std::vector<store::Identity>& leads,
                                                                       store::Lock lock) {
    std::unordered_map<std::string, store::LocalRow> found;
    std::set<LeadId> tied;
    const auto& creates = transaction_.read().creates;
    const auto tie = [&](const LeadId& id, const sync::Content& content, bool where_it_says) {
        const auto noted = creates.find(id);
        const auto lead = std::ranges::find_if(leads, [&](const store::Identity& identity) {
            const bool is_target = equal(content[Field::campaign], identity.campaign)
                                   || (!content[Field::campaign] && equal(content[Field::list_id], identity.list));
            const auto created = sync::instant_of(identity.created);
            const bool was_made =
                noted != creates.end() && created && *created >= noted->second.at - store::NotedCreate::clock_slack;
            const bool same = identity.email
                                  ? same_email(content[Field::email], identity.email)
                                  : noted != creates.end() && !content[Field::email] && identity.content != nullptr
                                        && sync::shows_all(*identity.content, noted->second.sent);
            return !found.contains(identity.instantly_id.text) && same && (where_it_says ? is_target : was_made);
        });
        if (lead == leads.end()) return;
        found.emplace(lead->instantly_id.text, row_for(id, content, lock));
        tied.insert(id);
    };
    for (const bool where_it_says : {true, false})
        for (const auto& [id, row] : transaction_.read().rows)
            if (row.instantly_id.text.empty() && !tied.contains(id)) tie(id, row.content, where_it_says);
    return found;
}

store::LocalRow ModelLeads::row_for(const LeadId& id, const sync::Content& content, store::Lock lock) const {
    if (lock == store::Lock::rows && locked_.contains(id)) return {id, {}, true};
    return {id, readable(content)};
}

std::vector<store::LocalRow> ModelLeads::rows(const std::vector<LeadId>& ids) {
    const auto& state = transaction_.read();
    std::vector<store::LocalRow> found;
    for (const auto& id : sorted(ids))
        if (const auto row = state.rows.find(id); row != state.rows.end())
            found.push_back({id, readable(row->second.content)});
    return found;
}

std::unordered_set<std::string> ModelLeads::lock_free(const std::vector<LeadId>& /*ids*/) {
    return {};  // transactions of the model come one after another
}

std::unordered_map<std::string, store::LocalRow> ModelLeads::rows_without_base(const std::vector<InstantlyId>& leads,
                                                                               store::Lock lock) {
    const auto& state = transaction_.read();
    std::unordered_map<std::string, store::LocalRow> found;
    for (const auto& [id, row] : state.rows)
        if (std::ranges::count(leads, row.instantly_id) > 0 && base_of(state, row.instantly_id) == state.bases.end())
            found.emplace(row.instantly_id.text, row_for(id, row.content, lock));
    return found;
}

std::unordered_set<std::string> ModelLeads::forget_tombstones(const std::vector<LeadId>& ids) {
    std::unordered_set<std::string> forgotten;
    for (const auto& id : ids) {
        const auto base = transaction_.read().bases.find(id);
        if (base == transaction_.read().bases.end() || !base->second.deleted_at) continue;
        transaction_.write().bases.erase(id);
        forgotten.insert(id.text);
    }
    return forgotten;
}

std::unordered_set<std::string> ModelLeads::taken(const std::vector<LeadId>& ids) {
    const auto& state = transaction_.read();
    std::unordered_set<std::string> found;
    for (const auto& id : ids)
        if (state.rows.contains(id) || state.bases.contains(id)) found.insert(id.text);
    return found;
}

std::unordered_set<std::string> ModelLeads::without_lead(const std::vector<LeadId>& ids) {
    const auto& rows = transaction_.read().rows;
    std::unordered_set<std::string> found;
    for (const auto& id : ids)
        if (const auto row = rows.find(id); row != rows.end() && row->second.instantly_id.text.empty())
            found.insert(id.text);
    return found;
}

std::vector<LeadId> ModelLeads::with_emails(const std::vector<std::string>& emails) {
    std::vector<LeadId> ids;
    for (const auto& [id, row] : transaction_.read().rows)
        for (const auto& email : emails)
            if (!row.instantly_id.text.empty() && !row.deleted_at && same_email(row.content[Field::email], email))
                ids.push_back(id);
    return ids;
}

std::vector<InstantlyId> ModelLeads::newest_time_ordered(int limit, const std::optional<InstantlyId>& up_to) {
    const auto too_new = sync::first_id_at(transaction_.now() + std::chrono::days{365});
    std::vector<InstantlyId> ids;
    const auto& bases = transaction_.read().bases;
    const auto& known = bases.by_instantly_id();
    for (auto lead = known.lower_bound({too_new}); lead != known.begin() && static_cast<int>(ids.size()) < limit;) {
        --lead;
        if ((!up_to || lead->first <= *up_to) && sync::is_time_ordered(lead->first)
            && is_on_both_sides(bases.at(lead->second)))
            ids.push_back(lead->first);
    }
    return ids;
}

std::optional<std::string> ModelLeads::id_before(const std::string& id, std::int64_t leads) {
    const auto& bases = transaction_.read().bases;
    const auto& known = bases.by_instantly_id();
    for (auto lead = known.lower_bound({id}); lead != known.begin();) {
        --lead;
        if (is_on_both_sides(bases.at(lead->second)) && --leads == 0) return lead->first.text;
    }
    return std::nullopt;
}

std::optional<std::string> ModelLeads::halfway(const std::string& cursor, const std::optional<std::string>& end,
                                               int page) {
    std::vector<std::string> known;
    const auto& bases = transaction_.read().bases;
    const auto& ids = bases.by_instantly_id();
    for (auto at = ids.upper_bound({cursor}); at != ids.end() && (!end || at->first.text <= *end); ++at)
        if (is_on_both_sides(bases.at(at->second))) known.push_back(at->first.text);
    const auto before = known.size() / 2 / static_cast<std::size_t>(page) * static_cast<std::size_t>(page);
    return before == 0 ? std::nullopt : std::optional{known[before - 1]};
}

std::int64_t ModelLeads::count() {
    return std::ranges::count_if(transaction_.read().bases,
                                 [](const auto& base) { return is_on_both_sides(base.second); });
}

void ModelLeads::note_active(const std::vector<store::ActiveLead>& leads) {
    for (const auto& lead : leads) {
        const auto& active = transaction_.read().active;
        const auto found = active.find(lead.id);
        if (found == active.end() || found->second < lead.until - std::chrono::minutes{5})
            transaction_.write().active[lead.id] = lead.until;
    }
}

std::vector<InstantlyId> ModelLeads::active(const std::optional<std::string>& after, int limit, Instant now) {
    const auto& active = transaction_.read().active;
    std::vector<InstantlyId> ids;
    for (auto lead = after ? active.upper_bound({*after}) : active.begin();
         lead != active.end() && static_cast<int>(ids.size()) < limit; ++lead)
        if (lead->second > now) ids.push_back(lead->first);
    return ids;
}

std::int64_t ModelLeads::count_active(Instant now) {
    return std::ranges::count_if(transaction_.read().active, [&](const auto& lead) { return lead.second > now; });
}

void ModelLeads::forget_inactive(Instant now) {
    std::vector<InstantlyId> over;
    const auto& state = transaction_.read();
    for (const auto& [id, until] : state.active) {
        const auto base = base_of(state, id);
        if (until <= now || base == state.bases.end() || base->second.deleted_at || base->second.gone_at)
            over.push_back(id);
    }
    for (const auto& id : over) transaction_.write().active.erase(id);
}

// --- what an observation writes ------------------------------------------------------------------------------------

void ModelLeads::put_row(const sync::LeadRow& lead, ModelRow& row) {
    row.instantly_id = lead.instantly_id;
    row.content = lead.local;
    row.extra = lead.extra;
    row.status = lead.status;
    row.error = lead.error;
}

void ModelLeads::write_base(const sync::LeadRow& lead) {
    auto& state = transaction_.write();
    require_unique_base(state, lead.id, lead.instantly_id);
    auto& base = state.bases.put(lead.id, lead.instantly_id);
    base.content = sync::both_ways_of(lead.base ? lead.base->content : lead.local);
    base.content_hash = lead.content_hash;
    base.raw_hash = lead.raw_hash;
    base.remote_updated_at = lead.local[Field::timestamp_updated];
    base.expected.reset();
    if (lead.base && !lead.base->expected.empty()) base.expected = lead.base->expected;
    if (!base.expected) base.expected_until.reset();
    base.flips = lead.base ? lead.base->flips : std::map<sync::Key, sync::Flip>{};
    base.late = lead.base ? lead.base->late : std::map<sync::Key, sync::LateWrite>{};
    base.observed_at = lead.observed_at;
    base.gone_at.reset();
}

void ModelLeads::insert(std::span<const sync::LeadRow> leads) {
    for (const auto& lead : leads) {
        auto& state = transaction_.write();
        const auto [row, is_new] = state.rows.try_emplace(lead.id);
        if (!is_new) throw KeyViolation{"crm.leads: row " + lead.id.text + " is there already"};
        put_row(lead, row->second);
        row->second.synced_at = transaction_.now();
    }
    if (!leads.empty()) require_unique_rows(transaction_.read());
    for (const auto& lead : leads) write_base(lead);
}

void ModelLeads::update(std::span<const sync::LeadRow> leads) {
    std::vector<InstantlyId> ids;
    for (const auto& lead : leads) ids.push_back(lead.instantly_id);
    seen(ids);
    for (const auto& lead : leads) {
        auto& state = transaction_.write();
        const auto row = state.rows.find(lead.id);
        if (row == state.rows.end()) continue;
        require_unique_row(state, lead.id, lead.instantly_id);
        put_row(lead, row->second);
        row->second.deleted_at.reset();
        if (lead.status == SyncStatus::synced) row->second.synced_at = transaction_.now();
    }
    for (const auto& lead : leads) write_base(lead);
}

void ModelLeads::note_reformatted(std::span<const store::Reformatted> leads) {
    for (const auto& lead : leads) {
        const auto& bases = transaction_.read().bases;
        const auto found = bases.find(lead.id);
        if (found == bases.end() || found->second.content_hash != lead.content_hash) continue;
        const auto& known = found->second;
        const bool is_stale = (known.written_at && *known.written_at >= lead.requested_at)
                              || (known.observed_at && *known.observed_at >= lead.requested_at);
        const bool is_old = !known.observed_at || *known.observed_at < lead.requested_at - raw_hash_kept;
        if (is_stale || (known.raw_hash != 0 && !is_old)) continue;
        auto& base = transaction_.write().bases.at(lead.id);
        base.raw_hash = lead.raw_hash;
        base.observed_at = lead.requested_at;
    }
}

void ModelLeads::add_conflicts(const std::vector<std::pair<LeadId, sync::Conflict>>& conflicts) {
    if (conflicts.empty()) return;
    auto& state = transaction_.write();
    for (const auto& [id, conflict] : conflicts) {
        auto* open = conflict.resolution ? nullptr : unsettled(state, id, conflict.key);
        if (open) {
            open->local = conflict.local;
            open->remote = conflict.remote;
            continue;
        }
        ModelConflict row{.lead = id, .key = conflict.key, .base = conflict.base, .local = conflict.local};
        row.remote = conflict.remote;
        row.rule = conflict.rule;
        if (conflict.resolution) {
            row.resolution = *conflict.resolution == sync::Side::local ? Resolution::local : Resolution::remote;
            row.resolved_at = transaction_.now();
        }
        state.conflicts.emplace(state.next_conflict++, std::move(row));
    }
}

void ModelLeads::update_conflicts(const std::vector<sync::ConflictUpdate>& updates) {
    using Outcome = sync::ConflictUpdate::Outcome;
    if (updates.empty()) return;
    auto& state = transaction_.write();
    for (const auto& update : updates) {
        const auto found = state.conflicts.find(update.id);
        if (found == state.conflicts.end()) continue;
        auto& conflict = found->second;
        conflict.local = update.local;
        conflict.remote = update.remote;
        if (update.outcome == Outcome::agreed && !conflict.resolution) conflict.resolution = Resolution::agreed;
        conflict.resolved_at.reset();
        if (update.outcome != Outcome::still_open) conflict.resolved_at = transaction_.now();
    }
}

void ModelLeads::add_history(const std::vector<store::HistoryEntry>& entries) {
    if (entries.empty()) return;
    auto& history = transaction_.write().history;
    for (const auto& entry : entries) history.push_back({entry, transaction_.now()});
}

// --- local repair --------------------------------------------------------------------------------------------------

store::Repaired ModelLeads::repair(const std::optional<LeadId>& after, int limit) {
    const auto& state = transaction_.read();
    std::vector<LeadId> broken;
    std::vector<LeadId> edited;
    store::Repaired repaired;
    int compared = 0;
    for (const auto& [id, base] : state.bases) {
        if (after && id <= *after) continue;
        const auto row = state.rows.find(id);
        const bool is_there = row != state.rows.end();
        if (base.deleted_at ? is_there
                            : !base.gone_at && base.content_hash != 0
                                  && !(is_there && row->second.instantly_id == base.instantly_id
                                       && row->second.content[Field::timestamp_updated] == base.remote_updated_at))
            broken.push_back(id);
        const bool is_at_rest = is_there && !base.deleted_at && !base.gone_at && !base.expected
                                && !state.queue.contains(id) && !locked_.contains(id);
        if (is_at_rest && is_untold_edit(row->second, base)) edited.push_back(id);
        if (++compared == limit) {
            repaired.last = id;
            break;
        }
    }
    for (const auto& id : broken) {
        auto& base = transaction_.write().bases.at(id);
        base.content_hash = 0;
        if (!base.deleted_at) continue;
        base.deleted_at.reset();
        base.expected.reset();
        base.expected_until.reset();
    }
    queue_untold(edited);
    repaired.shown_anew = static_cast<std::int64_t>(broken.size());
    repaired.edited = static_cast<std::int64_t>(edited.size());
    return repaired;
}

void ModelLeads::queue_untold(const std::vector<LeadId>& ids) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        queue_up(state, id, transaction_.now()).edited_at = transaction_.now();
        state.rows.at(id).status = SyncStatus::pending;
        state.rows.at(id).error.reset();
    }
}

std::int64_t ModelLeads::queue_unborn(int limit) {
    std::vector<LeadId> unborn;
    const auto& state = transaction_.read();
    for (const auto& [id, row] : state.rows) {
        const bool at_rest = row.status == SyncStatus::pending || row.status == SyncStatus::synced;
        const bool placed = row.content[Field::campaign] || row.content[Field::list_id];
        const bool seen_to = state.queue.contains(id) || state.bases.contains(id) || locked_.contains(id);
        if (at_rest && placed && row.instantly_id.text.empty() && !seen_to) unborn.push_back(id);
        if (static_cast<int>(unborn.size()) == limit) break;
    }
    queue_untold(unborn);
    return static_cast<std::int64_t>(unborn.size());
}

// --- writes of ours ------------------------------------------------------------------------------------------------

void ModelLeads::expect(const store::Writes& writes, std::chrono::milliseconds patience) {
    if (writes.empty()) return;
    auto& state = transaction_.write();
    for (const auto& [id, values] : writes) {
        const auto row = state.rows.find(id);
        if (row != state.rows.end()
            && (row->second.status == SyncStatus::pending || row->second.status == SyncStatus::held)) {
            row->second.status = SyncStatus::verifying;
            row->second.error.reset();
        }
        const auto base = state.bases.find(id);
        if (base == state.bases.end()) continue;
        if (!base->second.expected) base->second.expected.emplace();
        for (const auto& [key, value] : values) (*base->second.expected)[key] = value;
        base->second.expected_until = transaction_.now() + patience;
    }
}

void ModelLeads::expect_absence(const std::vector<LeadId>& ids, std::chrono::milliseconds patience) {
    for (const auto& id : ids) {
        const auto base = transaction_.read().bases.find(id);
        if (base == transaction_.read().bases.end() || !base->second.deleted_at) continue;
        auto& tombstone = transaction_.write().bases.at(id);
        tombstone.expected.emplace();
        (*tombstone.expected)[""] = std::nullopt;
        tombstone.expected_until = transaction_.now() + patience;
        tombstone.buried_at = transaction_.now();
    }
}

void ModelLeads::expect_no_more(const LeadId& id, const std::vector<sync::Key>& keys) {
    if (keys.empty()) return;
    auto& state = transaction_.write();
    const auto base = state.bases.find(id);
    if (base == state.bases.end() || !base->second.expected) return;
    for (const auto& key : keys) base->second.expected->erase(key);
    if (base->second.expected->empty()) base->second.expected.reset();
}

void ModelLeads::wrote(const std::vector<LeadId>& ids, Instant written_at) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids)
        if (const auto base = state.bases.find(id); base != state.bases.end()) base->second.written_at = written_at;
}

/// A page that was faster has made a row of its own for the new lead: it gives way to the one the lead was made of.
void ModelLeads::forget_twin(const store::Creation& creation) {
    auto& state = transaction_.write();
    const auto twin = base_of(state, creation.instantly_id);
    if (twin == state.bases.end() || twin->first == creation.id) return;
    const auto id = twin->first;
    state.rows.erase(id);
    state.bases.erase(id);
}

void ModelLeads::created(const std::vector<store::Creation>& creations, std::chrono::milliseconds patience,
                         Instant written_at) {
    if (creations.empty()) return;
    auto& state = transaction_.write();
    for (const auto& creation : creations) forget_twin(creation);
    for (const auto& creation : creations) {
        // A page that was faster and adopted the row has told what Instantly holds: that stands.
        if (state.bases.contains(creation.id)) continue;
        const auto row = state.rows.find(creation.id);
        if (row != state.rows.end()) {
            require_unique_row(state, creation.id, creation.instantly_id);
            row->second.instantly_id = creation.instantly_id;
            row->second.status = SyncStatus::verifying;
            row->second.error.reset();
        }
        require_unique_base(state, creation.id, creation.instantly_id);
        auto& base = state.bases.put(creation.id, creation.instantly_id);
        base.content = creation.base;
        base.expected = creation.sent;
        base.expected_until = transaction_.now() + patience;
        base.written_at = written_at;
        if (row != state.rows.end()) continue;
        base.deleted_at = transaction_.now();
        if (const auto noted = state.creates.find(creation.id); noted != state.creates.end() && noted->second.email)
            base.deleted_email = lower(*noted->second.email);
    }
}

void ModelLeads::set_status(const std::vector<LeadId>& ids, SyncStatus status, const Value& error) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        const auto row = state.rows.find(id);
        if (row == state.rows.end()) continue;
        row->second.status = status;
        row->second.error = error;
    }
}

void ModelLeads::note_creates(const std::map<LeadId, store::NotedCreate>& creates) {
    for (const auto& [id, create] : creates) {
        const auto [noted, is_first] = transaction_.write().creates.emplace(id, create);
        noted->second.last_at = create.at;
        noted->second.last_campaign = create.campaign;
        noted->second.last_list = create.list;
        noted->second.email = create.email;
        if (!is_first) noted->second.resent = create.sent;
    }
}

std::map<LeadId, store::NotedCreate> ModelLeads::noted_creates(const std::vector<LeadId>& ids) {
    const auto& creates = transaction_.read().creates;
    std::map<LeadId, store::NotedCreate> noted;
    for (const auto& id : ids)
        if (const auto found = creates.find(id); found != creates.end()) noted.insert(*found);
    return noted;
}

void ModelLeads::creates_ended(const std::vector<LeadId>& ids, Instant at) {
    for (const auto& id : ids)
        if (transaction_.read().creates.contains(id)) transaction_.write().creates.at(id).last_at = at;
}

void ModelLeads::take_back_creates(const std::map<LeadId, store::UnsentCreate>& unsent) {
    for (const auto& [id, create] : unsent) {
        const auto noted = transaction_.read().creates.find(id);
        if (noted == transaction_.read().creates.end() || noted->second.last_at != create.noted_at) continue;
        if (create.before)
            transaction_.write().creates.insert_or_assign(id, *create.before);
        else
            transaction_.write().creates.erase(id);
    }
}

std::unordered_map<std::string, LeadId> ModelLeads::bury_withdrawn(const std::vector<store::Identity>& leads) {
    using store::NotedCreate;
    const auto& state = transaction_.read();
    const auto is_there = [](const store::Identity& lead, const sync::Value& campaign, const sync::Value& list) {
        return campaign ? equal(campaign, lead.campaign) : equal(list, lead.list);
    };
    std::unordered_map<std::string, LeadId> found;
    for (const auto& [id, create] : state.creates) {
        const bool is_deleted = state.queue.contains(id) && !state.rows.contains(id) && !state.bases.contains(id);
        if (!create.email || !is_deleted) continue;
        for (const auto& lead : leads) {
            const auto created = sync::instant_of(lead.created);
            const bool in_time =
                created && *created >= create.at - NotedCreate::clock_slack
                && *created <= create.last_at + NotedCreate::clock_slack + NotedCreate::under_way_max;
            const bool in_place = is_there(lead, create.campaign, create.list)
                                  || is_there(lead, create.last_campaign, create.last_list);
            if (!in_time || !in_place || !same_email(create.email, lead.email)) continue;
            if (state.bases.by_instantly_id().contains(lead.instantly_id)) continue;
            if (found.emplace(lead.instantly_id.text, id).second) break;
        }
    }
    for (const auto& [lead, id] : found) {
        auto& written = transaction_.write();
        auto& base = written.bases.put(id, sync::InstantlyId{lead});
        base.deleted_at = transaction_.now();
        base.deleted_email = lower(written.creates.at(id).email.value());
    }
    return found;
}

void ModelLeads::forget_creates(const std::vector<LeadId>& ids) {
    for (const auto& id : ids)
        if (transaction_.read().creates.contains(id)) transaction_.write().creates.erase(id);
}

}  // namespace leadsync::simulation
