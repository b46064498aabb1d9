#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "connectors/instantly/api_error.hpp"
#include "connectors/store/store.hpp"
#include "sync/plan.hpp"

namespace leadsync::daemon {

/// A lead on its way out: what is to be sent, and what became of it.
struct Sending {
    using Values = std::map<sync::Key, sync::Value>;

    store::Claim claim;
    sync::InstantlyId instantly_id;
    sync::Content local;
    sync::Content remote;  ///< as Instantly holds it before
    sync::Plan plan;
    /// Goes with other leads in one bulk-assign, not in the patch.
    sync::Value assignee;
    std::vector<sync::Key> lost;    ///< accepted before, but not stored: sent again now
    std::vector<sync::Key> unsent;  ///< keys of calls that were refused: nothing is to be awaited of them
    std::optional<sync::Failure> failure;
    bool called = false;  ///< its own calls, those of the patch, interest and subsequence, are over
    bool gone = false;
    Values put_off;  ///< of calls that are left to the next look, for the one before them had become old
    std::optional<sync::MoveIntent> waits_for;  ///< a move, not made now: with others, or when its places are free

    [[nodiscard]] Values assignment() const {
        if (!assignee) return {};
        return {{sync::key_of(sync::Field::assigned_to), assignee}};
    }

    /// Every value that this sending sets, and the call that carries it.
    [[nodiscard]] std::vector<std::pair<Values, const char*>> calls() const {
        std::vector<std::pair<Values, const char*>> all;
        if (plan.patch) all.emplace_back(sync::expectations(*plan.patch, local), "PATCH /leads/{id}");
        if (plan.interest) all.emplace_back(sync::expectations(*plan.interest), "POST /leads/update-interest-status");
        if (plan.subsequence)
            all.emplace_back(sync::expectations(*plan.subsequence), plan.subsequence->subsequence_id
                                                                        ? "POST /leads/subsequence/move"
                                                                        : "POST /leads/subsequence/remove");
        if (plan.move) all.emplace_back(sync::expectations(*plan.move), "POST /leads/move");
        if (assignee) all.emplace_back(assignment(), "POST /leads/bulk-assign");
        return all;
    }

    [[nodiscard]] Values expected() const {
        Values all;
        for (auto& [values, call] : calls()) all.insert(values.begin(), values.end());
        return all;
    }

    void leave_move_for_later() { waits_for = std::exchange(plan.move, std::nullopt); }

    /// Leaves the calls that were not made yet to the next look. Behind one that failed, failed() has told of them;
    /// an assignment in doubt was made, and stays a call.
    void put_off_the_rest() {
        if (failure) {
            plan.move.reset();
            if (!in_doubt.contains(sync::key_of(sync::Field::assigned_to))) assignee.reset();
            return;
        }
        const auto is_to_come = [&](const Values& values) {
            return std::ranges::none_of(values, [&](const auto& value) { return arrived.contains(value.first); });
        };
        const auto drop = [&](auto& call, const Values& values) {
            if (!is_to_come(values)) return;
            put_off.insert(values.begin(), values.end());
            call.reset();
        };
        if (plan.patch) drop(plan.patch, sync::expectations(*plan.patch, local));
        if (plan.interest) drop(plan.interest, sync::expectations(*plan.interest));
        if (plan.subsequence) drop(plan.subsequence, sync::expectations(*plan.subsequence));
        if (plan.move) drop(plan.move, sync::expectations(*plan.move));
        if (assignee) drop(assignee, assignment());
    }

    /// Instantly has no such lead: no other call is made, and nothing is to be awaited.
    void is_gone() {
        gone = true;
        for (const auto& [key, value] : expected()) unsent.push_back(key);
        plan = {};
        assignee.reset();
        waits_for.reset();
    }

    /// Whether anything that did not arrive has been sent once more: what waits has not.
    [[nodiscard]] bool sent_again() const {
        if (!waits_for && put_off.empty()) return !lost.empty();
        return std::ranges::any_of(lost, [&](const auto& key) { return arrived.contains(key); });
    }

    /// A call for these keys failed; the calls behind it were not made, or are still to be.
    void failed(const Values& keys, const instantly::ApiError& error) {
        if (error.in_doubt()) in_doubt.insert(keys.begin(), keys.end());
        std::erase_if(unsent, [&](const auto& key) { return in_doubt.contains(key); });
        for (const auto& [key, value] : expected()) {
            const bool known = std::ranges::count(unsent, key) > 0;
            if (!in_doubt.contains(key) && !arrived.contains(key) && !known) unsent.push_back(key);
        }
        failure = error.failure();
    }

    /// A call for these keys was accepted.
    void accepted(const Values& keys) {
        arrived.insert(keys.begin(), keys.end());
        std::erase_if(unsent, [&](const auto& key) { return keys.contains(key); });
    }

    Values arrived;
    Values in_doubt;  ///< of calls that had no answer: the look-up will tell
};

}  // namespace leadsync::daemon
