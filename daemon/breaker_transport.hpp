#pragma once

#include <string>

#include "connectors/instantly/transport.hpp"
#include "daemon/clock.hpp"
#include "daemon/workspace_state.hpp"
#include "sync/circuit_breaker.hpp"
#include "sync/refusals.hpp"

namespace leadsync::daemon {

/// The way of a workspace's pushes to Instantly, with a circuit breaker in it: what becomes of each request decides
/// whether the next is sent. One that is not throws ApiError of the kind `held_back`. What opens the breaker is shown
/// in the workspace's state until it closes, or nothing is left to be sent. A refusal that is about its leads alone
/// opens nothing, and is told by Reply::refusals. Lives on one thread.
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

    /// Whether the workspace's state tells of a problem that only a probe can end.
    [[nodiscard]] bool waits_for_probe() const;
    /// Nothing that could probe is left: the state tells of the problem no longer. What is sent next probes all the
    /// same.
    boost::asio::awaitable<void> nothing_is_left();

private:
    struct Call;

    static Call call_of(const instantly::Request& request);
    void expect_way_is_open(const instantly::Request& request) const;
    int refusals_of(const Call& call, const instantly::Reply& reply);
    boost::asio::awaitable<void> note_failure(Call call, std::string message);
    boost::asio::awaitable<void> note_answer(Call call, const instantly::Reply& reply);
    boost::asio::awaitable<void> show_open();

    instantly::Transport& way_;
    sync::CircuitBreaker breaker_;
    sync::Refusals refusals_;
    Clock& clock_;
    Dice dice_;
    WorkspaceState& state_;
    std::string workspace_;
    std::string reason_;  ///< why it is open
    bool probing_ = false;
    bool is_told_ = false;  ///< in the workspace's state
};

}  // namespace leadsync::daemon
