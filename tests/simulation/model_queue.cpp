#include "tests/simulation/model_queue.hpp"

#include <algorithm>
#include <stdexcept>

namespace leadsync::simulation {
namespace {

using store::Claim;
using store::FailedClaim;
using store::HoldKind;
using store::Work;
using sync::LeadId;

bool is_waiting(const ModelQueued& lead) { return !lead.dead_at && !lead.held_at; }

Work work_of(const ModelState& state, const LeadId& id) {
    const auto base = state.bases.find(id);
    if (base != state.bases.end()) return base->second.deleted_at ? Work::remove : Work::reconcile;
    return state.rows.contains(id) ? Work::create : Work::nothing;
}

}  // namespace

// --- claiming ------------------------------------------------------------------------------------------------------

bool ModelQueue::is_claimable(const LeadId& id, bool creates_too) const {
    const auto& state = transaction_.read();
    return is_waiting(state.queue.at(id)) && (creates_too || work_of(state, id) != Work::create);
}

std::vector<LeadId> ModelQueue::due(int limit, bool creates_too) const {
    const auto now = transaction_.now();
    const auto& queue = transaction_.read().queue;
    std::vector<LeadId> ids;
    for (const auto& [id, lead] : queue)
        if (is_claimable(id, creates_too) && lead.due_at <= now && !is_leased(lead, now)) ids.push_back(id);
    std::ranges::stable_sort(ids, {}, [&](const LeadId& id) { return queue.at(id).due_at; });
    if (ids.size() > static_cast<std::size_t>(limit)) ids.resize(static_cast<std::size_t>(limit));
    std::ranges::sort(ids);
    return ids;
}

std::vector<Claim> ModelQueue::claim(int limit, std::chrono::milliseconds lease, bool creates_too) {
    return claim_within({}, limit, lease, creates_too, std::nullopt).value();
}

std::optional<std::vector<Claim>> ModelQueue::claim_within(const store::Allowed& allowed, int limit,
                                                           std::chrono::milliseconds lease, bool creates_too,
                                                           std::optional<std::int64_t> token) {
    if (!exceeded(allowed).empty()) return std::nullopt;
    std::vector<Claim> claims;
    for (const auto& id : due(limit, creates_too)) claims.push_back(lease_one(id, lease, token));
    if (!claims.empty()) wake();
    return claims;
}

std::int64_t ModelQueue::draw_lease_token() { return transaction_.write().next_lease_token++; }

std::vector<store::MoveClaim> ModelQueue::claim_moves(int limit, int scan, std::chrono::milliseconds lease,
                                                      std::chrono::milliseconds aside) {
    std::vector<store::MoveClaim> moves;
    for (const auto& id : due(scan, false)) {
        const auto& state = transaction_.read();
        const auto& queued = state.queue.at(id);
        const auto base = state.bases.find(id);
        const auto row = state.rows.find(id);
        if (queued.attempts > 0 || queued.resends > 0 || queued.decision != store::Approval::none) continue;
        if (base == state.bases.end() || row == state.rows.end() || state.merges.contains(id)) continue;
        if (base->second.deleted_at || base->second.gone_at || base->second.expected) continue;
        const auto& here = row->second.content;
        const auto& known = base->second.content;
        const bool is_pushed_otherwise =
            here.custom_variables != known.custom_variables
            || std::ranges::any_of(sync::field_table(), [&](const sync::FieldSpec& line) {
                   return line.owner == sync::Owner::both_ways && line.call != sync::Call::move
                          && here[line.field].value_or("") != known[line.field].value_or("");
               });
        const auto intent = sync::move_between(known, here);
        if (!intent || is_pushed_otherwise) continue;
        moves.push_back({lease_one(id, lease), *intent});
        transaction_.write().queue.at(id).due_at = transaction_.now() + aside;
        if (moves.size() == static_cast<std::size_t>(limit)) break;
    }
    return moves;
}

Claim ModelQueue::lease_one(const LeadId& id, std::chrono::milliseconds lease, std::optional<std::int64_t> token) {
    auto& state = transaction_.write();
    auto& lead = state.queue.at(id);
    lead.lease_token = token ? *token : state.next_lease_token++;
    lead.lease_until = transaction_.now() + lease;
    Claim claim{.id = id, .work = work_of(state, id), .generation = lead.generation};
    claim.lease_token = *lead.lease_token;
    claim.attempts = lead.attempts;
    claim.resends = lead.resends;
    claim.approval = lead.decision;
    claim.approval_of = lead.decided;
    if (const auto base = state.bases.find(id); base != state.bases.end()) {
        claim.instantly_id = base->second.instantly_id;
        const auto& written_at = base->second.written_at;
        claim.unsent = lead.edited_at && (!written_at || *lead.edited_at > *written_at);
        claim.expecting = base->second.expected && base->second.expected_until > transaction_.now();
    }
    if (const auto merge = state.merges.find(id); merge != state.merges.end()) {
        claim.merge_into = merge->second.destination;
        if (const auto& sent_at = merge->second.sent_at)
            claim.merge_sent_ago =
                std::chrono::duration_cast<std::chrono::milliseconds>(transaction_.now() - *sent_at);
        const auto into = state.bases.find(merge->second.destination);
        if (into != state.bases.end() && !into->second.deleted_at && !into->second.gone_at)
            claim.merge_destination = into->second.instantly_id;
    }
    return claim;
}

// --- giving back ---------------------------------------------------------------------------------------------------

ModelQueue::Released ModelQueue::release(const Claim& claim) {
    auto& queue = transaction_.write().queue;
    const auto found = queue.find(claim.id);
    if (found == queue.end() || found->second.lease_token != claim.lease_token) return {};
    found->second.lease_token.reset();
    found->second.lease_until.reset();
    return {&found->second, found->second.generation == claim.generation};
}

void ModelQueue::complete(const std::vector<Claim>& claims) {
    for (const auto& claim : claims) {
        const auto [lead, unchanged] = release(claim);
        if (!lead) continue;
        if (unchanged)
            transaction_.write().queue.erase(claim.id);
        else
            lead->attempts = 0;
    }
}

void ModelQueue::defer(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    for (const auto& claim : claims) {
        const auto [lead, unchanged] = release(claim);
        if (lead) lead->due_at = unchanged ? transaction_.now() + delay : transaction_.now();
    }
}

void ModelQueue::defer_together(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    const auto step = std::max(std::chrono::milliseconds{1}, delay / 2);
    const auto since_epoch = (transaction_.now() + delay).time_since_epoch();
    const auto due_in = since_epoch - since_epoch % step + step - transaction_.now().time_since_epoch();
    defer(claims, std::chrono::duration_cast<std::chrono::milliseconds>(due_in));
}

std::vector<Claim> ModelQueue::give_back(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    defer(claims, delay);
    return {};
}

std::unordered_set<std::string> ModelQueue::renew(const std::vector<Claim>& claims, std::chrono::milliseconds lease) {
    std::unordered_set<std::string> ours;
    auto& queue = transaction_.write().queue;
    for (const auto& claim : claims) {
        const auto found = queue.find(claim.id);
        if (found == queue.end() || found->second.lease_token != claim.lease_token) continue;
        if (found->second.generation != claim.generation) continue;
        found->second.lease_until = transaction_.now() + lease;
        ours.insert(claim.id.text);
    }
    return ours;
}

void ModelQueue::put_aside(const std::vector<Claim>& claims, std::chrono::milliseconds how_long) {
    auto& queue = transaction_.write().queue;
    for (const auto& claim : claims) {
        const auto found = queue.find(claim.id);
        const bool is_ours = found != queue.end() && found->second.lease_token == claim.lease_token;
        if (is_ours && found->second.generation == claim.generation)
            found->second.due_at = transaction_.now() + how_long;
    }
}

void ModelQueue::retry(const std::vector<FailedClaim>& failed) {
    for (const auto& [claim, error, exchange, delay] : failed) {
        const auto [lead, unchanged] = release(claim);
        if (!lead) continue;
        lead->last_error = error;
        lead->attempts = unchanged ? lead->attempts + 1 : 0;
        lead->due_at = unchanged ? transaction_.now() + delay : transaction_.now();
        add_attempt(claim.id, error);
    }
}

void ModelQueue::resent(const std::vector<FailedClaim>& failed) {
    for (const auto& [claim, what, exchange, delay] : failed) {
        const auto [lead, unchanged] = release(claim);
        if (!lead) continue;
        lead->last_error = what;
        lead->resends = unchanged ? lead->resends + 1 : 0;
        lead->due_at = unchanged ? transaction_.now() + delay : transaction_.now();
        add_attempt(claim.id, what);
    }
}

std::vector<LeadId> ModelQueue::dead_letter(const std::vector<FailedClaim>& failed) {
    std::vector<LeadId> dead;
    for (const auto& [claim, reason, exchange, delay] : failed) {
        const auto [lead, unchanged] = release(claim);
        if (!lead) continue;
        lead->last_error = reason;
        lead->attempts = unchanged ? lead->attempts + 1 : 0;
        if (!unchanged) continue;
        lead->dead_at = transaction_.now();
        add_attempt(claim.id, reason);
        dead.push_back(claim.id);
    }
    return dead;
}

void ModelQueue::add_attempt(const LeadId& id, const std::string& error) {
    auto& kept = transaction_.write().attempts[id];
    kept.push_back(error);
    if (kept.size() > static_cast<std::size_t>(attempts_kept)) kept.pop_front();
}

// --- queueing ------------------------------------------------------------------------------------------------------

void ModelQueue::enqueue(const std::vector<LeadId>& ids) {
    for (const auto& id : ids) {
        auto& state = transaction_.write();
        const auto queued = state.queue.find(id);
        if (queued == state.queue.end() || !queued->second.dead_at) queue_up(state, id, transaction_.now());
    }
}

std::vector<LeadId> ModelQueue::look_again(const std::vector<LeadId>& ids, std::chrono::milliseconds delay) {
    for (const auto& id : ids)
        transaction_.write().queue.try_emplace(id, ModelQueued{.due_at = transaction_.now() + delay});
    return {};
}

void ModelQueue::forget_dead(const std::vector<LeadId>& ids) {
    for (const auto& id : ids) {
        const auto& queue = transaction_.read().queue;
        const auto queued = queue.find(id);
        if (queued != queue.end() && queued->second.dead_at) transaction_.write().queue.erase(id);
    }
}

std::vector<Claim> ModelQueue::release_lease(std::int64_t token) {
    for (auto& [id, lead] : transaction_.write().queue) {
        if (lead.lease_token != token) continue;
        lead.lease_token.reset();
        lead.lease_until.reset();
    }
    return {};
}

std::vector<Claim> ModelQueue::release_all() {
    if (transaction_.read().queue.empty()) return {};
    for (auto& [id, lead] : transaction_.write().queue) {
        if (!lead.lease_token) continue;
        lead.lease_token.reset();
        lead.lease_until.reset();
        lead.due_at = std::min(lead.due_at, transaction_.now());
    }
    return {};
}

std::optional<std::chrono::milliseconds> ModelQueue::next_due(bool creates_too) {
    std::optional<Instant> next;
    for (const auto& [id, lead] : transaction_.read().queue) {
        if (!is_claimable(id, creates_too)) continue;
        const auto due = std::max(lead.due_at, lead.lease_until.value_or(lead.due_at));
        if (!next || due < *next) next = due;
    }
    if (!next) return std::nullopt;
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(*next - transaction_.now()),
                    std::chrono::milliseconds{0});
}

