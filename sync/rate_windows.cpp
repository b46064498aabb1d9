#include "sync/rate_windows.hpp"

#include <algorithm>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

/// Refusals closer together than that are one: a whole window was under way.
constexpr auto one_refusal = 1s;

std::size_t part_of(double limit, double part) { return static_cast<std::size_t>(std::max(1.0, limit * part)); }

}  // namespace

RateWindows::RateWindows(RateLimits limits, std::chrono::milliseconds margin)
    : per_second_{part_of(std::min(limits.per_second, limits.per_minute), limits.share)},
      per_minute_{part_of(limits.per_minute, limits.share)},
      margin_{margin},
      sent_(per_minute_) {}

std::optional<SteadyTime> RateWindows::next(SteadyTime now, std::size_t ahead) const {
    const auto part = allowance(now);
    const auto per_second = part_of(static_cast<double>(per_second_), part);
    const auto per_minute = part_of(static_cast<double>(per_minute_), part);
    if (granted_ >= std::min(per_second, per_minute)) return std::nullopt;
    auto earliest = std::max(now, held_until_);
    if (ahead < per_minute) earliest = std::max(earliest, even_ - static_cast<int>(ahead) * gap(now));
    const auto wait_for = [&](std::size_t limit, std::chrono::seconds window) {
        const auto behind = limit - granted_;
        if (count_ >= behind) earliest = std::max(earliest, sent_back(behind) + window + margin_);
    };
    wait_for(per_second, 1s);
    wait_for(per_minute, 60s);
    return earliest;
}

void RateWindows::grant(SteadyTime now) {
    ++granted_;
    even_ = std::max(even_, now) + gap(now);
}

void RateWindows::give_back(SteadyTime now) {
    --granted_;
    even_ -= gap(now);
}

/// Between two requests of an even pace that fills the tighter window.
SteadyTime::duration RateWindows::gap(SteadyTime now) const {
    const auto part = allowance(now);
    const auto between = [&](std::size_t limit, std::chrono::seconds window) {
        return (window + margin_) / static_cast<int>(part_of(static_cast<double>(limit), part));
    };
    return std::max<SteadyTime::duration>(between(per_second_, 1s), between(per_minute_, 60s));
}

void RateWindows::depart(SteadyTime at) {
    --granted_;
    sent_[count_++ % per_minute_] = at;
}

void RateWindows::remember(SteadyTime at, std::size_t requests) {
    for (std::size_t i = 0; i < std::min(requests, per_minute_); ++i) sent_[count_++ % per_minute_] = at;
}

void RateWindows::refused(SteadyTime now, SteadyTime until) {
    held_until_ = std::max(held_until_, until);
    if (refused_at_ && now - *refused_at_ < one_refusal) return;
    left_by_refusal_ = std::max(floor, allowance(now) / 2);
    refused_at_ = now;
}

double RateWindows::allowance(SteadyTime now) const {
    if (!refused_at_) return 1;
    const std::chrono::duration<double> since = now - *refused_at_;
    return std::min(1.0, left_by_refusal_ + since / std::chrono::duration<double>{recovery});
}

std::size_t RateWindows::spent_in_minute(SteadyTime now) const {
    const auto known = std::min(count_, per_minute_);
    return static_cast<std::size_t>(std::count_if(sent_.begin(), sent_.begin() + static_cast<std::ptrdiff_t>(known),
                                                  [&](SteadyTime sent) { return sent > now - 60s; }));
}

SteadyTime RateWindows::sent_back(std::size_t steps) const { return sent_[(count_ - steps) % per_minute_]; }

}  // namespace leadsync::sync
