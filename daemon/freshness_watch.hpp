#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/store.hpp"
#include "daemon/active_leads.hpp"
#include "daemon/clock.hpp"
#include "sync/freshness.hpp"

namespace leadsync::daemon {

/// "200,000 active leads at 2 min need 16.7 requests/s, all 1,000,000 at 1 h need 2.8; your share is 80"
std::string told(const sync::FreshnessBounds& bounds, std::int64_t active_leads, std::int64_t leads, double budget);

/// Keeps an eye on how old what is known of each class of leads is (DESIGN §2, 9): recorded in `crm.workspaces`, and
/// told in the log when a class gets older than its bound, when it has not been for as long as the bound, and when
/// the rate limit does not allow for the bounds at all.
class FreshnessWatch {
public:
    FreshnessWatch(store::Store& store, Clock& clock, std::string workspace, const ActiveLeads& active,
                   const sync::FreshnessBounds& bounds, sync::RateLimits limits);

    /// Never returns.
    boost::asio::awaitable<void> watch();

    /// The workspace holds so many.
    void leads_are(std::int64_t leads) { leads_ = leads; }

private:
    boost::asio::awaitable<void> look();
    void judge(sync::FreshnessClass of, std::optional<std::chrono::milliseconds> age,
               std::chrono::milliseconds bound);
    void judge_demand();

    store::Store& store_;
    Clock& clock_;
    std::string workspace_;
    const ActiveLeads& active_;
    sync::FreshnessBounds bounds_;
    sync::RateLimits limits_;
    std::map<sync::FreshnessClass, sync::SteadyTime> late_at_;  ///< of the classes that were late last
    bool is_over_budget_ = false;
    std::optional<std::int64_t> leads_;
};

}  // namespace leadsync::daemon
