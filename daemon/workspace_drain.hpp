#pragma once

#include <chrono>
#include <optional>

#include <boost/asio/awaitable.hpp>

#include "connectors/postgres/database.hpp"
#include "daemon/clock.hpp"
#include "daemon/workspace_sync.hpp"

namespace leadsync::daemon {

/// Drains the workspace, whose state is read from `database`. Throws std::runtime_error once nothing has moved for
/// `patience` (nothing: it may take as long as it takes): how many edits are left, why, and what to do. Something
/// moves when Instantly accepts a write, and when less is left than ever before.
boost::asio::awaitable<void> drain_patiently(WorkspaceSync& sync, postgres::Database& database, Clock& clock,
                                             std::optional<std::chrono::milliseconds> patience);

}  // namespace leadsync::daemon
