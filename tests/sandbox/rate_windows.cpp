#include "tests/sandbox/rate_windows.hpp"

#include <algorithm>

namespace leadsync::sandbox {
namespace {

using std::chrono::ceil;
using std::chrono::seconds;

constexpr seconds second{1};
constexpr seconds minute{60};

}  // namespace

void RateWindows::forget_old(Tick now) {
    while (!minute_.empty() && now - minute_.front() >= minute) {
        minute_.pop_front();
        if (second_begin_ > 0) --second_begin_;
    }
    while (second_begin_ < minute_.size() && now - minute_[second_begin_] >= second) ++second_begin_;
}

bool RateWindows::count(Tick now, const Limits& limits) {
    forget_old(now);
    minute_.push_back(now);
    const auto in_second = minute_.size() - second_begin_;
    max_per_second_ = std::max(max_per_second_, in_second);
    max_per_minute_ = std::max(max_per_minute_, minute_.size());
    const bool within = in_second <= static_cast<std::size_t>(limits.per_second)
                        && minute_.size() <= static_cast<std::size_t>(limits.per_minute);
    if (!within) ++refused_;
    return within;
}

milliseconds RateWindows::until_free(Tick now, const Limits& limits) const {
    auto wait = milliseconds{0};
    const auto slot = [&](std::size_t begin, int limit, seconds window) {
        const auto in_window = minute_.size() - begin;
        const auto allowed = static_cast<std::size_t>(std::max(limit, 1));
        if (in_window < allowed) return;
        const auto leaves_last = begin + in_window - allowed;
        wait = std::max(wait, ceil<milliseconds>(minute_[leaves_last] + window - now));
    };
    slot(second_begin_, limits.per_second, second);
    slot(0, limits.per_minute, minute);
    return wait;
}

void RateWindows::reset_maxima() {
    max_per_second_ = 0;
    max_per_minute_ = 0;
    refused_ = 0;
}

}  // namespace leadsync::sandbox
