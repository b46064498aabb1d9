#pragma once

#include <string>
#include <vector>

#include "sync/merge.hpp"

namespace leadsync::sync {

/// A write that never shows is given up on after so many sendings.
inline constexpr int lost_writes_max = 5;

/// So many leads for one assignee are worth a bulk-assign.
inline constexpr std::size_t assign_together = 2;

/// PATCH of the fields named, and of the complete custom-variable map when there is one.
struct PatchIntent {
    std::vector<Field> fields;
    std::optional<CustomVariables> custom_variables;
};

/// update-interest-status, always scoped to the lead's own campaign or list.
struct InterestIntent {
    std::string email;
    std::optional<int> interest;
    Value campaign;
    Value list;
};

/// move from where Instantly holds the lead to where the row says. One source and one target are set.
struct MoveIntent {
    Value from_campaign;
    Value from_list;
    Value to_campaign;
    Value to_list;

    auto operator<=>(const MoveIntent&) const = default;
};

/// The move that a row asks for, as far as the place tells that both sides agreed on last. Nothing: none, or none
/// that a call could make.
std::optional<MoveIntent> move_between(const Content& base, const Content& local);

/// subsequence/move, or subsequence/remove when there is no id.
struct SubsequenceIntent {
    Value subsequence_id;
};

/// What to send for one lead, computed from base and local when it is sent. Empty: nothing to do.
struct Plan {
    std::optional<PatchIntent> patch;
    std::optional<InterestIntent> interest;
    std::optional<SubsequenceIntent> subsequence;
    std::optional<MoveIntent> move;
    /// Edits that no call can carry, as a sentence for a person.
    std::vector<std::string> refused;

    [[nodiscard]] bool empty() const { return !patch && !interest && !subsequence && !move; }
};

/// The calls that bring Instantly to what the row says. `merged` is the outcome of merging a fresh observation, so
/// its base is what Instantly holds. A move waits for the interest and subsequence calls of the lead: they are scoped
/// to where the lead is now.
Plan plan_push(const MergeResult& merged);

/// What a later answer is to show once the calls are accepted, by key.
std::map<Key, Value> expectations(const PatchIntent& intent, const Content& local);
std::map<Key, Value> expectations(const InterestIntent& intent);
std::map<Key, Value> expectations(const SubsequenceIntent& intent);
std::map<Key, Value> expectations(const MoveIntent& intent);

}  // namespace leadsync::sync
