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

/// 0 for a text that is no hexadecimal number.
std::uint64_t number_of(const std::string& digits) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return error == std::errc{} && end == digits.data() + digits.size() ? number : 0;
}

std::string digits_of(std::uint64_t number) {
    std::array<char, 17> hex{};
    std::snprintf(hex.data(), hex.size(), "%016llx", static_cast<unsigned long long>(number));
    return hex.data();
}

/// As SplitMix64 does.
std::uint64_t mixed(std::uint64_t bits) {
    bits = (bits ^ (bits >> 30U)) * 0xBF58476D1CE4E5B9U;
    bits = (bits ^ (bits >> 27U)) * 0x94D049BB133111EBU;
    return bits ^ (bits >> 31U);
}

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
    return number_of(digits);
}

std::string id_at(std::uint64_t place) {
    const auto digits = digits_of(place);
    return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-7" + digits.substr(13, 3) + std::string{no_chance};
}

std::string id_made_of(std::string_view id) {
    auto high = place_of(id);
    auto low = number_of(std::string{id.substr(19, 4)}.append(id.substr(24)));
    high += mixed(low);
    low += mixed(high);
    high += mixed(low);
    const auto first = digits_of(high);
    const auto last = digits_of((low & 0x3FFFFFFFFFFFFFFFU) | 0x8000000000000000U);
    return first.substr(0, 8) + "-" + first.substr(8, 4) + "-8" + first.substr(13) + "-" + last.substr(0, 4) + "-"
           + last.substr(4);
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
