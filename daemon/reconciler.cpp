#include "daemon/reconciler.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <span>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/bulk_call.hpp"
#include "daemon/tasks.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {
namespace {

using store::Approval;
using store::Claim;
using store::Transaction;

constexpr std::size_t ids_max = 100;       // in one look-up
constexpr std::size_t leads_at_once = 32;  // between two looks at the clock
constexpr int slow_looks_max = 3;          // in a row: a server that is always slow is written to all the same
constexpr int merge_refusals_max = 3;      // of a merge that a request before may have carried out
constexpr std::chrono::milliseconds to_finish{250};  // of a look: for what goes in a request with others
constexpr auto no_longer_there = "Instantly no longer has this lead (404)";

template <class Parts>
std::string joined(const Parts& parts) {
    std::string text;
    for (const auto& part : parts) (text += text.empty() ? "" : "; ") += part;
    return text;
}

/// Whether a lead takes more than a place in a move or an assignment of many.
bool has_calls_of_its_own(const Sending& sending) {
    const auto& [patch, interest, subsequence, move, refused] = sending.plan;
    const bool patches =
        patch && (patch->custom_variables || std::ranges::any_of(patch->fields, [](sync::Field field) {
                      return field != sync::Field::assigned_to;
                  }));
    return patches || interest || subsequence;
}

std::string never_stored(const sync::MergeResult& result, int times) {
    std::vector<std::string> told;
    for (const auto& key : result.lost)
        told.push_back(fmt::format("{} = {}, and Instantly still shows {}", key,
                                   quoted(sync::value_of(result.local, key)),
                                   quoted(sync::value_of(result.remote, key))));
    return fmt::format("sent {} times: {}; edit the lead to have it sent again", times, joined(told));
}

}  // namespace

// --- look, merge, plan ---------------------------------------------------------------------------------------------

asio::awaitable<void> Reconciler::reconcile(Claims claims, Moves moves, CallsLeft& left) {
    const auto looked_at = context_.clock.now();
    auto sendings = co_await prepare(std::move(claims), looked_at, left);
    if (moves == Moves::together)
        for (auto& sending : sendings) sending.leave_move_for_later();
    std::unique_ptr<Mover::Reservation> none;
    co_await send_while_fresh(std::move(sendings), looked_at, std::move(none), left);
}

asio::awaitable<void> Reconciler::move_together(Mover::Together together) {
    const auto looked_at = context_.clock.now();
    CallsLeft left{*this, 0};  // they have been called
    std::vector<Sending> sendings;
    auto prepare_some = [&](std::span<Claim> some) -> asio::awaitable<void> {
        Claims claims{std::make_move_iterator(some.begin()), std::make_move_iterator(some.end())};
        auto prepared = co_await prepare(std::move(claims), looked_at, left);
        std::ranges::move(prepared, std::back_inserter(sendings));
    };
    std::vector<asio::awaitable<void>> looks;
    for (std::span rest{together.claims}; !rest.empty(); rest = rest.subspan(std::min(rest.size(), ids_max)))
        looks.push_back(prepare_some(rest.first(std::min(rest.size(), ids_max))));
    co_await all(std::move(looks));
    co_await send_while_fresh(std::move(sendings), looked_at, std::move(together.places), left);
}

/// Looks, merges, and settles what needs no call. Left are the leads to be sent.
asio::awaitable<std::vector<Sending>> Reconciler::prepare(Claims claims, sync::SteadyTime looked_at,
                                                          CallsLeft& left) {
    LookUp seen;
    std::optional<sync::Failure> failure;
    try {
        seen = co_await look_up(claims);
    } catch (const instantly::ApiError& error) {
        failure = error.failure();
    }
    std::vector<Sending> sendings;
    if (failure) {
        // One bad lead must not take the batch down with it.
        if (failure->kind == sync::FailureKind::lead && claims.size() > 1) {
            for (const auto& claim : claims) {
                Claims alone(1, claim);
                co_await reconcile(std::move(alone), Moves::now, left);
            }
            co_return sendings;
        }
        left.are_over(claims.size());
        co_await verdicts_.fail(std::move(claims), *failure);
        co_return sendings;
    }

    auto sorted = sort(claims, std::move(seen));
    const auto calling = std::ranges::count_if(sorted.sendings, has_calls_of_its_own);
    left.are_over(claims.size() - static_cast<std::size_t>(calling));
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        transaction.queue.complete(sorted.finished);
        transaction.queue.defer_together(sorted.later, context_.timing.read_back);
        return Verdicts::write_given_up(transaction, sorted.refused);
    });
    verdicts_.look_again_later(std::move(taken));
    co_await settle_gone(std::move(sorted.gone));
    co_await merge_away(std::move(sorted.to_merge), looked_at);
    co_return std::move(sorted.sendings);
}

