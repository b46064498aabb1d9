#include "daemon/deletions.hpp"

#include <algorithm>
#include <exception>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/persistence.hpp"

namespace leadsync::daemon {
namespace {

/// Whether asking for another lead may go well.
bool concerns_one_lead(const sync::Failure& failure) {
    return failure.kind == sync::FailureKind::lead
           || (failure.kind == sync::FailureKind::transient && !failure.rate_limited);
}

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

boost::asio::awaitable<void> Deletions::examine(store::Absence by) {
    if (policy_ == sync::RemoteDeletes::ignore) co_return;
    const auto lock = co_await examining_.lock(clock_);
    // Not `while (co_await …)`: GCC 12 destroys the awaitable of a loop's condition that was never made.
    for (bool more = true; more;) more = co_await look_into_some(by);
    co_await carry_out(static_cast<std::int64_t>(unanswered_[by].put_aside.size()));
    if (by == store::Absence::sweep) gone_since_sweep_ = 0;
    unanswered_.erase(by);
}

bool Deletions::is_put_aside(store::Absence by, const sync::InstantlyId& lead, const sync::Failure& refusal,
                             bool is_down) {
    auto& unanswered = unanswered_[by];
    const bool may_be_answered = is_down || refusal.kind == sync::FailureKind::transient;
    const int enough = is_down ? asked_in_an_outage : asked_before_put_aside;
    if (++unanswered.asked[lead.text] < enough && may_be_answered) return false;
    unanswered.put_aside.insert(lead.text);
    spdlog::warn(
        "workspace {}: lead {} is in no list, and whether it was deleted is not known: {}; it is asked for again",
        workspace_, lead.text, refusal.message);
    return true;
}

/// A look-up of up to a hundred. False: none were left.
boost::asio::awaitable<bool> Deletions::look_into_some(store::Absence by) {
    const auto noted = co_await store_.run([by](store::Transaction& transaction) {
        return transaction.leads.absent(by, static_cast<int>(instantly::look_up_max));
    });
    if (noted.empty()) co_return false;
    const auto requested_at = clock_.wall();
    instantly::LeadQuery query;
    for (const auto& [id, instantly_id] : noted) query.ids.push_back(instantly_id);
    auto page = co_await client_.list_leads(query);
    std::unordered_set<std::string> listed;
    for (const auto& lead : page.leads) listed.insert(lead.id.text);
    struct Missing {
        sync::LeadId id;
        sync::InstantlyId instantly_id;
        std::optional<sync::RemoteLead> lead;
        std::exception_ptr refused;
    };
    std::vector<Missing> missing;
    std::vector<sync::LeadId> looked_into;
    for (const auto& [id, instantly_id] : noted)
        if (listed.contains(instantly_id.text))
            looked_into.push_back(id);
        else
            missing.push_back({id, instantly_id, std::nullopt, nullptr});

    // Each is asked for by itself. A sample would not do: a row that lists hide may stand among many that are gone.
    auto ask = [this](Missing& lead) -> asio::awaitable<void> {
        try {
            lead.lead = co_await client_.get_lead(lead.instantly_id);
        } catch (const instantly::ApiError& error) {
            if (!concerns_one_lead(error.failure())) throw;
            lead.refused = std::current_exception();
        }
    };
    co_await for_each_of(missing, asked_at_once, ask);
    std::unordered_set<std::string> gone;
    std::exception_ptr refused;
    const bool is_down = missing.size() >= asked_at_once
                         && std::ranges::all_of(missing, [](const auto& lead) { return lead.refused != nullptr; });
    for (auto& lead : missing) {
        if (lead.refused && !is_put_aside(by, lead.instantly_id, *failure_of(lead.refused), is_down)) {
            refused = lead.refused;
            continue;
        }
        looked_into.push_back(lead.id);
        if (lead.refused) continue;
        unanswered_[by].asked.erase(lead.instantly_id.text);
        if (lead.lead)
            page.leads.push_back(std::move(*lead.lead));
        else
            gone.insert(lead.id.text);
    }
    auto observations = observations_of(page, requested_at, clock_.wall());
    co_await store_.run([&](store::Transaction& transaction) {
        observe(transaction, std::move(observations), observing_, clock_.wall());
        transaction.leads.looked_into(looked_into, gone, requested_at);
    });
    if (refused) std::rethrow_exception(refused);
    co_return true;
}

/// The guard counts what waits for a decision already, too; that goes when the decision says so, however few are
/// left.
boost::asio::awaitable<void> Deletions::carry_out(std::int64_t put_aside) {
    std::size_t gone = 0;
    std::size_t held = 0;
    co_await store_.run([&](store::Transaction& transaction) {
        gone = held = 0;
        const auto confirmed = transaction.leads.confirmed_absent();
        auto new_ones = confirmed;
        std::unordered_set<std::string> waiting;
        for (const auto& id : transaction.queue.held(store::HoldKind::remote_deletion, confirmed))
            waiting.insert(id.text);
        std::erase_if(new_ones, [&](const auto& id) { return waiting.contains(id.text); });
        if (new_ones.empty()) return;
        const auto allowed = sync::allowed_deletes(limit_, transaction.leads.count());
        const auto all = static_cast<std::int64_t>(confirmed.size()) + gone_since_sweep_ + put_aside;
        if (!allowed || all <= *allowed) {
            transaction.leads.mark_gone(new_ones, policy_);
            gone = new_ones.size();
            return;
        }
        transaction.queue.hold(store::HoldKind::remote_deletion, new_ones,
                               fmt::format("{} leads are gone on Instantly{}, more than the {} that may go at once",
                                           all, put_aside > 0 ? " or were not answered for" : "", *allowed));
        held = new_ones.size();
    });
    gone_since_sweep_ += static_cast<std::int64_t>(gone);
    if (gone > 0) spdlog::info("workspace {}: {} leads were deleted on Instantly", workspace_, gone);
    if (held > 0)
        spdlog::warn(
            "workspace {}: {} leads are gone on Instantly, which is more than the guard lets through; "
            "leadsync held list shows them",
            workspace_, held);
}

}  // namespace leadsync::daemon
