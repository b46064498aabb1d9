#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace leadsync::sync {

using SteadyTime = std::chrono::steady_clock::time_point;

/// Limits of a workspace, and the part of them that is ours.
struct RateLimits {
    int per_second = 100;
    int per_minute = 6000;
    double share = 1;  ///< above 0, up to 1
};

/// The request budget of one workspace: exact for two sliding windows at once, one second and sixty, and smaller for
/// a while after the server has refused (additive increase, multiplicative decrease: the limits are shared with tools
/// that we do not see). A request is granted, and then departs or is given back; between the two it counts as leaving
/// at any moment. Grants are spaced evenly, as far as the caller wants it: a window's worth that left at once would
/// leave at once again, window after window, with nothing free in between for what is urgent.
/// Source: INSTANTLY.md, Transport (100 a second and 6,000 a minute); DESIGN §6. Holds no clock: times come in as
/// arguments, never earlier than the one before.
class RateWindows {
public:
    /// `margin` widens each window, because the server counts arrivals, and requests that left evenly may arrive
    /// closer together.
    explicit RateWindows(RateLimits limits, std::chrono::milliseconds margin = std::chrono::milliseconds{25});

    /// The earliest time, not before `now`, at which one more request may be granted, `ahead` requests ahead of an
    /// even pace at the most. Nothing: not before one that is granted has departed or is given back.
    [[nodiscard]] std::optional<SteadyTime> next(SteadyTime now, std::size_t ahead = unlimited) const;

    void grant(SteadyTime now);
    void depart(SteadyTime at);
    void give_back(SteadyTime now);

    /// As if none had departed yet: what is known of the past comes anew, by remember().
    void forget() { count_ = 0; }

    /// Requests of an earlier process; before any of ours, oldest first.
    void remember(SteadyTime at, std::size_t requests);

    /// The server has answered 429: nothing leaves before `until`, and the budget is halved; refusals of the same
    /// moment count once.
    void refused(SteadyTime now, SteadyTime until);

    /// Until when the server has asked for nothing to be sent; long ago when it has not.
    [[nodiscard]] SteadyTime held_until() const { return held_until_; }

    /// The part of the budget that is used at `now`, 1 when the server has not refused lately.
    [[nodiscard]] double allowance(SteadyTime now) const;

    /// How many requests left within the minute before `now`.
    [[nodiscard]] std::size_t spent_in_minute(SteadyTime now) const;

    [[nodiscard]] std::size_t per_second() const { return per_second_; }

    /// As far ahead of an even pace as the windows allow.
    static constexpr auto unlimited = static_cast<std::size_t>(-1);
    /// A refusal never leaves less of the budget than this part.
    static constexpr double floor = 0.05;
    /// A budget of nothing would be whole again after so long; a halved one is after half of it.
    static constexpr std::chrono::seconds recovery{60};

private:
    [[nodiscard]] SteadyTime sent_back(std::size_t steps) const;
    [[nodiscard]] SteadyTime::duration gap(SteadyTime now) const;

    std::size_t per_second_;
    std::size_t per_minute_;
    std::chrono::milliseconds margin_;
    std::vector<SteadyTime> sent_;  // ring of the last per_minute_ departures
    std::size_t count_ = 0;
    std::size_t granted_ = 0;
    SteadyTime even_{};  ///< when the next one is granted at an even pace
    SteadyTime held_until_{};
    std::optional<SteadyTime> refused_at_;
    double left_by_refusal_ = 1;
};

}  // namespace leadsync::sync
