#pragma once

#include <string>

namespace leadsync::daemon {

/// `leadsync/<version>`; Instantly's CDN refuses default library agents (INSTANTLY.md, Transport).
std::string user_agent();

/// Version, compiler and library facts, a line each.
std::string build_facts();

}  // namespace leadsync::daemon
