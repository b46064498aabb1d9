#include "daemon/observation.hpp"

#include <algorithm>
#include <ranges>
#include <unordered_map>
#include <unordered_set>

#include "sync/freshness.hpp"
#include "sync/id_space.hpp"

namespace leadsync::daemon {
namespace {

using sync::Field;
using sync::LeadId;
using sync::Observation;

std::vector<Observation> without_repetitions(std::vector<Observation> observations) {
    std::unordered_set<std::string> seen;
    std::vector<Observation> unique;
    unique.reserve(observations.size());
    for (auto& observation : std::ranges::reverse_view(observations))
        if (seen.insert(observation.lead.id.text).second) unique.push_back(std::move(observation));
    return unique;
}

/// Leads of a page's stretch that it does not show: when there are more, it is not by the stretch that they are
/// found.
constexpr std::size_t unshown_max = 100;

/// `Date` is cut to whole seconds: on average it is half a second behind.
std::optional<std::chrono::microseconds> clock_ahead_by(const std::optional<std::chrono::sys_seconds>& answered_at,
                                                        sync::Instant now) {
    if (!answered_at) return std::nullopt;
    return sync::Instant{*answered_at} + std::chrono::milliseconds{500} - now;
}

/// One batch, step by step.
class Batch {
public:
    Batch(store::Transaction& transaction, const ObserveOptions& options, sync::Instant now)
        : transaction_{transaction}, options_{options}, now_{now} {}

    ObserveResult run(std::vector<Observation> observations) {
        auto unique = without_repetitions(std::move(observations));
        std::vector<sync::InstantlyId> ids;
        ids.reserve(unique.size());
        for (const auto& observation : unique) ids.push_back(observation.lead.id);
        held_ = transaction_.leads.look_up(ids);
        return take_in(std::move(unique));
    }

    ObserveResult run(instantly::ScannedPage& page, const Asked& asked,
                      const std::optional<store::Stretch>& stretch) {
        if (!stretch || !look_up(page, *stretch)) look_up_each(page);
        const auto clock_ahead = clock_ahead_by(page.answered_at, asked.answered);
        std::vector<Observation> others;
        for (std::size_t i = 0; i < page.leads.size(); ++i) {
            const auto found = held_.find(page.leads[i].id.text);
            if (found != held_.end() && is_as_it_was(found->second, page.leads[i].raw_hash)) {
                ++result_.unchanged;
                continue;
            }
            if (others.empty()) others.reserve(page.leads.size() - i);
            others.push_back({page.take(i), asked.at, clock_ahead});
        }
        return take_in(std::move(others));
    }

private:
    void look_up_each(const instantly::ScannedPage& page) {
        std::vector<sync::InstantlyId> ids;
        ids.reserve(page.leads.size());
        for (const auto& lead : page.leads) ids.push_back(lead.id);
        held_ = transaction_.leads.look_up(ids);
    }

    /// Ids side by side are looked up at once, which is cheaper and tells what is missing too. False: there are many
    /// that the page does not show, or an end of the stretch is no id.
    bool look_up(const instantly::ScannedPage& page, store::Stretch stretch) {
        if (stretch.last && !page.leads.empty()) stretch.last = std::max(*stretch.last, page.leads.back().id.text);
        for (const auto& end : {stretch.after, stretch.last})
            if (end && !sync::canonical(sync::Kind::uuid, *end)) return false;
        auto held = transaction_.leads.look_up(stretch, page.leads.size() + unshown_max);
        if (!held.is_complete) return false;
        held_ = std::move(held.leads);
        const auto is_there = [](const store::Held& lead) { return !lead.tombstone && !lead.gone; };
        auto unshown = std::ranges::count_if(held_, [&](const auto& lead) { return is_there(lead.second); });
        for (const auto& lead : page.leads)
            if (const auto found = held_.find(lead.id.text); found != held_.end() && is_there(found->second))
                --unshown;
        result_.shows_all = held.is_settled && unshown == 0;
        return true;
    }

