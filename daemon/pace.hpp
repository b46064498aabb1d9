#pragma once

#include <boost/asio/awaitable.hpp>

#include "daemon/clock.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::daemon {

/// The request limiter of one workspace: every request waits here for its turn, first come, first served.
class Pace {
public:
    Pace(Clock& clock, sync::RateWindows windows) : clock_{clock}, windows_{std::move(windows)} {}

    /// Returns when one more request may leave, and counts it.
    boost::asio::awaitable<void> turn();

    /// The server has refused a request (429): nothing leaves for a while.
    void hold(std::chrono::milliseconds duration);

    [[nodiscard]] std::size_t spent_in_minute() const;

private:
    Clock& clock_;
    sync::RateWindows windows_;
    sync::SteadyTime held_until_{};
};

}  // namespace leadsync::daemon
