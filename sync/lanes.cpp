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
    const bool is_alone = first == last;
    turns_without_lower_ = is_alone ? 0 : (turns_without_lower_ + 1) % turns_to_a_lower;
    if (is_alone || turns_without_lower_ != 0) return static_cast<Lane>(first);
    do {
        last_lower_ = (last_lower_ + 1) % lane_count;
    } while (last_lower_ <= first || waiting[last_lower_] == 0);
    return static_cast<Lane>(last_lower_);
}

}  // namespace leadsync::sync