asio::awaitable<Reconciler::LookUp> Reconciler::look_up(const Claims& claims) {
    const auto requested_at = context_.clock.wall();
    instantly::LeadQuery query;
    std::unordered_set<std::string> missing;
    auto options = context_.observing;
    options.everything = true;
    for (const auto& claim : claims) {
        query.ids.push_back(claim.instantly_id);
        missing.insert(claim.instantly_id.text);
        if (claim.resends + 1 >= sync::lost_writes_max) options.form_is_believed.insert(claim.id);
        if (claim.approval == Approval::rejected && claim.approval_of)
            options.rejected.emplace(claim.id, *claim.approval_of);
    }
    // Ahead of the calls of earlier batches: a look that waited behind them would no longer keep for its own.
    auto& client = context_.urgent;
    auto page = co_await client.list_leads(query);
    LookUp outcome;
    for (const auto& lead : page.leads) missing.erase(lead.id.text);
    // A listing may hide a lead that is there.
    for (const auto& id : missing) {
        sync::InstantlyId wanted{id};
        auto lead = co_await client.get_lead(std::move(wanted));
        if (lead)
            page.leads.push_back(std::move(*lead));
        else
            outcome.gone.insert(id);
    }
    auto observations = observations_of(page, requested_at, context_.clock.wall());
    auto result = co_await context_.store.run([&](Transaction& transaction) {
        auto seen = observe(transaction, std::move(observations), options, context_.clock.wall());
        std::vector<sync::LeadId> undone;
        for (const auto& lead : seen.merged)
            if (options.rejected.contains(lead.id)) undone.push_back(lead.id);
        transaction.queue.rejected(undone);
        return seen;
    });
    for (auto& lead : result.merged) {
        auto id = lead.id.text;
        outcome.merged.emplace(std::move(id), std::move(lead));
    }
    co_return outcome;
}

Reconciler::Sorted Reconciler::sort(const Claims& claims, LookUp seen) const {
    Sorted sorted;
    for (const auto& claim : claims) {
        const auto found = seen.merged.find(claim.id.text);
        if (found != seen.merged.end())
            sort_merged(claim, std::move(found->second), sorted);
        else if (seen.gone.contains(claim.instantly_id.text) && !claim.expecting)
            sorted.gone.push_back(claim);
        else
            sorted.later.push_back(claim);
    }
    return sorted;
}

void Reconciler::sort_merged(const Claim& claim, MergedLead&& lead, Sorted& sorted) const {
    auto& result = lead.result;
    const int sent_already = claim.resends + 1;
    if (!result.lost.empty() && sent_already >= sync::lost_writes_max) {
        sorted.refused.push_back({claim, never_stored(result, sent_already)});
        return;
    }
    Sending sending{.claim = claim, .instantly_id = lead.instantly_id};
    sending.plan = sync::plan_push(result);
    sending.local = std::move(result.local);
    sending.remote = std::move(result.remote);
    sending.lost = std::move(result.lost);
    const bool merge_may_show =
        claim.merge_sent_ago && *claim.merge_sent_ago < context_.timing.patience;  // not yet, perhaps
    if (!sending.plan.empty())
        sorted.sendings.push_back(std::move(sending));
    else if (!result.awaited.empty())
        sorted.later.push_back(claim);
    else if (!sending.plan.refused.empty())
        sorted.refused.push_back({claim, joined(sending.plan.refused)});
    else if (claim.merge_into)
        (merge_may_show ? sorted.later : sorted.to_merge).push_back(claim);
    else
        sorted.finished.push_back(claim);
}

