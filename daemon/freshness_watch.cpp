#include "daemon/freshness_watch.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "daemon/backfill_progress.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using sync::FreshnessClass;

namespace {

std::string spoken(milliseconds time) { return daemon::spoken(std::chrono::duration<double>{time}.count()); }

}  // namespace

FreshnessWatch::FreshnessWatch(store::Store& store, Clock& clock, std::string workspace, const ActiveLeads& active,
                               const sync::FreshnessBounds& bounds, sync::RateLimits limits)
    : store_{store},
      clock_{clock},
      workspace_{std::move(workspace)},
      active_{active},
      bounds_{bounds},
      limits_{limits} {}

asio::awaitable<void> FreshnessWatch::watch() {
    const auto shortest = std::min({bounds_.fresh, bounds_.active, bounds_.rest});
    const auto period = std::clamp<milliseconds>(shortest / 10, 250ms, 5s);
    for (;; co_await clock_.sleep_for(period)) {
        try {
            co_await look();
        } catch (const store::StoreError& error) {
            spdlog::debug("workspace {}: {}", workspace_, error.what());
        }
    }
}

asio::awaitable<void> FreshnessWatch::look() {
    std::optional<milliseconds> fresh;
    std::optional<milliseconds> rest;
    const auto active = active_.oldest_ago();
    const auto count = active_.count();  // asked here: it is this thread's
    bool backfilled = false;
    std::optional<std::int64_t> leads = leads_;
    co_await store_.run([&](store::Transaction& transaction) {
        auto& progress = transaction.progress;
        backfilled = progress.is_backfilled();
        if (backfilled && !leads) leads = transaction.leads.count();
        fresh = progress.new_leads_ago();
        rest = progress.fresh_ago();
        if (count) progress.report_active(*count, active);
    });
    if (!backfilled) co_return;
    leads_ = leads;
    judge(FreshnessClass::fresh, fresh, bounds_.fresh);
    judge(FreshnessClass::active, active, bounds_.active);
    judge(FreshnessClass::rest, rest, bounds_.rest);
    judge_demand();
}

void FreshnessWatch::judge(FreshnessClass of, std::optional<milliseconds> age, milliseconds bound) {
    const auto late = late_at_.find(of);
    if (age && *age > bound) {
        if (late == late_at_.end())
            spdlog::warn("workspace {}: freshness.{} is {}, but what is known of the oldest is {} old", workspace_,
                         name_of(of), spoken(bound), spoken(*age));
        late_at_[of] = clock_.now();
    } else if (late != late_at_.end() && clock_.now() - late->second > bound) {
        spdlog::info("workspace {}: freshness.{} is kept again", workspace_, name_of(of));
        late_at_.erase(late);
    }
}

void FreshnessWatch::judge_demand() {
    const auto active_leads = active_.count().value_or(0);
    const auto leads = leads_.value_or(0);
    const auto demand = sync::demand_of(bounds_, active_leads, leads);
    const auto budget = sync::budget_of(limits_);
    if (std::exchange(is_over_budget_, demand.all() > budget) == (demand.all() > budget)) return;
    if (is_over_budget_)
        spdlog::warn("workspace {}: {}: raise what needs most, or rate.share", workspace_,
                     told(bounds_, active_leads, leads, budget));
    else
        spdlog::info("workspace {}: {}", workspace_, told(bounds_, active_leads, leads, budget));
}

std::string told(const sync::FreshnessBounds& bounds, std::int64_t active_leads, std::int64_t leads, double budget) {
    const auto demand = sync::demand_of(bounds, active_leads, leads);
    return fmt::format("{} active leads at {} need {:.1f} requests/s, all {} at {} need {:.1f}; your share is {:.0f}",
                       grouped(active_leads), spoken(bounds.active), demand.active, grouped(leads),
                       spoken(bounds.rest), demand.rest, budget);
}

}  // namespace leadsync::daemon
