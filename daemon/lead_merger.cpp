#include "daemon/lead_merger.hpp"

#include <memory>
#include <optional>
#include <utility>
#include <variant>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/tasks.hpp"
#include "sync/failure.hpp"

namespace leadsync::daemon {
namespace {

using store::Claim;
using store::Transaction;

constexpr int merge_refusals_max = 3;  // of a merge that a request before may have carried out

}  // namespace

/// One after the other, for several may go into one lead. An edit of the source is pushed before it is merged: what
/// can't leave while the look keeps waits for one that would show such an edit.
asio::awaitable<void> LeadMerger::merge_away(Claims claims, sync::SteadyTime looked_at) {
    if (claims.empty()) co_return;
    const Look look{looked_at, late_turns_.are_too_many()};
    Claims late;
    for (const auto& claim : claims) {
        bool is_settled = look.keeps(context_);
        if (is_settled) is_settled = co_await merge_away(claim, look);
        if (!is_settled) late.push_back(claim);
    }
    late_turns_.count(!late.empty(), late.size() < claims.size());
    if (!late.empty())
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(late, std::chrono::milliseconds{0}); });
}

/// `crm.merge_leads`: the one operation that is no difference between row and base. Like any write it is done when a
/// look shows it: by the source being gone (settle_gone). Until then its row stays. False: its turn came too late.
asio::awaitable<bool> LeadMerger::merge_away(const Claim& claim, Look look) {
    Claims alone(1, claim);
    if (claim.merge_destination.text.empty()) {
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.merge_ended(claim.id, false); });
        co_await verdicts_.give_up(std::move(alone), "the lead it was to be merged into is no longer on Instantly");
        co_return true;
    }
    const auto in_time = look.turns(context_, sync::Lane::push);
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

}  // namespace leadsync::daemon
