#pragma once

#include <array>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/transport.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/tasks.hpp"
#include "sync/lanes.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::daemon {

/// The request limiter of one workspace (DESIGN §6): every request waits here for its turn, in its lane. What is
/// granted is recorded in the store before it leaves, a second of it at a time and some in reserve, so that the
/// limits hold across a kill -9 too, and the first requests after a rest need not wait for the disk. Lives on one
/// thread.
class Pace {
public:
    /// `store`: where the budget is recorded; null: nowhere, for a command that runs beside the daemon.
    Pace(Clock& clock, sync::RateLimits limits, store::Store* store);
    Pace(const Pace&) = delete;
    Pace& operator=(const Pace&) = delete;

    /// Records what leaves on the reserve, for as long as it is awaited. Without it the reserve is renewed when it is
    /// used up.
    boost::asio::awaitable<void> record_behind();

    /// The way to a turn in that lane. Its turns throw ApiError (nothing was sent) when the budget can't be recorded.
    instantly::Gate lane(sync::Lane lane);

    /// Another process may be sending: what is recorded by then is read again before the next turn.
    void locks_lost();
    /// When that was last; long ago when it was not.
    [[nodiscard]] sync::SteadyTime locks_lost_at() const { return locks_lost_at_; }

    /// The server has answered 429: nothing leaves for so long, and less than before for a while.
    void refused(std::chrono::milliseconds hold);

    /// For how long yet nothing leaves because of that; 0: it is not held.
    [[nodiscard]] std::chrono::milliseconds held_for() const;

    /// Whether a request of that lane waits for its turn.
    [[nodiscard]] bool is_waited_for(sync::Lane lane) const {
        return !waiting_.at(static_cast<std::size_t>(lane)).empty();
    }

    /// Requests that may leave in a second while the server refuses none.
    [[nodiscard]] std::size_t per_second() const { return windows_.per_second(); }
    [[nodiscard]] std::size_t spent_in_minute() const { return windows_.spent_in_minute(clock_.now()); }

    /// What was let through lately, to be recorded by a process that ends in order: the next one then need not take
    /// for spent what was only recorded. Nothing before the first turn.
    [[nodiscard]] std::optional<std::vector<store::SpentSecond>> spent() const;

private:
    struct Waiter;
    class Granted;
    /// A second by the wall clock: what was granted in it, and how much is recorded.
    struct Second {
        sync::Instant begin;
        int granted = 0;
        int recorded = 0;
    };

    boost::asio::awaitable<std::unique_ptr<instantly::Turn>> turn(sync::Lane lane);
    boost::asio::awaitable<void> lead(Waiter& leader);
    [[nodiscard]] sync::Lane most_urgent_waiting() const;
    [[nodiscard]] bool is_most_urgent(const Waiter& waiter) const;
    void grant_next();
    void give_back();
    void tell_leader() const;
    void wake_next();
    [[nodiscard]] bool may_grant() const;
    [[nodiscard]] int unrecorded() const;
    Second& this_second();
    void note_grant();
    boost::asio::awaitable<void> record();
    boost::asio::awaitable<void> recall();
    void take_for_spent(const std::vector<store::SpentSecond>& recorded);

    Clock& clock_;
    store::Store* store_;
    sync::RateWindows windows_;
    sync::LaneOrder order_;
    std::array<std::list<Waiter*>, sync::lane_count> waiting_;
    Waiter* leader_ = nullptr;  ///< the one that waits for the next slot; whose turn it is is decided then
    bool leader_waits_for_departure_ = false;
    std::deque<Second> seconds_;  ///< as they came: a clock that is set back goes through some of them again
    int reserved_ = 0;            ///< requests that are recorded for no second
    AsyncMutex recording_;
    Signal in_debt_;  ///< something left on the reserve
    sync::SteadyTime locks_lost_at_ = sync::SteadyTime::min();
    bool recalled_ = false;
    bool is_recall_old_ = false;  ///< the locks were lost while it was made
};

}  // namespace leadsync::daemon
