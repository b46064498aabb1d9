#include "sync/id_space.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <limits>

namespace leadsync::sync {
namespace {

constexpr std::string_view no_chance{"-8000-000000000000"};
constexpr auto last_place = std::numeric_limits<std::uint64_t>::max();

std::uint64_t place_of_end(const std::optional<std::string>& end) { return end ? place_of(*end) : last_place; }

/// From one lead to the next, at least 1.
double distance(const Stretch& stretch) {
    if (stretch.leads < 2 || stretch.last <= stretch.first) return 1;
    return std::max(1.0, static_cast<double>(stretch.last - stretch.first) / static_cast<double>(stretch.leads - 1));
}

}  // namespace

std::uint64_t place_of(std::string_view id) {
    if (id.size() != 36) return 0;
    std::string digits{id.substr(0, 8)};
    digits.append(id.substr(9, 4)).append(id.substr(14, 4));
    std::uint64_t place = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), place, 16);
    return error == std::errc{} && end == digits.data() + digits.size() ? place : 0;
}

std::string id_at(std::uint64_t place) {
    std::array<char, 17> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(place));
    const std::string digits{hex.data()};
    return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-7" + digits.substr(13, 3) + std::string{no_chance};
}

bool is_made_up(std::string_view id) { return id.ends_with(no_chance); }

double leads_between(const std::string& begin, const std::optional<std::string>& end, const Stretch& stretch) {
    const auto from = place_of(begin);
    const auto to = place_of_end(end);
    return to > from ? static_cast<double>(to - from) / distance(stretch) : 0;
}

std::optional<std::string> cut_between(const std::string& cursor, const std::optional<std::string>& end,
                                       const Stretch& stretch, double least, double reach) {
    const auto left = leads_between(cursor, end, stretch);
    if (left < 2 * least) return std::nullopt;
    const auto ahead = std::min(left / 2, std::max(least, reach)) * distance(stretch);
    const auto at = id_at(place_of(cursor) + static_cast<std::uint64_t>(ahead));
    // The version's digit is not free: the cut may have slipped past an end that is near.
    const bool is_between = at > cursor && (!end || at < *end);
    return is_between ? std::optional{at} : std::nullopt;
}

}  // namespace leadsync::sync