/// Absent from a look-up, and 404. Nothing is deleted here on that alone: the next sweep and the guard have their
/// say. An edit that can't be sent any more is told; a lead nobody edited is left to the sweep.
asio::awaitable<void> Reconciler::settle_gone(Claims claims) {
    if (claims.empty()) co_return;
    Claims given_up;
    co_await context_.store.run([&](Transaction& transaction) {
        auto& [leads, queue, progress] = transaction;
        given_up.clear();
        std::vector<sync::LeadId> ids;
        for (const auto& claim : claims) ids.push_back(claim.id);
        const auto decided = queue.deletions_decided(ids);
        for (const auto& claim : claims) {
            if (claim.merge_into && claim.merge_sent_ago) {
                queue.merge_ended(claim.id, true);
                queue.complete({claim});
                queue.look_again({*claim.merge_into}, std::chrono::milliseconds{0});
                continue;
            }
            if (claim.merge_into) queue.merge_ended(claim.id, false);
            const auto deletion = decided.find(claim.id);
            if (deletion != decided.end()) {
                if (deletion->second == Approval::approved)
                    leads.mark_gone({claim.id}, context_.deletes.remote);
                else
                    leads.keep_gone({claim.id});
                queue.complete({claim});
            } else {
                const auto known = leads.load({claim.instantly_id}, store::Lock::rows, context_.clock.wall());
                if (known.empty() && leads.here_or_deleted({claim.id}).empty()) {
                    // Neither side has it: its row was to be brought back, and the lead is deleted there too.
                    leads.mark_gone({claim.id}, context_.deletes.remote);
                    queue.complete({claim});
                } else if (known.empty())  // its row is locked
                    queue.defer({claim}, context_.timing.busy);
                else if (sync::has_local_edits(known.front()) || claim.merge_into
                         || known.front().status == sync::SyncStatus::pending)  // edited, and taken back
                    given_up.push_back(claim);
                else
                    queue.complete({claim});
            }
        }
    });
    co_await verdicts_.give_up(std::move(given_up), no_longer_there);
}

/// One after the other, for several may go into one lead. An edit of the source is pushed before it is merged: what
/// can't leave while the look keeps waits for one that would show such an edit.
asio::awaitable<void> Reconciler::merge_away(Claims claims, sync::SteadyTime looked_at) {
    if (claims.empty()) co_return;
    const Look look{looked_at, late_merges_.are_too_many()};
    Claims late;
    for (const auto& claim : claims) {
        bool is_settled = keeps(look);
        if (is_settled) is_settled = co_await merge_away(claim, look);
        if (!is_settled) late.push_back(claim);
    }
    late_merges_.count(!late.empty(), late.size() < claims.size());
    if (!late.empty())
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(late, std::chrono::milliseconds{0}); });
}

/// `crm.merge_leads`: the one operation that is no difference between row and base. Like any write it is done when a
/// look shows it: by the source being gone (settle_gone). Until then its row stays. False: its turn came too late.
asio::awaitable<bool> Reconciler::merge_away(const Claim& claim, Look look) {
    Claims alone(1, claim);
    if (claim.merge_destination.text.empty()) {
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.merge_ended(claim.id, false); });
        co_await verdicts_.give_up(std::move(alone), "the lead it was to be merged into is no longer on Instantly");
        co_return true;
    }
    const auto in_time = turns(look, sync::Lane::push);
    // Noted behind its turn: a source that goes while it waits was not merged.
    const auto leaves = [&]() -> asio::awaitable<std::unique_ptr<instantly::Turn>> {
        auto turn = co_await in_time();
        co_await context_.store.run([&](Transaction& transaction) { transaction.queue.merge_leaves(claim.id); });
        co_return turn;
    };
    auto client = context_.client.through(leaves);
    bool is_late = false;
    std::optional<instantly::ApiError> refusal;
    try {
        co_await client.merge_leads(claim.instantly_id, claim.merge_destination);
    } catch (const TurnCameLate&) {
        is_late = true;
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    if (is_late) co_return false;
    bool refused = false;
    if (refusal && !refusal->in_doubt()) {
        const auto verdict = sync::after_failure(refusal->failure(), claim.attempts + 1, 0, context_.timing.backoff);
        refused = std::holds_alternative<sync::DeadLetter>(verdict);
    }
    // One refused after an earlier one may have been merged by that: the next look tells, a few times.
    const bool may_be_done = claim.merge_sent_ago && claim.attempts < merge_refusals_max;
    if (refused && !may_be_done)
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.merge_ended(claim.id, false); });
    if (refusal) {
        auto failure = refusal->failure();
        if (refused && may_be_done) failure.kind = sync::FailureKind::transient;
        co_await verdicts_.fail(std::move(alone), std::move(failure));
        co_return true;
    }
    co_await context_.store.run([&](Transaction& transaction) {
        transaction.queue.defer(alone, context_.timing.read_back);
        transaction.queue.look_again({*claim.merge_into}, context_.timing.read_back);
    });
    co_return true;
}