    ObserveResult take_in(std::vector<Observation> unique) {
        std::vector<const Observation*> known;
        std::vector<Observation*> unknown;
        std::vector<Observation*> buried;
        for (auto& observation : unique) {
            const auto found = held_.find(observation.lead.id.text);
            if (found != held_.end() && found->second.tombstone && found->second.deletion_sent)
                result_.still_there.push_back(found->second.id);
            if (found == held_.end())
                unknown.push_back(&observation);
            else if (found->second.tombstone && !found->second.is_queued && !found->second.deletion_sent)
                buried.push_back(&observation);
            else if (needs_no_merge(found->second, observation))
                ++result_.unchanged;
            else
                known.push_back(&observation);
        }
        merge_known(known);
        adopt_buried(buried);
        adopt_or_add(unknown);
        if (!options_.dry_run) write();
        result_.conflicts = conflicts_.size();
        return std::move(result_);
    }

    /// Whether an equal hash is all there is to know.
    [[nodiscard]] bool is_settled(const store::Held& held) const {
        return !options_.everything && !held.expecting && !held.gone && !held.tombstone && held.content_hash != 0;
    }

    [[nodiscard]] bool is_as_it_was(const store::Held& held, std::uint64_t raw_hash) const {
        return is_settled(held) && raw_hash != 0 && held.raw_hash == raw_hash;
    }

    bool needs_no_merge(const store::Held& held, const Observation& observation) {
        if (held.tombstone) return true;
        const auto& lead = observation.lead;
        if (!is_settled(held) || held.content_hash != lead.content_hash) return false;
        if (lead.raw_hash != 0 && held.raw_hash != lead.raw_hash)
            reformatted_.push_back({held.id, lead.content_hash, lead.raw_hash, observation.requested_at});
        return true;
    }

    void merge_known(const std::vector<const Observation*>& observations) {
        std::vector<sync::InstantlyId> ids;
        for (const auto* observation : observations) ids.push_back(observation->lead.id);
        const auto lock = options_.dry_run ? store::Lock::none : store::Lock::rows;
        std::unordered_map<std::string, sync::KnownLead> known;
        for (auto& lead : transaction_.leads.load(ids, lock, now_)) {
            auto id = lead.instantly_id.text;
            known.emplace(std::move(id), std::move(lead));
        }
        find_held_back(known);
        std::vector<const Observation*> missing;
        for (const auto* observation : observations) {
            const auto found = known.find(observation->lead.id.text);
            if (found == known.end())
                missing.push_back(observation);
            else if (sync::is_stale(*observation, found->second, now_))
                ++result_.stale;
            else
                merge(found->second, *observation, Guarded::yes);
        }
        restore_or_report(missing);
    }

    /// Remote edits that wait for an operator, or for what one has said to be carried out, are not let in by the next
    /// sweep. A lead whose local edits are held is open to them.
    void find_held_back(const std::unordered_map<std::string, sync::KnownLead>& known) {
        if (options_.everything) return;
        std::vector<LeadId> ids;
        for (const auto& [instantly_id, lead] : known)
            if (lead.status == sync::SyncStatus::held) ids.push_back(lead.id);
        for (const auto& id : ids) held_back_.insert(id.text);
        for (const auto& id : transaction_.queue.held(store::HoldKind::change, ids)) held_back_.erase(id.text);
        for (const auto& id : transaction_.queue.held(store::HoldKind::remote_change, ids))
            held_back_.insert(id.text);
    }

    /// The guard's word on edits made on Instantly.
    bool is_let_in(const sync::KnownLead& known) {
        if (held_back_.contains(known.id.text)) return false;
        if (!options_.changes_left || counts_already(known)) return true;
        if (static_cast<std::int64_t>(result_.pulled) < *options_.changes_left) return true;
        to_hold_.push_back(known.id);
        return false;
    }

    [[nodiscard]] bool counts_already(const sync::KnownLead& known) const {
        return options_.let_in.contains(known.instantly_id.text);
    }

    enum class Guarded { yes, no };

