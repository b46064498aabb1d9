#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "sync/lead.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::sync {

/// Leads by how old what is known of them may be (DESIGN §5).
enum class FreshnessClass {
    fresh,   ///< added on Instantly: not known yet
    active,  ///< contacted, opened, replied to, edited or pushed lately
    rest,
};
/// As the config and `crm.freshness` call it: `new`, `active`, `rest`.
std::string_view name_of(FreshnessClass of);

/// The oldest that what is known of a lead may be, by class.
struct FreshnessBounds {
    std::chrono::milliseconds fresh = std::chrono::seconds{15};
    std::chrono::milliseconds active = std::chrono::minutes{2};
    std::chrono::milliseconds rest = std::chrono::hours{1};
    bool operator==(const FreshnessBounds&) const = default;
};

/// So much of a bound may go by until the next request: the rest is for an answer that takes its time.
std::chrono::milliseconds usable(std::chrono::milliseconds bound);

/// Requests a second that keep the bounds, a hundred leads to each.
struct FreshnessDemand {
    double fresh = 0;
    double active = 0;
    double rest = 0;
    [[nodiscard]] double all() const { return fresh + active + rest; }
};
FreshnessDemand demand_of(const FreshnessBounds& bounds, std::int64_t active_leads, std::int64_t leads);

/// Requests a second that a workspace may send for long.
double budget_of(const RateLimits& limits);

/// When something last happened to the lead by what Instantly tells: mail was sent, opened, clicked or answered, or
/// its interest changed. Nothing: never.
std::optional<Instant> last_activity(const Content& remote);

}  // namespace leadsync::sync
