#pragma once

#include <string>
#include <vector>

#include "connectors/postgres/workspaces.hpp"
#include "daemon/config.hpp"

namespace leadsync::daemon {

/// The names that a command is about: those given, or every workspace of the config. Throws ConfigError when the
/// config has no such workspace.
std::vector<std::string> chosen_workspaces(const Config& config, const std::vector<std::string>& given);

/// Of those that a daemon or a backfill has begun with. Throws when the schema is not there yet.
std::vector<postgres::WorkspaceStatus> read_status(const std::string& url, const std::vector<std::string>& names);

/// Whether there is something for an operator to see to: dead letters, open conflicts, held changes.
bool anything_left(const std::vector<postgres::WorkspaceStatus>& all);

}  // namespace leadsync::daemon
