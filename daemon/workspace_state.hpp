#pragma once

#include <array>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/store.hpp"

namespace leadsync::daemon {

/// What `crm.workspaces` says of a workspace: what it is doing, and what keeps it from doing it. Reading and writing
/// can each have a problem of their own (a key may read but not write), and both one of all requests.
class WorkspaceState {
public:
    /// What a problem keeps from going on. One of creating alone does not pause the workspace.
    enum class Side { reading, writing, creating, requests };

    WorkspaceState(store::Store& store, std::string workspace) : store_{store}, workspace_{std::move(workspace)} {}

    static constexpr auto stopped = "stopped";

    /// `backfilling`, `following`, or `stopped`, which is for good.
    boost::asio::awaitable<void> enter(std::string phase);

    /// Shown until solved(). A database that can't be reached is no reason to fail: the next call of any kind tells
    /// it what it missed.
    boost::asio::awaitable<void> problem(Side side, std::string reason);
    boost::asio::awaitable<void> solved(Side side);

private:
    struct Shown {
        std::string state;
        std::optional<std::string> reason;
        bool operator==(const Shown&) const = default;
    };

    [[nodiscard]] Shown shown() const;
    boost::asio::awaitable<void> report();

    store::Store& store_;
    std::string workspace_;
    std::string phase_ = "starting";
    std::array<std::optional<std::string>, 4> problems_;
    std::optional<Shown> stored_;  ///< nothing: what the table says is not known
    bool storing_ = false;
};

}  // namespace leadsync::daemon
