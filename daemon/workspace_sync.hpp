#pragma once

#include <functional>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/instantly/transport.hpp"
#include "connectors/store/store.hpp"
#include "daemon/accepted_writes.hpp"
#include "daemon/breaker_transport.hpp"
#include "daemon/clock.hpp"
#include "daemon/config.hpp"
#include "daemon/observer.hpp"
#include "daemon/pace.hpp"
#include "daemon/pusher.hpp"
#include "daemon/rate_limit_transport.hpp"
#include "daemon/sweep.hpp"
#include "daemon/workspace_state.hpp"

namespace leadsync::daemon {

/// What may differ between the daemon, a one-shot run and a test.
struct SyncOptions {
    /// How long a one-shot run waits for an API or database that is away, and for edits of which none moves; nothing:
    /// for as long as it takes.
    std::optional<std::chrono::seconds> patience;
    PusherTiming timing;
    Reading reading{};
};

/// How a workspace's API is reached.
instantly::TransportOptions transport_options(const WorkspaceConfig& config);

/// What a workspace is synced with: the way to Instantly, the durable state, time and chance. The simulation has its
/// own of each.
struct Surroundings {
    instantly::Transport& transport;
    store::Store& store;
    store::Store& reading;  ///< the same state, for what reads Instantly: nothing else waits behind its pages
    Clock& clock;
    Dice dice;
};

/// One workspace and everything that works for it. Lives on one thread.
class WorkspaceSync {
public:
    WorkspaceSync(const Surroundings& surroundings, const WorkspaceConfig& config, const SyncOptions& options);

    /// Observes and pushes until cancelled. A key of another workspace than before ends in state `stopped`, with the
    /// other workspaces going on.
    boost::asio::awaitable<void> run();

    /// One complete sweep.
    boost::asio::awaitable<void> backfill(TellProgress report);

    /// Behind it: until nothing is pending but what waits for a person. That may be never: see drain_patiently().
    boost::asio::awaitable<void> drain() { return pusher_.drain(); }
    /// Of what was pushed, since the start.
    [[nodiscard]] std::int64_t accepted_writes() const { return accepted_.count(); }
    /// What keeps edits from moving, beside what `crm.workspaces` shows of it; empty: nothing that is known.
    [[nodiscard]] std::string hindrance() const;

    /// Leases of an earlier process that could not be returned yet.
    void return_later(std::vector<store::Claim> claims) { pusher_.return_later(std::move(claims)); }

    /// A local edit was committed.
    void wake() { edited_.set(); }

    /// See Pace::locks_lost.
    void locks_lost() { pace_.locks_lost(); }

    /// Claims nothing more; run() goes on to read until it is cancelled.
    void stop() { pusher_.stop(); }
    /// After stop(): whether everything in hand is finished.
    [[nodiscard]] bool idle() const { return pushing_done_; }

    /// How many leads the workspace holds, where Instantly tells.
    [[nodiscard]] std::optional<std::int64_t> lead_count() const { return lead_count_; }

    /// See Pace::spent.
    [[nodiscard]] std::optional<std::vector<store::SpentSecond>> spent() const { return pace_.spent(); }

    [[nodiscard]] const std::string& name() const { return name_; }

private:
    boost::asio::awaitable<void> identify();
    boost::asio::awaitable<void> identify_once();
    boost::asio::awaitable<void> push();
    boost::asio::awaitable<void> report_requests();
    boost::asio::awaitable<void> tell_of_holds();
    [[nodiscard]] std::string hold_told() const;

    boost::asio::awaitable<void> prune();

    store::Store& store_;
    Clock& clock_;
    std::string name_;
    std::chrono::hours history_keep_;
    Pace pace_;
    WorkspaceState state_;
    RateLimitTransport heeding_;
    AcceptedWrites accepted_;
    BreakerTransport breaker_;
    instantly::Client client_;
    instantly::Client urgent_;
    instantly::Client fresh_;
    instantly::Client active_;
    instantly::Client rest_;
    Persistence persistence_;
    Signal edited_;
    Observer observer_;
    Pusher pusher_;
    std::optional<std::int64_t> lead_count_;
    bool pushing_done_ = false;
};

}  // namespace leadsync::daemon
