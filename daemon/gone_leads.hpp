#pragma once

#include <boost/asio/awaitable.hpp>

#include "daemon/push_context.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// What becomes of leads that are absent from a look-up, and 404. A merge that was sent is done, and what was decided
/// of a deletion is carried out. An edit that can't be sent any more is told; a lead nobody edited is left to the
/// sweep. Throws StoreError.
boost::asio::awaitable<void> settle_gone(PushContext& context, Verdicts& verdicts, Claims claims);

}  // namespace leadsync::daemon
