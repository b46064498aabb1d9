#include "daemon/deletions.hpp"

#include <unordered_set>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace leadsync::daemon {
namespace {

constexpr int look_up_max = 100;
/// Of the leads that neither the sweep nor a look-up shows, so many of a hundred are asked for one by one.
constexpr std::size_t sample_max = 10;

}  // namespace

Deletions::Deletions(instantly::Client& client, store::Store& store, Clock& clock, std::string workspace,
                     const ObserveOptions& observing, sync::RemoteDeletes policy, sync::GuardLimit limit)
    : client_{client},
      store_{store},
      clock_{clock},
      workspace_{std::move(workspace)},
      observing_{observing},
      policy_{policy},
      limit_{limit} {}

boost::asio::awaitable<void> Deletions::examine() {
    if (policy_ == sync::RemoteDeletes::ignore) co_return;
    // Not `while (co_await …)`: GCC 12 destroys the awaitable of a loop's condition that was never made.
    for (bool more = true; more;) more = co_await look_into_some();
    co_await carry_out();
}

/// A look-up of up to a hundred. False: none were left.
boost::asio::awaitable<bool> Deletions::look_into_some() {
    const auto noted =
        co_await store_.run([](store::Transaction& transaction) { return transaction.leads.absent(look_up_max); });
    if (noted.empty()) co_return false;
    const auto requested_at = clock_.wall();
    instantly::LeadQuery query;
    for (const auto& [id, instantly_id] : noted) query.ids.push_back(instantly_id);
    auto page = co_await client_.list_leads(query);
    std::unordered_set<std::string> listed;
    for (const auto& lead : page.leads) listed.insert(lead.id.text);
    std::vector<std::pair<sync::LeadId, sync::InstantlyId>> missing;
    std::vector<sync::LeadId> looked_into;
    for (const auto& lead : noted) {
        looked_into.push_back(lead.first);
        if (!listed.contains(lead.second.text)) missing.push_back(lead);
    }

    // A sample is asked for one by one; one of it that is there after all shows that lists hide rows, and then all
    // are.
    std::unordered_set<std::string> gone;
    bool lists_hide = false;
    for (std::size_t i = 0; i < missing.size(); ++i) {
        const auto& [id, instantly_id] = missing[i];
        if (i >= sample_max && !lists_hide) {
            gone.insert(id.text);
            continue;
        }
        auto lead = co_await client_.get_lead(instantly_id);
        if (lead) {
            lists_hide = true;
            page.leads.push_back(std::move(*lead));
        } else {
            gone.insert(id.text);
        }
    }
    auto observations = observations_of(page, requested_at, clock_.wall());
    co_await store_.run([&](store::Transaction& transaction) {
        observe(transaction, std::move(observations), observing_, clock_.wall());
        transaction.leads.looked_into(looked_into, gone);
    });
    co_return true;
}

/// The guard counts what waits for a decision already, too.
boost::asio::awaitable<void> Deletions::carry_out() {
    std::size_t gone = 0;
    std::size_t held = 0;
    co_await store_.run([&](store::Transaction& transaction) {
        gone = held = 0;
        const auto confirmed = transaction.leads.confirmed_absent();
        if (confirmed.empty()) return;
        const auto allowed = sync::allowed_deletes(limit_, transaction.leads.count());
        if (!allowed || static_cast<std::int64_t>(confirmed.size()) <= *allowed) {
            transaction.leads.mark_gone(confirmed, policy_);
            gone = confirmed.size();
            return;
        }
        transaction.queue.hold(store::HoldKind::remote_deletion, confirmed,
                               fmt::format("{} leads are gone on Instantly, more than the {} that may go at once",
                                           confirmed.size(), *allowed));
        held = confirmed.size();
    });
    if (gone > 0) spdlog::info("workspace {}: {} leads were deleted on Instantly", workspace_, gone);
    if (held > 0)
        spdlog::warn(
            "workspace {}: {} leads are gone on Instantly, which is more than the guard lets through; "
            "leadsync held list shows them",
            workspace_, held);
}

}  // namespace leadsync::daemon
