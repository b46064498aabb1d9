#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <set>

#include "sync/failure.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::sync {

/// What a request is for. A server may answer the one and fail the other.
enum class CallKind { read, write };

/// Keeps a workspace's pushes from a server that fails or refuses all of them (DESIGN §6, Failures). Closed,
/// everything goes. It opens when `failures_to_open` different requests of a kind have failed in a row, or at once
/// when one was refused, as far as Refusals can tell, for the workspace as a whole: one lead alone, however often it
/// fails, does not keep the others waiting. Open, nothing is sent for a backoff with full jitter. Half-open, a few
/// leads probe: a success of the kind that opened it closes it.
class CircuitBreaker {
public:
    enum class State { closed, open, half_open };

    static constexpr std::size_t failures_to_open = 5;
    /// More than one: the lead that always fails must not be the only probe.
    static constexpr int leads_in_probe = 3;
    static constexpr std::chrono::milliseconds shortest_wait{1000};

    explicit CircuitBreaker(Backoff wait) : wait_{wait} {}

    [[nodiscard]] State state(SteadyTime now) const;
    /// How long it stays open; zero when it is not.
    [[nodiscard]] std::chrono::milliseconds open_for(SteadyTime now) const;

    // Each tells whether the state changed by it. `request` tells different requests apart; `jitter` is uniform in
    // [0, 1).

    /// No answer, or the server's own failure.
    bool failed(CallKind kind, std::size_t request, SteadyTime now, double jitter);
    /// Refused, as every request of the workspace would be.
    bool refused(CallKind kind, SteadyTime now, double jitter);
    /// An answer that shows that requests of the kind are served.
    bool succeeded(CallKind kind);
    /// A probe is over: one that failed, and saw no success, opens it again.
    bool probe_ended(SteadyTime now, double jitter);

private:
    bool open(CallKind kind, SteadyTime now, double jitter);

    Backoff wait_;
    std::array<std::set<std::size_t>, 2> failed_;  ///< requests that failed since the last success of their kind
    std::optional<SteadyTime> open_until_;         ///< nothing: closed
    CallKind opened_by_ = CallKind::read;
    bool probe_failed_ = false;
    int times_ = 0;  ///< opened since it was closed
};

}  // namespace leadsync::sync
