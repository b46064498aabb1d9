#pragma once

#include <string>
#include <vector>

#include "daemon/config.hpp"

namespace leadsync::daemon {

/// Exit status of every command (DESIGN §1.1).
enum class Exit { done = 0, failed = 1, usage = 2, work_left = 3 };

/// `leadsync run`
Exit run(const Config& config);

/// `leadsync backfill [--workspace W]... [--drain]`
Exit backfill(const Config& config, const std::vector<std::string>& workspaces, bool drain);

/// `leadsync status [--json]`
Exit status(const Config& config, bool json);

/// `leadsync migrate [--status]`
Exit migrate(const Config& config, bool only_status, bool json);

/// `leadsync check`: config, database, schema, and each workspace's key; a line each, ok or what to do.
Exit check(const Config& config);

}  // namespace leadsync::daemon
