#include "daemon/verdicts.hpp"

#include <spdlog/spdlog.h>

#include "daemon/persistence.hpp"

namespace leadsync::daemon {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Claim;
using store::Transaction;

sync::Verdict Verdicts::judge(const Claim& claim, const sync::Failure& failure) {
    return sync::after_failure(failure, claim.attempts + 1, context_.dice(), context_.timing.backoff);
}

boost::asio::awaitable<void> Verdicts::fail(Claims claims, sync::Failure failure) {
    if (claims.empty()) co_return;
    std::vector<sync::Verdict> verdicts;
    for (const auto& claim : claims) verdicts.push_back(judge(claim, failure));
    co_await context_.store.run([&](Transaction& transaction) {
        for (std::size_t i = 0; i < claims.size(); ++i) write(transaction, claims[i], verdicts[i], failure);
    });
    co_await heed(verdicts.front(), failure);
}

boost::asio::awaitable<void> Verdicts::give_up(Claims claims, std::string reason) {
    if (claims.empty()) co_return;
    for (const auto& claim : claims)
        spdlog::error("workspace {}: lead {}: {}; given up until its next edit", context_.workspace, claim.id.text,
                      reason);
    co_await context_.store.run([&](Transaction& transaction) {
        for (const auto& claim : claims) write_given_up(transaction, claim, reason);
    });
}

void Verdicts::write(Transaction& transaction, const Claim& claim, const sync::Verdict& verdict,
                     const sync::Failure& failure) const {
    if (const auto* retry = std::get_if<sync::Retry>(&verdict)) {
        transaction.queue.retry(claim, retry->after, failure.message);
        transaction.queue.add_attempts({{claim.id, store::AttemptOutcome::retry, failure.message, failure.exchange}});
    } else if (const auto* dead = std::get_if<sync::DeadLetter>(&verdict)) {
        write_given_up(transaction, claim, dead->reason, failure.exchange);
    } else {
        transaction.queue.defer({claim}, context_.timing.busy);
    }
}

void Verdicts::write_given_up(Transaction& transaction, const Claim& claim, const std::string& reason,
                              const sync::Exchange& exchange) {
    if (!transaction.queue.dead_letter(claim, reason)) return;
    transaction.leads.set_status({claim.id}, sync::SyncStatus::error, reason);
    transaction.queue.add_attempts({{claim.id, store::AttemptOutcome::given_up, reason, exchange}});
}

boost::asio::awaitable<void> Verdicts::heed(sync::Verdict verdict, sync::Failure failure) {
    if (failure.kind == sync::FailureKind::held_back) co_return;
    spdlog::warn("workspace {}: {}", context_.workspace, failure.message);
    if (failure.rate_limited)
        context_.pace.refused(std::max<milliseconds>(failure.retry_after.value_or(0ms), rate_limit_hold));
    if (!std::holds_alternative<sync::HoldCreates>(verdict)) co_return;
    creates_held_until_ = context_.clock.now() + context_.timing.creates_hold;
    co_await context_.state.problem(WorkspaceState::Side::creating, "creates are held: " + failure.message);
}

boost::asio::awaitable<void> Verdicts::created() {
    creates_held_until_ = {};
    co_await context_.state.solved(WorkspaceState::Side::creating);
}

}  // namespace leadsync::daemon
