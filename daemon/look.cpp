#include "daemon/look.hpp"

#include "daemon/late_turn.hpp"

namespace leadsync::daemon {

std::chrono::milliseconds Look::keeps_for(const PushContext& context) const {
    // With the locks the leases may be gone, and somebody else may have the leads in hand.
    if (at <= context.pace.locks_lost_at()) return std::chrono::milliseconds{-1};
    if (may_be_old) return std::chrono::milliseconds::max();
    return std::chrono::floor<std::chrono::milliseconds>(at + context.timing.look_keeps - context.clock.now());
}

/// Behind a longer wait, as while the server wants no requests, what was to be sent may be wrong.
instantly::Gate Look::turns(const PushContext& context, sync::Lane lane) const {
    return only_while([&context, look = *this] { return look.keeps(context); }, context.pace.lane(lane));
}

}  // namespace leadsync::daemon
