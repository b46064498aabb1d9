#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/breaker_transport.hpp"
#include "daemon/clock.hpp"
#include "daemon/observation.hpp"
#include "daemon/pace.hpp"
#include "daemon/workspace_state.hpp"
#include "sync/failure.hpp"
#include "sync/guard.hpp"
#include "sync/policy.hpp"

namespace leadsync::daemon {

/// How the pusher waits, and how much it takes at once. All of it may be made less by a test.
struct PusherTiming {
    int batch = 100;                              ///< leads that are claimed at once: the ids of one look-up
    std::chrono::milliseconds poll{5'000};        ///< looks at the queue this often although nobody rang
    std::chrono::milliseconds awake{250};         ///< from the last find until it asks to be rung
    std::chrono::milliseconds awake_poll{10};     ///< looks this often until then
    std::chrono::milliseconds slow_batch{3'000};  ///< what takes longer holds up nothing else
    std::chrono::milliseconds lease{300'000};     ///< a batch is ours this long
    std::chrono::milliseconds look_keeps{2'000};  ///< so long after a look its leads may be written to
    std::chrono::milliseconds read_back{2'000};   ///< from a write to looking whether it shows
    std::chrono::milliseconds patience{30'000};   ///< how long a write may take to show before it is sent again
    std::chrono::milliseconds move_patience{120'000};
    std::chrono::milliseconds job_poll_first{150};  ///< doubles up to job_poll_max
    std::chrono::milliseconds job_poll_max{5'000};
    std::chrono::milliseconds moves_gather{5'000};   ///< leads to move wait for others, while the queue is full
    std::chrono::milliseconds moves_rest{200};       ///< and while it is not
    std::chrono::milliseconds moves_late{60'000};    ///< from here on they are better looked at anew
    std::chrono::milliseconds busy{1'000};           ///< until a lead that is busy is tried again
    std::chrono::milliseconds creates_hold{60'000};  ///< until creates are tried again when the plan is full
    sync::Backoff backoff{};
    sync::Backoff reading{std::chrono::milliseconds{500}, std::chrono::minutes{1}};
    sync::Backoff pause{std::chrono::seconds{5}, std::chrono::minutes{5}};  ///< of pushing, while the breaker is open
};

/// What everything that pushes works with. Outlives all of it.
struct PushContext {
    std::string workspace;
    instantly::Client& client;
    instantly::Client& urgent;  ///< the same, in the lane of what people are mailed by, and of read-backs
    store::Store& store;
    Clock& clock;
    Dice dice;
    WorkspaceState& state;
    Pace& pace;
    BreakerTransport& breaker;  ///< what both clients send through
    ObserveOptions observing;   ///< of look-ups
    sync::DeletePolicy deletes;
    sync::Guard guard;
    PusherTiming timing;
};

using Claims = std::vector<store::Claim>;

inline std::vector<sync::LeadId> ids_of(const Claims& claims) {
    std::vector<sync::LeadId> ids;
    ids.reserve(claims.size());
    for (const auto& claim : claims) ids.push_back(claim.id);
    return ids;
}

template <class Id>
std::optional<Id> id_or_nothing(const sync::Value& value) {
    return value && !value->empty() ? std::optional{Id{*value}} : std::nullopt;
}

/// How many calls of one batch are under way at once.
inline constexpr std::size_t calls_at_once = 16;

}  // namespace leadsync::daemon
