#include "sync/rate_windows.hpp"

#include <algorithm>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

std::size_t share_of(int limit, double share) {
    return static_cast<std::size_t>(std::max(1.0, static_cast<double>(limit) * share));
}

}  // namespace

RateWindows::RateWindows(int per_second, int per_minute, double share, std::chrono::milliseconds margin)
    : per_second_{std::min(share_of(per_second, share), share_of(per_minute, share))},
      per_minute_{share_of(per_minute, share)},
      margin_{margin},
      sent_(per_minute_) {}

SteadyTime RateWindows::next(SteadyTime now) const {
    auto earliest = std::max(now, held_until_);
    if (count_ >= per_second_) earliest = std::max(earliest, sent_back(per_second_) + 1s + margin_);
    if (count_ >= per_minute_) earliest = std::max(earliest, sent_back(per_minute_) + 60s + margin_);
    return earliest;
}

void RateWindows::spend(SteadyTime at) { sent_[count_++ % per_minute_] = at; }

void RateWindows::hold_until(SteadyTime until) { held_until_ = std::max(held_until_, until); }

std::size_t RateWindows::spent_in_minute(SteadyTime now) const {
    const auto known = std::min(count_, per_minute_);
    return static_cast<std::size_t>(std::count_if(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(known),
                                                  [&](SteadyTime sent) { return sent > now - 60s; }));
}

SteadyTime RateWindows::sent_back(std::size_t steps) const { return sent_[(count_ - steps) % per_minute_]; }

}  // namespace leadsync::sync
