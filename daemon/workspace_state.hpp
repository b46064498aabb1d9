#pragma once

#include <array>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/store.hpp"

namespace leadsync::daemon {

/// What `crm.workspaces` says of a workspace: what it is doing, and what keeps it from doing it. Reading and writing
/// can each have a problem of their own (a key may read but not write).
class WorkspaceState {
public:
    enum class Side { reading, writing };

    WorkspaceState(store::Store& store, std::string workspace) : store_{store}, workspace_{std::move(workspace)} {}

    /// `backfilling` or `following`.
    boost::asio::awaitable<void> enter(std::string phase);

    /// Shown until solved(); a database that can't be reached is no reason to fail.
    boost::asio::awaitable<void> problem(Side side, std::string reason);
    boost::asio::awaitable<void> solved(Side side);

private:
    boost::asio::awaitable<void> report();

    store::Store& store_;
    std::string workspace_;
    std::string phase_ = "starting";
    std::array<std::optional<std::string>, 2> problems_;
};

}  // namespace leadsync::daemon
