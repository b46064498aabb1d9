#pragma once

#include <functional>
#include <map>
#include <optional>

#include "daemon/push_context.hpp"
#include "sync/plan.hpp"

namespace leadsync::daemon {

/// Leads that wait to be moved together: one request and one job move any number from one place to another, while in
/// batches as they are claimed, there would be one for each batch and pair of places. They stay leased meanwhile.
/// What must not be lost is in the queue: after a restart they are looked at anew. On one thread.
class WaitingMoves {
public:
    /// Leads with one source and one target.
    struct Group {
        sync::MoveIntent intent;
        Claims claims;
    };
    using IsFree = std::function<bool(const sync::MoveIntent&)>;

    void add(const sync::MoveIntent& intent, store::Claim claim, sync::SteadyTime now);

    /// The group that has waited longest of those that are ready: whose places are free, and which either holds as
    /// many leads as go at once or has waited for `gather`. Leads beyond that number stay.
    std::optional<Group> take(sync::SteadyTime now, std::chrono::milliseconds gather, const IsFree& is_free);
    /// Until a group is ready by waiting; zero: one is. Nothing: none will be by itself.
    [[nodiscard]] std::optional<std::chrono::milliseconds> ready_in(sync::SteadyTime now,
                                                                    std::chrono::milliseconds gather,
                                                                    const IsFree& is_free) const;

    /// Those that have waited since before `deadline`: their leases do not last for ever.
    Claims take_late(sync::SteadyTime deadline);
    Claims take_all();

    /// Where there is none, leads are better left to the queue: a campaign may take longer than its leads come in.
    [[nodiscard]] std::size_t room() const;

    static constexpr std::size_t leads_max = 5000;
    static constexpr std::size_t leads_at_once = 500;

private:
    struct Waiting {
        store::Claim claim;
        sync::SteadyTime since;
    };
    std::map<sync::MoveIntent, std::vector<Waiting>> groups_;  ///< none is empty; the longest waiting first
};

}  // namespace leadsync::daemon
