#include "tests/simulation/virtual_time.hpp"

#include <algorithm>

namespace leadsync::simulation {
namespace {

/// Any day will do, as long as it is always the same.
constexpr sync::Instant beginning = std::chrono::sys_days{std::chrono::year{2026} / 6 / 1};

}  // namespace

sync::Instant VirtualTime::wall() const {
    return beginning + wall_set_by_ + std::chrono::duration_cast<std::chrono::microseconds>(now_.time_since_epoch());
}

void VirtualTime::arm(boost::asio::steady_timer& timer, sync::SteadyTime at) {
    timer.expires_at(sync::SteadyTime::max());
    timers_[&timer] = agenda_.emplace(std::max(at, now_), Due{&timer, {}});
}

void VirtualTime::disarm(boost::asio::steady_timer& timer) {
    const auto found = timers_.find(&timer);
    if (found == timers_.end()) return;
    agenda_.erase(found->second);
    timers_.erase(found);
}

void VirtualTime::at(sync::SteadyTime at, std::function<void()> event) {
    agenda_.emplace(std::max(at, now_), Due{nullptr, std::move(event)});
}

bool VirtualTime::advance(sync::SteadyTime end) {
    if (agenda_.empty() || agenda_.begin()->first > end) {
        now_ = std::max(now_, end);
        return false;
    }
    auto next = agenda_.extract(agenda_.begin());
    now_ = next.key();
    auto& due = next.mapped();
    if (due.timer != nullptr) {
        timers_.erase(due.timer);
        due.timer->cancel();
    } else {
        due.event();
    }
    return true;
}

}  // namespace leadsync::simulation