// --- send ----------------------------------------------------------------------------------------------------------

/// What is edited there between the look and the write is overwritten unseen: the API has no conditional write. So
/// what can't leave soon, because the answer was slow or the budget is small, is looked at anew.
asio::awaitable<void> Reconciler::send_while_fresh(std::vector<Sending> sendings, sync::SteadyTime looked_at,
                                                   std::unique_ptr<Mover::Reservation> places, CallsLeft& left) {
    Look look{looked_at};
    slow_looks_ = keeps(look) ? 0 : slow_looks_ + 1;
    bool goes = keeps(look) || slow_looks_ > slow_looks_max;
    look.may_be_old = slow_looks_ > slow_looks_max || late_turns_.are_too_many();
    // What goes in a request with others goes with all of them.
    auto next = std::stable_partition(sendings.begin(), sendings.end(), std::not_fn(has_calls_of_its_own));
    Claims later;
    for (auto begin = sendings.begin(); begin != sendings.end(); begin = next) {
        const auto rest = static_cast<std::size_t>(sendings.end() - next);
        next += static_cast<std::ptrdiff_t>(std::min(rest, leads_at_once));
        std::vector<Sending> part{std::make_move_iterator(begin), std::make_move_iterator(next)};
        if (!places) places = std::make_unique<Mover::Reservation>(mover_);
        if (goes)
            co_await send(std::move(part), look, *places, left);
        else
            for (const auto& sending : part) later.push_back(sending.claim);
        places.reset();
        goes = goes && keeps({looked_at});
    }
    if (!later.empty())
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(later, std::chrono::milliseconds{0}); });
}

bool Reconciler::keeps(const Look& look) const { return keeps_for(look).count() >= 0; }

std::chrono::milliseconds Reconciler::keeps_for(const Look& look) const {
    if (look.may_be_old) return std::chrono::milliseconds::max();
    return std::chrono::floor<std::chrono::milliseconds>(look.at + context_.timing.look_keeps - context_.clock.now());
}

/// Turns that come while the look keeps. Behind a longer wait, as while the server wants no requests, what was to be
/// sent may be wrong.
instantly::Gate Reconciler::turns(const Look& look, sync::Lane lane) const {
    return only_while([this, look] { return keeps(look); }, context_.pace.lane(lane));
}

asio::awaitable<void> Reconciler::send(std::vector<Sending> sendings, Look look, Mover::Reservation& places,
                                       CallsLeft& left) {
    mover_.reserve(sendings, places);
    std::map<std::string, std::vector<Sending*>> by_assignee;
    for (auto& sending : sendings) {
        if (!sending.plan.patch) continue;
        const auto& assignee = sending.local[sync::Field::assigned_to];
        if (assignee && std::ranges::count(sending.plan.patch->fields, sync::Field::assigned_to) > 0)
            by_assignee[*assignee].push_back(&sending);
    }
    for (auto& [assignee, leads] : by_assignee) {
        if (leads.size() < sync::assign_together) continue;
        for (auto* sending : leads) {
            sending->assignee = assignee;
            std::erase(sending->plan.patch->fields, sync::Field::assigned_to);
            if (sending->plan.patch->fields.empty() && !sending->plan.patch->custom_variables)
                sending->plan.patch.reset();
        }
    }

    co_await context_.store.run([&](Transaction& transaction) { note(transaction, sendings); });
    co_await call(sendings, look, left);
}

/// Before the requests leave: what is awaited from now on, and what the history says of it.
void Reconciler::note(Transaction& transaction, const std::vector<Sending>& sendings) const {
    store::Writes staying;
    store::Writes moving;
    std::vector<store::HistoryEntry> history;
    for (const auto& sending : sendings) {
        const auto calls = sending.calls();
        for (const auto& [values, request] : calls)
            for (const auto& [key, value] : values) {
                const auto before = sync::value_of(sending.remote, key);
                if (sync::agree(before, value)) continue;  // the rest of a complete map
                const bool again = std::ranges::count(sending.lost, key) > 0;
                history.push_back({sending.claim.id, key, before, value, sync::Side::local,
                                   again ? "sent again" : "edit", request});
            }
        if (!calls.empty()) (sending.plan.move ? moving : staying)[sending.claim.id] = sending.expected();
    }
    transaction.leads.add_history(history);
    transaction.leads.expect(staying, context_.timing.patience);
    transaction.leads.expect(moving, context_.timing.move_patience);
}