    void merge(sync::KnownLead known, const Observation& observation, Guarded guarded) {
        apply_rejection(known, observation);
        known.form_is_believed = options_.form_is_believed.contains(known.id);
        auto outcome = sync::take_in(known, observation, options_.policy);
        if (guarded == Guarded::yes && brings_remote_edits(outcome.result)) {
            if (!is_let_in(known)) {
                ++result_.held;
                return;
            }
            if (!counts_already(known)) ++result_.pulled;
        }
        auto& [row, result] = outcome;
        for (const auto& conflict : result.conflicts) conflicts_.emplace_back(known.id, conflict);
        conflict_updates_.insert(conflict_updates_.end(), result.conflict_updates.begin(),
                                 result.conflict_updates.end());
        for (const auto& change : result.changes)
            tell(known.id, change.key, change.before, change.after, std::string{change.rule});
        const bool is_at_rest = result.changes.empty() && result.to_push.empty() && result.awaited.empty();
        note_activity(observation, is_at_rest ? sync::last_activity(observation.lead.content) : now_);
        const bool settled = result.to_push.empty() && result.awaited.empty();
        (settled ? settled_ : to_queue_).push_back(known.id);
        to_update_.push_back(std::move(row));
        result_.merged.push_back({known.id, observation.lead.id, std::move(result)});
    }

    void apply_rejection(sync::KnownLead& known, const Observation& observation) {
        const auto found = options_.rejected.find(known.id);
        if (found == options_.rejected.end()) return;
        if (found->second == store::HoldKind::change) {
            tell(known.id, "", std::nullopt, std::nullopt, "rejected");
            for (const auto& change : sync::undo(known))
                tell(known.id, change.key, change.before, change.after, std::string{change.rule});
            known.status = sync::SyncStatus::pending;
        } else if (found->second == store::HoldKind::remote_change) {
            // What stands there now is what both sides start from: every difference is ours to push.
            known.base.content = sync::both_ways_of(observation.lead.content);
            known.base.expected.clear();
            known.base.late.clear();
            known.status = sync::SyncStatus::pending;
        }
    }

    void tell(const LeadId& id, const sync::Key& key, const sync::Value& before, const sync::Value& after,
              std::string rule) {
        history_.push_back({id, key, before, after, sync::Side::remote, std::move(rule), options_.request});
    }

    /// A base without its row: the row was taken away behind the triggers (TRUNCATE, a restored backup), and is
    /// brought back. A row that is there but locked is looked at again when its owner is done.
    void restore_or_report(const std::vector<const Observation*>& missing) {
        if (missing.empty()) return;
        std::vector<LeadId> ids;
        for (const auto* observation : missing) ids.push_back(held_.at(observation->lead.id.text).id);
        const auto present = transaction_.leads.here_or_deleted(ids);
        for (std::size_t i = 0; i < missing.size(); ++i) {
            if (present.contains(ids[i].text))
                result_.busy.push_back(ids[i]);
            else
                add(ids[i], Observation{*missing[i]});
        }
    }

    static std::vector<store::Identity> identities_of(const std::vector<Observation*>& observations) {
        std::vector<store::Identity> identities;
        identities.reserve(observations.size());
        for (const auto* observation : observations) {
            const auto& content = observation->lead.content;
            identities.push_back({observation->lead.id, content[Field::email], content[Field::campaign],
                                  content[Field::list_id], content[Field::timestamp_created], &content});
        }
        return identities;
    }

    /// Leads whose rows were deleted here, and only here: each is the lead of a row that was inserted for it since.
    void adopt_buried(const std::vector<Observation*>& buried) {
        if (buried.empty()) return;
        const auto lock = options_.dry_run ? store::Lock::none : store::Lock::rows;
        auto rows = transaction_.leads.adoptable(identities_of(buried), lock);
        std::vector<LeadId> tombstones;
        for (const auto& [lead, row] : rows)
            if (!row.is_being_written) tombstones.push_back(held_.at(lead).id);
        if (!options_.dry_run) {
            const auto forgotten = transaction_.leads.forget_tombstones(tombstones);
            std::erase_if(rows, [&](const auto& pair) {
                return !pair.second.is_being_written && !forgotten.contains(held_.at(pair.first).id.text);
            });
        }
        result_.unchanged += adopt(buried, rows).size();
    }

