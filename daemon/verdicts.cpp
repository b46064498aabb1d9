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
    if (const auto* retry = std::get_if<sync::Retry>(&verdict))
        transaction.queue.retry(claim, retry->after, failure.message);
    else if (const auto* dead = std::get_if<sync::DeadLetter>(&verdict))
        write_given_up(transaction, claim, dead->reason);
    else  // the lead is not at fault: no attempt is burnt
        transaction.queue.defer({claim}, context_.timing.busy);
}

void Verdicts::write_given_up(Transaction& transaction, const Claim& claim, const std::string& reason) {
    if (transaction.queue.dead_letter(claim, reason))
        transaction.leads.set_status({claim.id}, sync::SyncStatus::error, reason);
}

boost::asio::awaitable<void> Verdicts::heed(sync::Verdict verdict, sync::Failure failure) {
    spdlog::warn("workspace {}: {}", context_.workspace, failure.message);
    const auto& clock = context_.clock;
    if (failure.rate_limited)
        context_.pace.refused(std::max<milliseconds>(failure.retry_after.value_or(0ms), rate_limit_hold));
    if (std::holds_alternative<sync::PauseWorkspace>(verdict)) {
        const auto wait =
            std::max(sync::backoff_delay(context_.timing.pause, ++pauses_, context_.dice()), milliseconds{1s});
        paused_until_ = std::max(paused_until_, clock.now() + wait);
        co_await context_.state.problem(WorkspaceState::Side::writing, failure.message);
    } else if (std::holds_alternative<sync::HoldCreates>(verdict)) {
        creates_held_until_ = clock.now() + context_.timing.creates_hold;
        co_await context_.state.problem(WorkspaceState::Side::writing, "creates are held: " + failure.message);
    } else {
        pauses_ = 0;
    }
}

milliseconds Verdicts::paused_for() const {
    return std::max(0ms, std::chrono::ceil<milliseconds>(paused_until_ - context_.clock.now()));
}

}  // namespace leadsync::daemon
