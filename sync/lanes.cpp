#include "sync/lanes.hpp"

#include "sync/rate_windows.hpp"

namespace leadsync::sync {

std::string_view name_of(Lane lane) {
    switch (lane) {
        case Lane::safety:
            return "safety";
        case Lane::push:
            return "push";
        case Lane::fresh:
            return "fresh";
        case Lane::active:
            return "active";
        case Lane::rest:
            return "rest";
    }
    return "rest";
}

std::size_t ahead_of(Lane lane) {
    switch (lane) {
        case Lane::safety:
            return RateWindows::unlimited;
        case Lane::push:
            return 16;
        case Lane::fresh:
        case Lane::active:
        case Lane::rest:
            break;
    }
    return 1;
}

std::optional<Lane> LaneOrder::take(const std::array<std::size_t, lane_count>& waiting) {
    std::size_t first = 0;
    while (first < lane_count && waiting[first] == 0) ++first;
    if (first == lane_count) return std::nullopt;
    std::size_t last = lane_count - 1;
    while (waiting[last] == 0) --last;
    if (first == last || ++turns_without_last_ >= turns_to_the_last) {
        turns_without_last_ = 0;
        return static_cast<Lane>(last);
    }
    return static_cast<Lane>(first);
}

}  // namespace leadsync::sync
