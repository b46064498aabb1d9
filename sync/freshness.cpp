#include "sync/freshness.hpp"

#include <algorithm>

namespace leadsync::sync {
namespace {

constexpr double leads_per_request = 100;

double per_second(double requests, std::chrono::milliseconds within) {
    return requests / std::chrono::duration<double>{within}.count();
}

}  // namespace

std::string_view name_of(FreshnessClass of) {
    switch (of) {
        case FreshnessClass::fresh:
            return "new";
        case FreshnessClass::active:
            return "active";
        case FreshnessClass::rest:
            return "rest";
    }
    return "rest";
}

std::chrono::milliseconds usable(std::chrono::milliseconds bound) { return bound * 9 / 10; }

FreshnessDemand demand_of(const FreshnessBounds& bounds, std::int64_t active_leads, std::int64_t leads) {
    return {.fresh = per_second(1, bounds.fresh),
            .active = per_second(static_cast<double>(active_leads) / leads_per_request, bounds.active),
            .rest = per_second(static_cast<double>(leads) / leads_per_request, bounds.rest)};
}

double budget_of(const RateLimits& limits) {
    return std::min<double>(limits.per_second, limits.per_minute / 60.0) * limits.share;
}

std::optional<Instant> last_activity(const Content& remote) {
    std::optional<Instant> last;
    for (const auto field :
         {Field::timestamp_last_contact, Field::timestamp_last_open, Field::timestamp_last_reply,
          Field::timestamp_last_click, Field::timestamp_last_touch, Field::timestamp_last_interest_change})
        last = std::max(last, instant_of(remote[field]));
    return last;
}

}  // namespace leadsync::sync
