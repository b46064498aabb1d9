#include "daemon/remover.hpp"

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

using store::Claim;
using store::Transaction;

asio::awaitable<void> Remover::remove(Claims claims) {
    struct Removal {
        Claim claim;
        std::optional<sync::Failure> failure;
    };
    Claims done;
    Claims brought_back;
    std::vector<Removal> removals;
    for (auto& claim : claims) {
        if (claim.approval == store::Approval::rejected)
            brought_back.push_back(std::move(claim));
        else if (context_.deletes.local == sync::LocalDeletes::push)
            removals.push_back({std::move(claim), std::nullopt});
        else
            done.push_back(std::move(claim));
    }
    auto call = [this](Removal& removal) -> asio::awaitable<void> {
        try {
            co_await context_.client.delete_lead(removal.claim.instantly_id);
        } catch (const instantly::ApiError& error) {
            removal.failure = error.failure();
        }
    };
    co_await for_each_of(removals, calls_at_once, call);
    std::vector<store::HistoryEntry> history;
    std::vector<Verdicts::Judged> failed;
    store::Writes absences;  // a page that shows one of them again has it deleted again
    for (const auto& removal : removals) {
        if (removal.failure) {
            failed.push_back(verdicts_.judge(removal.claim, *removal.failure));
            continue;
        }
        done.push_back(removal.claim);
        absences[removal.claim.id].emplace("", std::nullopt);
        history.push_back({removal.claim.id, "", removal.claim.instantly_id.text, std::nullopt, sync::Side::local,
                           "deleted", "DELETE /leads/{id}"});
    }
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        transaction.leads.expect(absences, context_.timing.patience);
        transaction.queue.complete(done);
        transaction.leads.add_history(history);
        transaction.leads.bring_back(ids_of(brought_back));
        transaction.queue.defer(brought_back, context_.timing.busy);
        return verdicts_.write(transaction, failed);
    });
    verdicts_.look_again_later(std::move(taken));
    for (auto& lead : failed) co_await verdicts_.heed(std::move(lead));
}

}  // namespace leadsync::daemon
