#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace leadsync::sandbox {

using Tick = std::chrono::steady_clock::time_point;
using std::chrono::milliseconds;

/// One instant on both clocks: the steady one decides what is due, the calendar one goes into timestamps.
struct Moment {
    Tick tick;
    std::int64_t unix_ms = 0;

    static Moment now();

    /// The same instant by a calendar that is ahead.
    Moment ahead(std::int64_t by_ms) const { return {tick, unix_ms + by_ms}; }

    /// The same pair of clocks at another tick.
    Moment at(Tick other) const;
};

/// ISO-8601 UTC with milliseconds, as every timestamp of the API.
void append_iso(std::string& out, std::int64_t unix_ms);
std::string to_iso(std::int64_t unix_ms);

/// `Sun, 06 Nov 1994 08:49:37 GMT`, as the Date header.
std::string to_http_date(std::int64_t unix_ms);

/// Nothing unless the text has exactly the form that append_iso writes.
std::optional<std::int64_t> parse_iso(std::string_view text);

}  // namespace leadsync::sandbox
