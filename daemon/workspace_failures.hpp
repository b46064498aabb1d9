#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

namespace leadsync::daemon {

/// Workspaces that a command, which works for several side by side, has failed at: one that fails is told at once,
/// and ends none of the others. Lives on one thread.
class WorkspaceFailures {
public:
    /// Runs the work for a workspace, and keeps what it fails by. Passed on are what concerns all of them, which is a
    /// cancellation and postgres::WorkspaceTaken, and what is no std::runtime_error, which is a bug.
    boost::asio::awaitable<void> watch(std::string workspace, boost::asio::awaitable<void> work);

    /// Once all are over: throws one line that names those that failed, and why. Nothing when none did.
    void throw_if_any() const;

private:
    std::map<std::string, std::vector<std::string>> by_reason_;  ///< names
    std::size_t watched_ = 0;
};

}  // namespace leadsync::daemon
