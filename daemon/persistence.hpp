#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "daemon/clock.hpp"
#include "daemon/workspace_state.hpp"
#include "sync/failure.hpp"

namespace leadsync::daemon {

/// A step that may fail is taken again, with backoff, for as long as it takes or as long as the caller allows.
class Persistence {
public:
    Persistence(std::string workspace, Clock& clock, Dice dice, WorkspaceState& state, WorkspaceState::Side side,
                std::optional<std::chrono::seconds> patience, sync::Backoff backoff)
        : workspace_{std::move(workspace)},
          clock_{clock},
          dice_{std::move(dice)},
          state_{state},
          side_{side},
          patience_{patience},
          backoff_{backoff} {}

    /// Runs `step` until it succeeds. Failures of the API and of the database are logged, shown in the workspace's
    /// state once they last, or are to be waited out for long, and waited out. Rethrows when the patience would be
    /// over before the next attempt, and at once with a finite patience when the failure is the workspace's own (a
    /// wrong key does not become right by waiting).
    boost::asio::awaitable<void> until_done(std::string what, std::function<boost::asio::awaitable<void>()> step);

private:
    std::string workspace_;
    Clock& clock_;
    Dice dice_;
    WorkspaceState& state_;
    WorkspaceState::Side side_;
    std::optional<std::chrono::seconds> patience_;
    sync::Backoff backoff_;
    /// Steps under way whose failure is shown: of several side by side, one that succeeds does not hide it.
    std::shared_ptr<int> shown_ = std::make_shared<int>(0);
};

/// What an ApiError or a StoreError says about the work; nothing for any other exception, which is a bug.
std::optional<sync::Failure> failure_of(const std::exception_ptr& error);

}  // namespace leadsync::daemon