bool ModelQueue::is_idle() {
    return std::ranges::none_of(transaction_.read().queue, [](const auto& lead) { return is_waiting(lead.second); });
}

bool ModelQueue::has_creates() {
    const auto& state = transaction_.read();
    return std::ranges::any_of(state.queue, [&](const auto& lead) {
        return is_waiting(lead.second) && work_of(state, lead.first) == Work::create;
    });
}

/// Transactions are one after the other here: nobody can be under way.
bool ModelQueue::fall_asleep() {
    if (transaction_.read().workspace.asleep) return true;
    transaction_.write_workspace().asleep = true;
    return false;
}

void ModelQueue::wake() {
    if (transaction_.read().workspace.asleep) transaction_.write_workspace().asleep = false;
}

// --- the guard -----------------------------------------------------------------------------------------------------

std::vector<LeadId> ModelQueue::undecided(HoldKind kind) const {
    const auto wanted = kind == HoldKind::create   ? Work::create
                        : kind == HoldKind::change ? Work::reconcile
                        : kind == HoldKind::remove ? Work::remove
                                                   : throw std::out_of_range{"only local kinds have a backlog"};
    const auto& state = transaction_.read();
    std::vector<LeadId> ids;
    for (const auto& [id, lead] : state.queue)
        if (is_waiting(lead) && lead.edited_at && lead.decision == store::Approval::none
            && !is_leased(lead, transaction_.now())
            && work_of(state, id) == wanted
            // What has been sent, and is only waited for, is no edit that could still be held back.
            && !(wanted == Work::reconcile && state.bases.at(id).expected))
            ids.push_back(id);
    return ids;
}

