#pragma once

#include <functional>

#include "tests/sandbox/exchange.hpp"
#include "tests/sandbox/world.hpp"

namespace leadsync::sandbox {

/// The tests' own door, /control: act as the Instantly user, read the truth and the request log, set switches and
/// faults. Needs no key and is counted nowhere. README.md lists its paths.
class Control {
public:
    /// `quit` is called when a client asks the server to stop.
    Control(World& world, std::function<void()> quit) : world_{world}, quit_{std::move(quit)} {}

    static bool owns(std::string_view path) { return path.starts_with("/control"); }
    void answer(const Request& request, const Moment& now, Reply& reply);

private:
    void route(const Request& request, const Moment& now, Reply& reply);
    void route_leads(const Request& request, const Moment& machine, Reply& reply);
    void route_lead(const Request& request, std::string_view id, const Moment& now, Reply& reply);
    void add_workspace(const Json& settings);
    void set_switches(const Request& request);
    void set_faults(const Request& request, bool add);
    Json statistics() const;

    Workspace& workspace_of(const Request& request) const;
    template <class Action>
    void for_chosen_workspaces(const Request& request, Action action) const;

    World& world_;
    std::function<void()> quit_;
};

}  // namespace leadsync::sandbox
