#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

namespace leadsync::sync {

using SteadyTime = std::chrono::steady_clock::time_point;

/// The request budget of one workspace: exact for two sliding windows at once, one second and sixty.
/// Source: INSTANTLY.md, Transport (100 a second and 6,000 a minute). Holds no clock: times come in as arguments.
class RateWindows {
public:
    /// `share` of both limits is used. `margin` widens each window, because the server counts arrivals, and requests
    /// that left evenly may arrive closer together.
    RateWindows(int per_second, int per_minute, double share,
                std::chrono::milliseconds margin = std::chrono::milliseconds{50});

    /// The earliest time, not before `now`, at which one more request may leave.
    [[nodiscard]] SteadyTime next(SteadyTime now) const;

    /// Records a request that leaves at `at`; never earlier than the one before.
    void spend(SteadyTime at);

    /// Nothing leaves before `until`: the server has refused (429).
    void hold_until(SteadyTime until);

    /// How many requests left within the minute before `now`.
    [[nodiscard]] std::size_t spent_in_minute(SteadyTime now) const;

private:
    [[nodiscard]] SteadyTime sent_back(std::size_t steps) const;

    std::size_t per_second_;
    std::size_t per_minute_;
    std::chrono::milliseconds margin_;
    std::vector<SteadyTime> sent_;  // ring of the last per_minute_ departures
    std::size_t count_ = 0;
    SteadyTime held_until_{};
};

}  // namespace leadsync::sync
