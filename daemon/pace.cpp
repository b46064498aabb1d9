#include "daemon/pace.hpp"

#include "daemon/tasks.hpp"

namespace leadsync::daemon {

using Clock = std::chrono::steady_clock;

boost::asio::awaitable<void> Pace::turn() {
    for (;;) {
        const auto slot = windows_.next(Clock::now());
        windows_.spend(slot);
        if (slot > Clock::now()) {
            boost::asio::steady_timer timer{co_await boost::asio::this_coro::executor, slot};
            co_await timer.async_wait(boost::asio::use_awaitable);
        }
        // The slot was given out before the server refused: stand in line again.
        if (Clock::now() >= held_until_ || slot >= held_until_) co_return;
    }
}

void Pace::hold(std::chrono::milliseconds duration) {
    held_until_ = std::max(held_until_, Clock::now() + duration);
    windows_.hold_until(held_until_);
}

std::size_t Pace::spent_in_minute() const { return windows_.spent_in_minute(Clock::now()); }

}  // namespace leadsync::daemon
