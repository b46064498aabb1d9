#include "daemon/reconciler.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
#include <span>

#include <fmt/format.h>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/assignments.hpp"
#include "daemon/gone_leads.hpp"
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
constexpr std::chrono::milliseconds to_finish{250};  // of a look: for what goes in a request with others

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
    return fmt::format("sent {} times: {}; edit the lead to have it sent again", times, in_one_line(told));
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
    co_await settle_gone(context_, verdicts_, std::move(sorted.gone));
    co_await merger_.merge_away(std::move(sorted.to_merge), looked_at);
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
        sorted.refused.push_back({claim, in_one_line(sending.plan.refused)});
    else if (claim.merge_into)
        (merge_may_show ? sorted.later : sorted.to_merge).push_back(claim);
    else
        sorted.finished.push_back(claim);
}

// --- send ----------------------------------------------------------------------------------------------------------

/// What is edited there between the look and the write is overwritten unseen: the API has no conditional write. So
/// what can't leave soon, because the answer was slow or the budget is small, is looked at anew.
asio::awaitable<void> Reconciler::send_while_fresh(std::vector<Sending> sendings, sync::SteadyTime looked_at,
                                                   std::unique_ptr<Mover::Reservation> places, CallsLeft& left) {
    Look look{looked_at};
    slow_looks_ = look.keeps(context_) ? 0 : slow_looks_ + 1;
    bool goes = look.keeps(context_) || slow_looks_ > slow_looks_max;
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
        goes = goes && Look{looked_at}.keeps(context_);
    }
    if (!later.empty())
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(later, std::chrono::milliseconds{0}); });
}

asio::awaitable<void> Reconciler::send(std::vector<Sending> sendings, Look look, Mover::Reservation& places,
                                       CallsLeft& left) {
    mover_.reserve(sendings, places);
    gather_assignments(sendings);
    co_await context_.store.run([&](Transaction& transaction) { recorder_.note(transaction, sendings); });
    co_await call(sendings, look, left);
}

/// The calls that each lead has to itself, then the rest. Leads whose calls take long hold up no other: those that
/// are through while the look keeps go on, and the late ones follow, or wait for a new look.
asio::awaitable<void> Reconciler::call(std::vector<Sending>& sendings, Look look, CallsLeft& left) {
    Signal through;
    std::vector<Sending*> late;
    Ways ways{context_.client.through(look.turns(context_, sync::Lane::push)),
              context_.urgent.through(look.turns(context_, sync::Lane::safety))};
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
        co_await through.wait_for(context_.clock,
                                  std::min(context_.timing.slow_batch, look.keeps_for(context_) - to_finish));
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
    if (!look.keeps(context_))
        for (auto* sending : late) sending->put_off_the_rest();
    co_await finish(late, look, ways);
}

asio::awaitable<void> Reconciler::finish(const std::vector<Sending*>& sendings, Look look, Ways& ways) {
    if (sendings.empty()) co_return;
    const auto began_at = context_.clock.now();
    co_await assign(sendings, ways.client);
    const bool all_went = std::ranges::all_of(sendings, [](const auto* sending) { return sending->put_off.empty(); });
    if (!look.keeps(context_))
        for (auto* sending : sendings)
            if (sending->assignee) sending->put_off_the_rest();
    // A move alone is not put off for the time that the assignments beside it take: in each batch there could be
    // some. It takes nobody along whom somebody has moved elsewhere.
    if (all_went) look.at += context_.clock.now() - began_at;
    const Mover::Way way = [this, look](std::chrono::milliseconds followed) {
        auto then = look;
        then.at += followed;
        return context_.client.through(then.turns(context_, sync::Lane::push));
    };
    co_await mover_.move(sendings, way);
    co_await recorder_.record(sendings);
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

}  // namespace leadsync::daemon
