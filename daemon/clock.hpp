#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "sync/lead.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::daemon {

/// The time that the engine lives in. The simulation has one of its own, which jumps from event to event.
class Clock {
public:
    virtual ~Clock() = default;

    [[nodiscard]] virtual sync::SteadyTime now() const = 0;
    [[nodiscard]] virtual sync::Instant wall() const = 0;

    /// Lets the timer expire, or be cancelled, at `at`.
    virtual void arm(boost::asio::steady_timer& timer, sync::SteadyTime at) = 0;
    /// Forgets a timer that goes out of being.
    virtual void disarm(boost::asio::steady_timer& timer) = 0;

    boost::asio::awaitable<void> sleep_until(sync::SteadyTime at);
    boost::asio::awaitable<void> sleep_for(std::chrono::milliseconds duration);
};

/// The machine's clocks.
class SystemClock final : public Clock {
public:
    [[nodiscard]] sync::SteadyTime now() const override { return std::chrono::steady_clock::now(); }
    [[nodiscard]] sync::Instant wall() const override;
    void arm(boost::asio::steady_timer& timer, sync::SteadyTime at) override { timer.expires_at(at); }
    void disarm(boost::asio::steady_timer& /*timer*/) override {}
};

/// A wait that can be ended early: one coroutine waits, another rings. On one thread.
class Alarm {
public:
    Alarm(const boost::asio::any_io_executor& executor, Clock& clock, sync::SteadyTime at);
    ~Alarm() { clock_.disarm(timer_); }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    /// Returns at the time, or when rung; throws when the waiting coroutine is cancelled.
    boost::asio::awaitable<void> wait();
    void ring() { timer_.cancel(); }

private:
    Clock& clock_;
    boost::asio::steady_timer timer_;
};

/// Uniform in [0, 1): what jitter is drawn from.
using Dice = std::function<double()>;
Dice random_dice();

}  // namespace leadsync::daemon