    void adopt_or_add(const std::vector<Observation*>& unknown) {
        if (unknown.empty()) return;
        const auto lock = options_.dry_run ? store::Lock::none : store::Lock::rows;
        std::vector<sync::InstantlyId> ids;
        ids.reserve(unknown.size());
        for (const auto* observation : unknown) ids.push_back(observation->lead.id);
        const auto others = adopt(unknown, transaction_.leads.rows_without_base(ids, lock));
        const auto identities = identities_of(others);
        auto fresh = adopt(others, transaction_.leads.adoptable(identities, lock));
        const bool tells_new = !fresh.empty() && transaction_.progress.is_backfilled();
        // Nothing is created before.
        if (tells_new && !options_.dry_run) bury_withdrawn(fresh, identities);
        const auto row_ids = free_ids(fresh);
        to_insert_.reserve(to_insert_.size() + fresh.size());
        for (std::size_t i = 0; i < fresh.size(); ++i) {
            if (tells_new) tell(row_ids[i], "", std::nullopt, fresh[i]->lead.content[Field::email], "appeared");
            add(row_ids[i], std::move(*fresh[i]));
        }
    }

    /// Takes out of `fresh` what was made of rows that were deleted before anybody knew.
    void bury_withdrawn(std::vector<Observation*>& fresh, const std::vector<store::Identity>& identities) {
        const auto withdrawn = transaction_.leads.bury_withdrawn(identities);
        if (withdrawn.empty()) return;
        std::erase_if(fresh, [&](const auto* observation) {
            const auto found = withdrawn.find(observation->lead.id.text);
            if (found == withdrawn.end()) return false;
            tell(found->second, "", std::nullopt, observation->lead.content[Field::email], "withdrawn");
            result_.withdrawn.push_back(found->second);
            return true;
        });
    }

    /// Adopts the rows that were found, by lead; those left over.
    std::vector<Observation*> adopt(const std::vector<Observation*>& observations,
                                    const std::unordered_map<std::string, store::LocalRow>& rows) {
        std::vector<Observation*> left;
        left.reserve(observations.size());
        for (auto* observation : observations) {
            const auto found = rows.find(observation->lead.id.text);
            if (found == rows.end() || options_.adopted.contains(found->second.id.text)) {
                left.push_back(observation);
                continue;
            }
            if (found->second.is_being_written) {
                result_.busy.push_back(found->second.id);
                continue;
            }
            ++result_.adopted;
            adopt(found->second, *observation);
        }
        return left;
    }

    /// Ids for rows of these leads: the lead's own, or one made of it where another row has that. Always the same
    /// ones, so that a page taken in twice makes one row.
    std::vector<LeadId> free_ids(const std::vector<Observation*>& observations) {
        std::vector<LeadId> ids;
        ids.reserve(observations.size());
        for (const auto* observation : observations) ids.push_back({observation->lead.id.text});
        for (auto asked = ids; !asked.empty();) {
            const auto taken = transaction_.leads.taken(asked);
            asked.clear();
            if (taken.empty()) break;
            for (auto& id : ids) {
                if (!taken.contains(id.text)) continue;
                id.text = sync::id_made_of(id.text);
                asked.push_back(id);
            }
        }
        return ids;
    }

    void adopt(const store::LocalRow& row, const Observation& observation) {
        sync::KnownLead known{.id = row.id, .instantly_id = observation.lead.id, .local = row.content};
        const bool held = !transaction_.queue.held(store::HoldKind::create, {row.id}).empty();
        known.status = held ? sync::SyncStatus::held : sync::SyncStatus::pending;
        tell(row.id, "", std::nullopt, observation.lead.content[Field::email], "adopted");
        // Made by a create whose answer was lost: what was sent is what both sides start from.
        const auto noted = transaction_.leads.noted_creates({row.id});
        if (const auto create = noted.find(row.id); create != noted.end()) {
            take_what_was_sent(known.base.content, create->second, observation.lead.content);
        }
        created_.push_back(row.id);
        merge(std::move(known), observation, Guarded::no);
        result_.merged.back().adopted = true;
    }