void ModelQueue::rejected(const std::vector<LeadId>& ids) {
    if (ids.empty()) return;
    auto& state = transaction_.write();
    for (const auto& id : ids) {
        const auto queued = state.queue.find(id);
        if (queued == state.queue.end() || queued->second.decision != store::Approval::rejected) continue;
        queued->second.decision = store::Approval::none;
        queued->second.decided.reset();
        queued->second.edited_at.reset();
    }
}

std::int64_t ModelQueue::backlog(HoldKind kind, std::int64_t limit) {
    return std::min(static_cast<std::int64_t>(undecided(kind).size()), limit);
}

std::vector<HoldKind> ModelQueue::exceeded(const store::Allowed& allowed) {
    std::vector<HoldKind> kinds;
    for (const auto& [kind, limit] : allowed)
        if (static_cast<std::int64_t>(undecided(kind).size()) > limit) kinds.push_back(kind);
    return kinds;
}

/// False: it waits for an operator's word already.
bool ModelQueue::note_held(HoldKind kind, const LeadId& id, const std::string& why) {
    if (!held(kind, {id}).empty()) return false;
    auto& state = transaction_.write();
    state.held.emplace(state.next_held++,
                       ModelHeld{.lead = id, .kind = kind, .reason = why, .held_at = transaction_.now()});
    return true;
}

