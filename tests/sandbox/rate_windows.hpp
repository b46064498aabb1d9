#pragma once

#include <cstdint>
#include <deque>

#include "tests/sandbox/instant.hpp"

namespace leadsync::sandbox {

/// The requests of the last second and of the last minute, counted as sliding windows, refused ones included.
class RateWindows {
public:
    struct Limits {
        int per_second;
        int per_minute;
    };

    /// Counts a request. True when both windows, this request included, are within the limits.
    bool count(Tick now, const Limits& limits);

    /// How long until one more request would be within the limits, if none came meanwhile.
    milliseconds until_free(Tick now, const Limits& limits) const;

    std::size_t max_per_second() const { return max_per_second_; }
    std::size_t max_per_minute() const { return max_per_minute_; }
    std::uint64_t refused() const { return refused_; }

    /// Forgets the maxima; what is in the windows stays there.
    void reset_maxima();

private:
    void forget_old(Tick now);

    std::deque<Tick> minute_;
    std::size_t second_begin_ = 0;  // index in minute_ of the first request of the last second
    std::size_t max_per_second_ = 0;
    std::size_t max_per_minute_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace leadsync::sandbox
