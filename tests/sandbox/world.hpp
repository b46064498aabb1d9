#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "tests/sandbox/request_log.hpp"
#include "tests/sandbox/workspace.hpp"

namespace leadsync::sandbox {

/// Everything the server knows. Owned by its one I/O thread.
class World {
public:
    World(const std::vector<WorkspaceSettings>& workspaces, const Switches& switches);

    /// Throws std::invalid_argument when the name or the key is taken.
    Workspace& add(const WorkspaceSettings& settings);

    /// Null when no workspace has the key, or the name. The empty name is the first workspace.
    Workspace* with_key(std::string_view api_key) const;
    Workspace* named(std::string_view name) const;

    const std::vector<std::unique_ptr<Workspace>>& workspaces() const { return workspaces_; }

    /// The switches that every workspace starts with, and returns to when they are reset.
    const Switches initial_switches;
    RequestLog log;

private:
    std::vector<std::unique_ptr<Workspace>> workspaces_;
    std::map<std::string, Workspace*, std::less<>> by_key_;
};

}  // namespace leadsync::sandbox
