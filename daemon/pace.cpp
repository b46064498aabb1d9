#include "daemon/pace.hpp"

namespace leadsync::daemon {

boost::asio::awaitable<void> Pace::turn() {
    for (;;) {
        const auto slot = windows_.next(clock_.now());
        windows_.spend(slot);
        if (slot > clock_.now()) co_await clock_.sleep_until(slot);
        // The slot was given out before the server refused: stand in line again.
        if (clock_.now() >= held_until_ || slot >= held_until_) co_return;
    }
}

void Pace::hold(std::chrono::milliseconds duration) {
    held_until_ = std::max(held_until_, clock_.now() + duration);
    windows_.hold_until(held_until_);
}

std::size_t Pace::spent_in_minute() const { return windows_.spent_in_minute(clock_.now()); }

}  // namespace leadsync::daemon