/// The calls that each lead has to itself, then the rest. Leads whose calls take long hold up no other: those that
/// are through while the look keeps go on, and the late ones follow, or wait for a new look.
asio::awaitable<void> Reconciler::call(std::vector<Sending>& sendings, Look look, CallsLeft& left) {
    Signal through;
    std::vector<Sending*> late;
    Ways ways{context_.client.through(turns(look, sync::Lane::push)),
              context_.urgent.through(turns(look, sync::Lane::safety))};
    auto call_one = [&](Sending& sending) -> asio::awaitable<void> {
        const std::size_t calls = has_calls_of_its_own(sending) ? 1 : 0;
        co_await call_lead(sending, ways);
        sending.called = true;
        left.are_over(calls);
    };
    auto calling = [&]() -> asio::awaitable<void> {
        co_await for_each_of(sendings, calls_at_once, call_one);
        through.set();
    };
    auto finishing = [&]() -> asio::awaitable<void> {
        co_await through.wait_for(context_.clock, std::min(context_.timing.slow_batch, keeps_for(look) - to_finish));
        std::vector<Sending*> in_time;
        for (auto& sending : sendings) (sending.called ? in_time : late).push_back(&sending);
        co_await finish(in_time, look, ways);
    };
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(calling());
    tasks.push_back(finishing());
    co_await all(std::move(tasks));
    late_turns_.count(std::ranges::any_of(sendings, [](const auto& sending) { return !sending.put_off.empty(); }),
                      std::ranges::any_of(sendings, [](const auto& sending) { return !sending.arrived.empty(); }));
    if (!keeps(look))
        for (auto* sending : late) sending->put_off_the_rest();
    co_await finish(late, look, ways);
}

asio::awaitable<void> Reconciler::finish(const std::vector<Sending*>& sendings, Look look, Ways& ways) {
    if (sendings.empty()) co_return;
    const auto began_at = context_.clock.now();
    co_await assign(sendings, ways);
    const bool all_went = std::ranges::all_of(sendings, [](const auto* sending) { return sending->put_off.empty(); });
    if (!keeps(look))
        for (auto* sending : sendings)
            if (sending->assignee) sending->put_off_the_rest();
    // A move alone is not put off for the time that the assignments beside it take: in each batch there could be
    // some. It takes nobody along whom somebody has moved elsewhere.
    if (all_went) look.at += context_.clock.now() - began_at;
    const Mover::Way way = [this, look](std::chrono::milliseconds followed) {
        auto then = look;
        then.at += followed;
        return context_.client.through(turns(then, sync::Lane::push));
    };
    co_await mover_.move(sendings, way);
    co_await record(sendings);
}

asio::awaitable<void> Reconciler::call_lead(Sending& sending, Ways& ways) {
    Sending::Values keys;
    try {
        if (sending.plan.patch) {
            keys = sync::expectations(*sending.plan.patch, sending.local);
            auto body = instantly::patch_body(*sending.plan.patch, sending.local);
            const auto updated = co_await ways.client.update_lead(sending.instantly_id, std::move(body));
            if (!updated) {
                sending.is_gone();
                co_return;
            }
            sending.accepted(keys);
        }
        if (sending.plan.interest) {
            const auto& intent = *sending.plan.interest;
            keys = sync::expectations(intent);
            instantly::InterestUpdate update{intent.email, intent.interest,
                                             id_or_nothing<sync::CampaignId>(intent.campaign),
                                             id_or_nothing<sync::ListId>(intent.list)};
            co_await ways.urgent.update_interest(update);
            sending.accepted(keys);
        }
        if (sending.plan.subsequence) {
            keys = sync::expectations(*sending.plan.subsequence);
            if (sending.plan.subsequence->subsequence_id)
                co_await ways.urgent.move_to_subsequence(sending.instantly_id,
                                                         *sending.plan.subsequence->subsequence_id);
            else
                co_await ways.urgent.remove_from_subsequence(sending.instantly_id);
            sending.accepted(keys);
        }
    } catch (const TurnCameLate&) {
        sending.put_off_the_rest();
    } catch (const instantly::ApiError& error) {
        sending.failed(keys, error);
    }
}

