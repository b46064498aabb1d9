#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <unordered_map>

#include "sync/rate_windows.hpp"

namespace leadsync::sync {

/// Tells whose failure a refusal is that may be the whole workspace's (403: a missing scope, a suspended workspace,
/// an address that is blocked) or its own: a firewall takes one lead's text for an attack, one kind of call is not
/// allowed. The answers look the same. So the first is taken for the workspace's, and pauses it; refused again
/// although a write that left since then has been accepted, it is its own, for the workspace is served. That goes for
/// a lead in a kind of call, and for a kind of call of which nothing has been accepted since.
///
/// A refusal of what was not refused before makes that doubtful anew: the workspace may have ceased to be served. And
/// a write that left before the refusal came says nothing, for it may have left before there was a reason for it.
///
/// Leads and kinds of call (endpoints) are numbers that tell them apart; a lead has another one in each kind of call.
class Refusals {
public:
    /// So many are remembered, and for so long after the last refusal. What is forgotten costs one more pause.
    static constexpr std::size_t most = 10'000;
    static constexpr std::chrono::hours kept{1};

    /// How often it has been refused on its own account by now, of several leads the least; 0: the refusal is taken
    /// for the workspace's. No more than once as long as nothing of its kind of call is accepted: the key may get the
    /// scope that it lacks, and nothing is given up on for that.
    int refused(std::size_t endpoint, std::span<const std::size_t> leads, SteadyTime now);
    /// A write that left at `left_at` was accepted.
    void accepted(std::size_t endpoint, std::span<const std::size_t> leads, SteadyTime left_at);

private:
    struct Noted {
        SteadyTime since;
        SteadyTime last;
        int times = 0;  ///< on its own account
    };

    [[nodiscard]] bool is_noted(std::size_t subject, SteadyTime now) const;
    Noted& note(std::size_t subject, SteadyTime now);
    void forget(std::size_t subject, SteadyTime left_at);
    void make_room(std::size_t subjects, SteadyTime now);

    std::unordered_map<std::size_t, Noted> noted_;
    SteadyTime doubted_at_{};  ///< when something was refused last that was not refused before
    bool is_served_ = false;   ///< since then
};

}  // namespace leadsync::sync
