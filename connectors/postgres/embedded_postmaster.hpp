#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <sys/types.h>

namespace leadsync::postgres {

/// A running server, as its `postmaster.pid` tells.
struct Postmaster {
    pid_t process;
    std::filesystem::path socket_folder;
    std::string state;  ///< starting, ready, stopping; empty in the first instants.
};

/// The server that runs on the data folder `data` now. Nothing when the pid file is missing or left over, also when
/// its number belongs to another program meanwhile (after a reboot, in a fresh container).
std::optional<Postmaster> find_postmaster(const std::filesystem::path& data);

/// Clears what a dead server left behind in `data` and in its socket folder, where its process number is taken again:
/// PostgreSQL would think that it still runs. Only while no server runs.
void forget_postmaster(const std::filesystem::path& data, const std::filesystem::path& socket_folder);

/// Why the server gave up, by the newest file of its log folder: the last FATAL or PANIC and what follows it, else
/// the last lines, as one line.
std::string server_log_tail(const std::filesystem::path& log);

/// The same for the output of a program.
std::string last_words(const std::string& text);

}  // namespace leadsync::postgres
