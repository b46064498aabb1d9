#include "daemon/verdicts.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>

namespace leadsync::daemon {

using store::Claim;
using store::FailedClaim;
using store::Transaction;

Verdicts::Judged Verdicts::judge(Claim claim, sync::Failure failure) {
    auto verdict = sync::after_failure(failure, claim.attempts + 1, context_.dice(), context_.timing.backoff);
    return {std::move(claim), std::move(failure), std::move(verdict)};
}

boost::asio::awaitable<void> Verdicts::fail(Claims claims, sync::Failure failure) {
    if (claims.empty()) co_return;
    std::vector<Judged> judged;
    for (auto& claim : claims) judged.push_back(judge(std::move(claim), failure));
    auto taken = co_await context_.store.run([&](Transaction& transaction) { return write(transaction, judged); });
    look_again_later(std::move(taken));
    co_await heed(std::move(judged.front()));
}

boost::asio::awaitable<void> Verdicts::give_up(Claims claims, std::string reason) {
    if (claims.empty()) co_return;
    std::vector<FailedClaim> leads;
    for (auto& claim : claims) {
        spdlog::error("workspace {}: lead {}: {}; given up until its next edit", context_.workspace, claim.id.text,
                      reason);
        leads.push_back({std::move(claim), reason});
    }
    auto taken =
        co_await context_.store.run([&](Transaction& transaction) { return write_given_up(transaction, leads); });
    look_again_later(std::move(taken));
}

Claims Verdicts::write(Transaction& transaction, const std::vector<Judged>& leads) const {
    std::vector<FailedClaim> again;
    std::vector<FailedClaim> dead;
    Claims not_at_fault;
    for (const auto& [claim, failure, verdict] : leads) {
        if (const auto* retry = std::get_if<sync::Retry>(&verdict))
            again.push_back({claim, failure.message, failure.exchange, retry->after});
        else if (const auto* letter = std::get_if<sync::DeadLetter>(&verdict))
            dead.push_back({claim, letter->reason, failure.exchange});
        else
            not_at_fault.push_back(claim);
    }
    transaction.queue.retry(again);
    transaction.queue.defer(not_at_fault, context_.timing.busy);
    return write_given_up(transaction, dead);
}

Claims Verdicts::write_given_up(Transaction& transaction, const std::vector<FailedClaim>& leads) {
    std::vector<sync::LeadId> rows;
    for (const auto& lead : leads) rows.push_back(lead.claim.id);
    const auto taken = transaction.leads.lock_free(rows);
    Claims later;
    std::vector<FailedClaim> at_an_end;
    for (const auto& lead : leads)
        if (taken.contains(lead.claim.id.text))
            later.push_back(lead.claim);
        else
            at_an_end.push_back(lead);
    const auto dead = transaction.queue.dead_letter(at_an_end);
    std::map<std::string, std::vector<sync::LeadId>> by_reason;
    for (const auto& lead : at_an_end)
        if (std::ranges::find(dead, lead.claim.id) != dead.end()) by_reason[lead.error].push_back(lead.claim.id);
    for (const auto& [reason, ids] : by_reason) transaction.leads.set_status(ids, sync::SyncStatus::error, reason);
    return later;
}

boost::asio::awaitable<void> Verdicts::heed(Judged lead) {
    const auto& failure = lead.failure;
    if (failure.kind == sync::FailureKind::held_back) co_return;
    spdlog::warn("workspace {}: {}", context_.workspace, failure.message);
    if (!std::holds_alternative<sync::HoldCreates>(lead.verdict)) co_return;
    creates_held_until_ = context_.clock.now() + context_.timing.creates_hold;
    tells_of_held_creates_ = true;
    co_await context_.state.problem(WorkspaceState::Side::creating, "creates are held: " + failure.message);
}

boost::asio::awaitable<void> Verdicts::release_creates() {
    creates_held_until_ = {};
    tells_of_held_creates_ = false;
    co_await context_.state.solved(WorkspaceState::Side::creating);
}

}  // namespace leadsync::daemon
