#include "daemon/gone_leads.hpp"

#include <vector>

#include "connectors/store/store.hpp"
#include "daemon/tasks.hpp"
#include "sync/observe.hpp"

namespace leadsync::daemon {
namespace {

using store::Approval;
using store::Transaction;

constexpr auto no_longer_there = "Instantly no longer has this lead (404)";

}  // namespace

/// Nothing is deleted here on the absence alone: the next sweep and the guard have their say.
asio::awaitable<void> settle_gone(PushContext& context, Verdicts& verdicts, Claims claims) {
    if (claims.empty()) co_return;
    Claims given_up;
    co_await context.store.run([&](Transaction& transaction) {
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
                    leads.mark_gone({claim.id}, context.deletes.remote);
                else
                    leads.keep_gone({claim.id});
                queue.complete({claim});
            } else {
                const auto known = leads.load({claim.instantly_id}, store::Lock::rows, context.clock.wall());
                if (known.empty() && leads.here_or_deleted({claim.id}).empty()) {
                    // Neither side has it: its row was to be brought back, and the lead is deleted there too.
                    leads.mark_gone({claim.id}, context.deletes.remote);
                    queue.complete({claim});
                } else if (known.empty())  // its row is locked
                    queue.defer({claim}, context.timing.busy);
                else if (sync::has_local_edits(known.front()) || claim.merge_into
                         || known.front().status == sync::SyncStatus::pending)  // edited, and taken back
                    given_up.push_back(claim);
                else
                    queue.complete({claim});
            }
        }
    });
    co_await verdicts.give_up(std::move(given_up), no_longer_there);
}

}  // namespace leadsync::daemon
