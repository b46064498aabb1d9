#include "tests/sandbox/world.hpp"

#include <algorithm>
#include <stdexcept>

namespace leadsync::sandbox {

World::World(const std::vector<WorkspaceSettings>& workspaces, const Switches& switches)
    : initial_switches{switches} {
    for (const auto& settings : workspaces) add(settings);
}

Workspace& World::add(const WorkspaceSettings& settings) {
    const bool name_taken =
        std::ranges::any_of(workspaces_, [&](const auto& other) { return other->settings.name == settings.name; });
    if (name_taken || by_key_.contains(settings.api_key)) {
        throw std::invalid_argument{"workspace " + settings.name + ": name or API key is taken"};
    }
    auto& workspace = *workspaces_.emplace_back(std::make_unique<Workspace>(settings));
    workspace.switches = initial_switches;
    by_key_.emplace(settings.api_key, &workspace);
    return workspace;
}

Workspace* World::with_key(std::string_view api_key) const {
    const auto found = by_key_.find(api_key);
    return found == by_key_.end() ? nullptr : found->second;
}

Workspace* World::named(std::string_view name) const {
    if (name.empty() && !workspaces_.empty()) return workspaces_.front().get();
    const auto found =
        std::ranges::find(workspaces_, name, [](const auto& w) -> std::string_view { return w->settings.name; });
    return found == workspaces_.end() ? nullptr : found->get();
}

}  // namespace leadsync::sandbox