void ModelQueue::show_held(const LeadId& id, const std::string& why) {
    auto& rows = transaction_.write().rows;
    const auto row = rows.find(id);
    if (row == rows.end()) return;
    row->second.status = sync::SyncStatus::held;
    row->second.error = why;
}

void ModelQueue::hold_backlog(HoldKind kind, const std::string& why) {
    for (const auto& id : undecided(kind)) {
        auto& lead = transaction_.write().queue.at(id);
        lead.held_at = transaction_.now();
        lead.lease_token.reset();
        lead.lease_until.reset();
        show_held(id, why);
        note_held(kind, id, why);
    }
}

void ModelQueue::hold(HoldKind kind, const std::vector<LeadId>& ids, const std::string& why) {
    if (ids.empty()) return;
    const std::set<LeadId> in_order{ids.begin(), ids.end()};
    auto& state = transaction_.write();
    for (const auto& id : in_order) {
        const auto queued = state.queue.find(id);
        const bool decided = queued != state.queue.end() && !queued->second.dead_at
                             && queued->second.decision != store::Approval::none;
        if (decided || !note_held(kind, id, why)) continue;
        queue_up(state, id, transaction_.now()).held_at = transaction_.now();
        show_held(id, why);
    }
}

std::vector<LeadId> ModelQueue::held(HoldKind kind, const std::vector<LeadId>& ids) {
    std::vector<LeadId> waiting;
    for (const auto& [number, held] : transaction_.read().held)
        if (held.kind == kind && held.decision == store::Approval::none && std::ranges::count(ids, held.lead))
            waiting.push_back(held.lead);
    return waiting;
}

std::map<LeadId, store::Approval> ModelQueue::deletions_decided(const std::vector<LeadId>& ids) {
    const auto& state = transaction_.read();
    std::map<LeadId, store::Approval> decided;
    for (const auto& [number, held] : state.held) {
        const auto absent = state.absent.find(held.lead);
        if (held.kind == HoldKind::remote_deletion && held.decision != store::Approval::none
            && std::ranges::count(ids, held.lead) > 0 && absent != state.absent.end() && absent->second.confirmed_at
            && held.held_at >= *absent->second.confirmed_at)
            decided.insert_or_assign(held.lead, held.decision);
    }
    return decided;
}

// --- merges --------------------------------------------------------------------------------------------------------

void ModelQueue::merge_leaves(const LeadId& source) {
    auto& merges = transaction_.write().merges;
    if (const auto merge = merges.find(source); merge != merges.end()) merge->second.sent_at = transaction_.now();
}

void ModelQueue::merge_ended(const LeadId& source, bool merged) {
    auto& state = transaction_.write();
    if (merged) {
        const auto email_of = [&](const LeadId& id) {
            const auto row = state.rows.find(id);
            return row == state.rows.end() ? sync::Value{} : row->second.content[sync::Field::email];
        };
        if (const auto merge = state.merges.find(source); merge != state.merges.end()) {
            const store::HistoryEntry told{.lead = source,
                                           .before = email_of(source),
                                           .after = email_of(merge->second.destination),
                                           .side = sync::Side::local,
                                           .rule = "merged",
                                           .request = "POST /leads/merge"};
            state.history.push_back({told, transaction_.now()});
        }
        state.bases.erase(source);
        state.rows.erase(source);
        state.absent.erase(source);
        if (const auto queued = state.queue.find(source); queued != state.queue.end()) queued->second.held_at.reset();
        std::erase_if(state.held, [&](const auto& held) {
            return held.second.lead == source && held.second.decision == store::Approval::none;
        });
    }
    state.merges.erase(source);
}

}  // namespace leadsync::simulation
