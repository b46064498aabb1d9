#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace leadsync::instantly {

/// An HTTP date in any of its three forms.
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

/// A `Retry-After` header: seconds, or an HTTP date, which counts from `now`, the server's own `Date` where it sent
/// one. At most a day; nothing when it is neither.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view text, std::chrono::sys_seconds now);

}  // namespace leadsync::instantly
