#pragma once

#include <string>
#include <string_view>

namespace leadsync::daemon {

/// Whether `url` is https://HOST[:PORT], or http:// where HOST is this machine's loopback; no path but `/`, no query,
/// no credentials.
bool is_base_url(std::string_view url);

/// Whether `url` is postgresql://… of a shape that libpq accepts. Not left to libpq, whose complaint about a password
/// with a bare `@`, `/`, `?` or `%` quotes a part of it.
bool is_database_url(std::string_view url);

}  // namespace leadsync::daemon
