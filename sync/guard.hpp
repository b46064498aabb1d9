#pragma once

#include <cstdint>
#include <optional>

namespace leadsync::sync {

/// How much of one kind may happen in one go: a number of leads, or a part of the workspace's. Neither: any number.
struct GuardLimit {
    std::optional<std::int64_t> leads;
    std::optional<double> part;  ///< 0.05 is 5 %

    bool operator==(const GuardLimit&) const = default;
};

/// What is held for an operator instead of being applied (DESIGN §1.2, `guard`).
struct Guard {
    GuardLimit deletes{.leads = std::nullopt, .part = 0.05};
    GuardLimit creates{.leads = 1000, .part = std::nullopt};
    GuardLimit changes{.leads = std::nullopt, .part = 0.25};

    bool operator==(const Guard&) const = default;
};

/// How many leads of `in_workspace` the limit lets through. A part never means fewer than `part_floor` leads: in a
/// small workspace a handful of edits is no avalanche. Nothing: any number.
inline constexpr std::int64_t part_floor = 10;
std::optional<std::int64_t> allowed(const GuardLimit& limit, std::int64_t in_workspace);

/// The same for deletions, which never empty a workspace unasked: at least one lead has to be left.
std::optional<std::int64_t> allowed_deletes(const GuardLimit& limit, std::int64_t in_workspace);

}  // namespace leadsync::sync
