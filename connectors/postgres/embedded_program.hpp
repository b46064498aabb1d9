#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "connectors/postgres/embedded_account.hpp"

namespace leadsync::postgres {

struct ProgramResult {
    int status;          ///< Exit status; 128 + number when a signal ended it.
    std::string output;  ///< Standard output and standard error together.
};

/// Runs `command` to its end in `folder` as `account`: in a session of its own (a Ctrl-C at our terminal is not meant
/// for it), without our open files and environment, and no longer than we live. What it leaves in the background
/// lives on. Throws ClusterError when it cannot be run.
ProgramResult run_program(const std::vector<std::string>& command, const std::filesystem::path& folder,
                          const ServerAccount& account);

/// The folder of PostgreSQL 15's initdb, postgres and pg_ctl: Debian's, else `pg_config`'s, else the PATH's.
/// Throws ClusterError, with the package to install, when there is none.
std::filesystem::path find_server_programs(const ServerAccount& account);

}  // namespace leadsync::postgres
