#include "connectors/instantly/retry_after.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <string>

namespace leadsync::instantly {

using std::chrono::milliseconds;
using std::chrono::sys_seconds;

namespace {

constexpr milliseconds longest = std::chrono::hours{24};

}  // namespace

std::optional<sys_seconds> parse_http_date(std::string_view text) {
    const std::string date{text};
    for (const char* form : {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"}) {
        std::tm parts{};
        const char* end = ::strptime(date.c_str(), form, &parts);
        if (end != nullptr && *end == '\0') return sys_seconds{std::chrono::seconds{::timegm(&parts)}};
    }
    return std::nullopt;
}

std::optional<milliseconds> parse_retry_after(std::string_view text, sys_seconds now) {
    double seconds = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seconds, std::chars_format::fixed);
    if (stop == end && !text.empty()) {
        if (error == std::errc::result_out_of_range || seconds > 86'400) return longest;
        if (error == std::errc{} && seconds >= 0)
            return milliseconds{static_cast<milliseconds::rep>(seconds * 1'000)};
        return std::nullopt;
    }
    const auto date = parse_http_date(text);
    if (!date) return std::nullopt;
    return std::clamp<milliseconds>(*date - now, milliseconds{0}, longest);
}

}  // namespace leadsync::instantly
