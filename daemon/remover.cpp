#include "daemon/remover.hpp"

#include <algorithm>
#include <iterator>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

using store::Claim;
using store::Transaction;

asio::awaitable<void> Remover::remove(Claims claims) {
    struct Removal {
        Claim claim;
        std::optional<sync::Failure> failure;
        bool is_late = false;  ///< its turn came when the row may have been back
    };
    Claims done;
    Claims brought_back;
    Claims to_delete;
    for (auto& claim : claims) {
        if (claim.approval == store::Approval::rejected)
            brought_back.push_back(std::move(claim));
        else if (context_.deletes.local == sync::LocalDeletes::push)
            to_delete.push_back(std::move(claim));
        else
            done.push_back(std::move(claim));
    }
    Claims late;
    std::vector<Removal> removals;
    for (std::span<Claim> rest{to_delete}; !rest.empty(); rest = rest.subspan(std::min(rest.size(), calls_at_once))) {
        std::vector<Removal> some;
        auto ours = co_await still_ours(rest.first(std::min(rest.size(), calls_at_once)));
        const auto in_time = [this, asked_at = context_.clock.now(), may_be_old = late_turns_.are_too_many()] {
            return may_be_old || context_.clock.now() - asked_at <= context_.timing.look_keeps;
        };
        auto client = context_.client.through(only_while(in_time, context_.pace.lane(sync::Lane::push)));
        auto call = [&](Removal& removal) -> asio::awaitable<void> {
            try {
                co_await client.delete_lead(removal.claim.instantly_id);
            } catch (const TurnCameLate&) {
                removal.is_late = true;
            } catch (const instantly::ApiError& error) {
                removal.failure = error.failure();
            }
        };
        for (auto& claim : ours) some.push_back({std::move(claim), std::nullopt});
        co_await for_each_of(some, calls_at_once, call);
        const auto came_late = std::ranges::count(some, true, &Removal::is_late);
        late_turns_.count(came_late > 0, came_late < std::ssize(some));
        for (auto& removal : some)
            if (removal.is_late)
                late.push_back(std::move(removal.claim));
            else
                removals.push_back(std::move(removal));
    }
    std::vector<store::HistoryEntry> history;
    std::vector<Verdicts::Judged> failed;
    std::vector<sync::LeadId> absent;  // a page that shows one of them again has it deleted again
    for (const auto& removal : removals) {
        if (removal.failure) {
            failed.push_back(verdicts_.judge(removal.claim, *removal.failure));
            continue;
        }
        done.push_back(removal.claim);
        absent.push_back(removal.claim.id);
        history.push_back({removal.claim.id, "", removal.claim.instantly_id.text, std::nullopt, sync::Side::local,
                           "deleted", "DELETE /leads/{id}"});
    }
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        transaction.leads.expect_absence(absent, context_.timing.patience);
        transaction.queue.complete(done);
        transaction.leads.add_history(history);
        transaction.leads.bring_back(ids_of(brought_back));
        transaction.queue.defer(brought_back, context_.timing.busy);
        transaction.queue.defer(late, std::chrono::milliseconds{0});
        return verdicts_.write(transaction, failed);
    });
    verdicts_.look_again_later(std::move(taken));
    for (auto& lead : failed) co_await verdicts_.heed(std::move(lead));
}

/// A deletion can't be taken back, and with many of them there is time for its row to be inserted again.
asio::awaitable<Claims> Remover::still_ours(std::span<const Claim> some) {
    Claims claims{some.begin(), some.end()};
    Claims inserted_again;
    co_await context_.store.run([&](Transaction& transaction) {
        const auto ours = transaction.queue.renew(claims, context_.timing.lease);
        inserted_again.clear();
        std::ranges::copy_if(claims, std::back_inserter(inserted_again),
                             [&](const auto& claim) { return !ours.contains(claim.id.text); });
        transaction.queue.defer(inserted_again, std::chrono::milliseconds{0});
    });
    std::erase_if(claims, [&](const auto& claim) {
        return std::ranges::find(inserted_again, claim.id, &Claim::id) != inserted_again.end();
    });
    co_return claims;
}

}  // namespace leadsync::daemon
