#pragma once

#include <string>

#include "connectors/instantly/transport.hpp"
#include "daemon/clock.hpp"
#include "daemon/workspace_state.hpp"
#include "sync/circuit_breaker.hpp"

namespace leadsync::daemon {

/// The way of a workspace's pushes to Instantly, with a circuit breaker in it: what becomes of each request decides
/// whether the next is sent. One that is not throws ApiError of the kind `held_back`. What opens the breaker is shown
/// in the workspace's state until it closes. Lives on one thread.
class BreakerTransport final : public instantly::Transport {
public:
    BreakerTransport(instantly::Transport& way, sync::Backoff wait, Clock& clock, Dice dice, WorkspaceState& state,
                     std::string workspace);

    boost::asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override;

    /// How many of `wanted` leads may be claimed now: all, a few that probe, or none.
    [[nodiscard]] int admits(int wanted) const;
    /// While none may: how long until it is worth asking again.
    [[nodiscard]] std::chrono::milliseconds closed_for() const;

    /// Whether what is claimed now is a probe, as it is while the breaker is half-open. It is the only one until its
    /// end.
    bool begin_probe();
    boost::asio::awaitable<void> end_probe();

private:
    struct Call;

    void expect_way_is_open(const instantly::Request& request) const;
    boost::asio::awaitable<void> note_failure(Call call, std::string message);
    boost::asio::awaitable<void> note_answer(Call call, const instantly::Reply& reply);
    boost::asio::awaitable<void> show_open();

    instantly::Transport& way_;
    sync::CircuitBreaker breaker_;
    Clock& clock_;
    Dice dice_;
    WorkspaceState& state_;
    std::string workspace_;
    std::string reason_;  ///< why it is open
    bool probing_ = false;
};

}  // namespace leadsync::daemon
