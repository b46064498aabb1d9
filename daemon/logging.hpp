#pragma once

#include "daemon/config.hpp"

namespace leadsync::daemon {

/// Sends the log to stderr: text for people, one JSON object a line for machines.
void set_up_logging(const LogConfig& config);

}  // namespace leadsync::daemon