asio::awaitable<void> Reconciler::assign(const std::vector<Sending*>& sendings, Ways& ways) {
    std::map<std::string, std::vector<Sending*>> by_assignee;
    for (auto* sending : sendings)
        if (sending->assignee) by_assignee[*sending->assignee].push_back(sending);
    std::vector<asio::awaitable<void>> calls;
    for (const auto& [assignee, leads] : by_assignee) calls.push_back(assign_together(leads, ways));
    co_await all(std::move(calls));
}

asio::awaitable<void> Reconciler::assign_together(std::vector<Sending*> leads, Ways& ways) {
    const auto assignee = *leads.front()->assignee;
    auto assign_them = [&](const std::vector<Sending*>& some) -> asio::awaitable<void> {
        std::vector<sync::InstantlyId> ids;
        for (const auto* lead : some) ids.push_back(lead->instantly_id);
        co_await ways.client.assign_leads(std::move(ids), assignee);
    };
    BulkCall bulk{leads.front()->assignment(), assign_them};
    co_await bulk.send(std::move(leads));
}

/// What became of the calls, in one transaction.
asio::awaitable<void> Reconciler::record(const std::vector<Sending*>& sendings) {
    const auto written_at = context_.clock.wall();
    const auto& timing = context_.timing;
    std::vector<sync::LeadId> written;
    std::vector<std::string> interest_emails;
    store::Writes moved;
    Claims read_back;
    std::vector<sync::MoveIntent> moves;
    Claims waiting;  // for those
    Claims waiting_in_queue;
    Claims gone;
    std::vector<store::FailedClaim> again;
    std::vector<Verdicts::Judged> failed;
    std::vector<std::pair<sync::LeadId, std::vector<sync::Key>>> unsent;
    std::vector<store::HistoryEntry> not_made;
    for (const auto* sending : sendings) {
        const auto& claim = sending->claim;
        if (!sending->put_off.empty()) {
            std::vector<sync::Key> keys;
            for (const auto& [key, value] : sending->put_off) {
                keys.push_back(key);
                not_made.push_back({claim.id, key, value, sync::value_of(sending->remote, key), sync::Side::local,
                                    "put off", "POST /leads/list"});
            }
            unsent.emplace_back(claim.id, std::move(keys));
        }
        if (!sending->calls().empty()) written.push_back(claim.id);
        if (sending->plan.move && !sending->failure) moved[claim.id] = sync::expectations(*sending->plan.move);
        if (sending->plan.interest) interest_emails.push_back(sending->plan.interest->email);
        if (sending->gone) {
            gone.push_back(claim);
            unsent.emplace_back(claim.id, sending->unsent);
        } else if (sending->failure) {
            failed.push_back(verdicts_.judge(claim, *sending->failure));
            unsent.emplace_back(claim.id, sending->unsent);
            not_made.push_back(
                {claim.id, "", std::nullopt, std::nullopt, sync::Side::remote, "refused", sending->failure->message});
        } else if (sending->sent_again()) {
            again.push_back({claim, "not stored, sent again: " + joined(sending->lost), {}, timing.read_back});
        } else if (sending->waits_for && moves.size() < mover_.room()) {
            moves.push_back(*sending->waits_for);
            waiting.push_back(claim);
            if (!sending->calls().empty()) waiting.back().expecting = true;
        } else if (sending->waits_for) {
            waiting_in_queue.push_back(claim);
        } else {
            read_back.push_back(claim);
        }
    }
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        auto& [leads, queue, progress] = transaction;
        leads.wrote(written, written_at);
        leads.expect(moved, timing.patience);
        for (const auto& [id, keys] : unsent) leads.expect_no_more(id, keys);
        leads.add_history(not_made);
        auto later = verdicts_.write(transaction, failed);
        queue.resent(again);
        queue.defer_together(read_back, timing.read_back);
        queue.put_aside(waiting, timing.moves_late);
        queue.defer(waiting_in_queue, timing.moves_late);
        // The call is scoped, but a server that reads the scope otherwise would reach every lead of that email.
        queue.look_again(leads.with_emails(interest_emails), timing.read_back);
        return later;
    });
    verdicts_.look_again_later(std::move(taken));
    for (std::size_t i = 0; i < waiting.size(); ++i) mover_.wait(moves[i], std::move(waiting[i]));
    for (auto& lead : failed) co_await verdicts_.heed(std::move(lead));
    co_await settle_gone(std::move(gone));
}

}  // namespace leadsync::daemon
