#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace leadsync::sync {

/// What a request is for, most urgent first. Source: DESIGN §6, Lanes.
enum class Lane {
    safety,  ///< interest, unsubscribe, subsequences: a person is mailed, or no longer; looks before and behind
             ///< writes
    push,    ///< every other write
    fresh,   ///< new leads, campaigns and lists
    active,  ///< leads in which something happened lately
    rest,    ///< sweeps and backfill
};
inline constexpr std::size_t lane_count = 5;

std::string_view name_of(Lane lane);

/// How far requests of a lane may run ahead of an even pace. What is read for hours is spaced evenly, so that a slot
/// is near whenever something urgent comes; a push may bring a batch with it; a person's mails wait for nothing but
/// the limits themselves.
std::size_t ahead_of(Lane lane);

/// Whose turn it is: the most urgent lane where anybody waits, but every tenth turn goes round those below it that
/// wait too, so that a flood of pushes stops no reading, neither the sweep nor what is more urgent than that.
class LaneOrder {
public:
    /// The lane that is next, given how many wait in each; nothing when nobody does. Taken: counts the turn.
    std::optional<Lane> take(const std::array<std::size_t, lane_count>& waiting);

    static constexpr int turns_to_a_lower = 10;

private:
    int turns_without_lower_ = 0;  // while somebody waited there
    std::size_t last_lower_ = 0;   // the lane that had the last such turn
};

}  // namespace leadsync::sync
