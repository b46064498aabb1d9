#pragma once

#include <chrono>

#include "connectors/instantly/transport.hpp"
#include "daemon/push_context.hpp"
#include "sync/lanes.hpp"

namespace leadsync::daemon {

/// When leads were looked at that are written to. What is edited there meanwhile is overwritten unseen.
struct Look {
    sync::SteadyTime at;
    bool may_be_old = false;  ///< a server that is always slow is written to all the same

    /// How long it may still be acted on; below 0: it is old.
    [[nodiscard]] std::chrono::milliseconds keeps_for(const PushContext& context) const;
    [[nodiscard]] bool keeps(const PushContext& context) const { return keeps_for(context).count() >= 0; }
    /// Turns of the lane that come while it keeps; TurnCameLate where one does not. `context` outlives them.
    [[nodiscard]] instantly::Gate turns(const PushContext& context, sync::Lane lane) const;
};

}  // namespace leadsync::daemon