    /// The first attempt made it, or the last. Where the lead shows what the last one sent, that is what it was made
    /// of, or what comes to the same; and so it is with the place.
    static void take_what_was_sent(sync::Content& base, const store::NotedCreate& create,
                                   const sync::Content& remote) {
        const bool is_where_sent_last = sync::agree(create.last_campaign, remote[Field::campaign])
                                        && sync::agree(create.last_list, remote[Field::list_id]);
        base[Field::campaign] = is_where_sent_last ? create.last_campaign : create.campaign;
        base[Field::list_id] = is_where_sent_last ? create.last_list : create.list;
        for (const auto& [key, value] : create.sent) sync::set_value(base, key, value);
        if (create.resent.empty()) return;
        auto keys = create.sent;
        keys.insert(create.resent.begin(), create.resent.end());
        for (const auto& [key, first] : keys) {
            const auto last = create.resent.find(key);
            const auto value = last == create.resent.end() ? sync::Value{} : last->second;
            const auto shown = sync::value_of(remote, key);
            if (sync::shows(shown, value)) sync::set_value(base, key, value);
        }
    }

    void note_activity(const Observation& observation, const std::optional<sync::Instant>& at) {
        if (at && *at + options_.active_for > now_)
            active_.push_back({observation.lead.id, *at + options_.active_for});
    }

    void add(const LeadId& id, Observation observation) {
        ++result_.added;
        note_activity(observation, sync::last_activity(observation.lead.content));
        to_insert_.push_back(sync::new_row(id, std::move(observation)));
        if (options_.dry_run) result_.new_leads.push_back(to_insert_.back());
    }

    void write() {
        auto& [leads, queue, progress] = transaction_;
        leads.insert(to_insert_);
        leads.update(to_update_);
        leads.note_reformatted(reformatted_);
        leads.add_conflicts(conflicts_);
        leads.update_conflicts(conflict_updates_);
        leads.add_history(history_);
        created_.insert(created_.end(), result_.withdrawn.begin(), result_.withdrawn.end());
        leads.forget_creates(created_);
        leads.note_active(active_);
        // Whoever has the lead in hand has not seen what a page found. A look-up is made by the one who has it.
        if (!options_.everything) queue.enqueue(to_queue_);
        queue.enqueue(result_.still_there);
        queue.enqueue(result_.withdrawn);
        queue.forget_dead(settled_);
        queue.hold(store::HoldKind::remote_change, to_hold_,
                   "too many leads were edited on Instantly at once: leadsync held list shows them");
    }

    store::Transaction& transaction_;
    const ObserveOptions& options_;
    sync::Instant now_;
    std::unordered_map<std::string, store::Held> held_;
    std::unordered_set<std::string> held_back_;
    ObserveResult result_;
    std::vector<sync::LeadRow> to_insert_;
    std::vector<sync::LeadRow> to_update_;
    std::vector<store::Reformatted> reformatted_;
    std::vector<std::pair<LeadId, sync::Conflict>> conflicts_;
    std::vector<sync::ConflictUpdate> conflict_updates_;
    std::vector<store::HistoryEntry> history_;
    std::vector<LeadId> to_queue_;
    std::vector<LeadId> settled_;
    std::vector<LeadId> to_hold_;
    std::vector<LeadId> created_;
    std::vector<store::ActiveLead> active_;
};

}  // namespace

bool brings_remote_edits(const sync::MergeResult& result) {
    return std::ranges::any_of(result.changes, [](const auto& change) { return change.rule == "edit"; });
}

ObserveResult observe(store::Transaction& transaction, std::vector<Observation> observations,
                      const ObserveOptions& options, sync::Instant now) {
    if (observations.empty()) return {};
    return Batch{transaction, options, now}.run(std::move(observations));
}

ObserveResult observe(store::Transaction& transaction, instantly::ScannedPage& page, const Asked& asked,
                      const std::optional<store::Stretch>& stretch, const ObserveOptions& options,
                      sync::Instant now) {
    return Batch{transaction, options, now}.run(page, asked, stretch);
}

std::vector<Observation> observations_of(instantly::LeadPage& page, sync::Instant requested_at, sync::Instant now) {
    const auto clock_ahead = clock_ahead_by(page.answered_at, now);
    std::vector<Observation> observations;
    observations.reserve(page.leads.size());
    for (auto& lead : page.leads) observations.push_back({std::move(lead), requested_at, clock_ahead});
    return observations;
}

}  // namespace leadsync::daemon
