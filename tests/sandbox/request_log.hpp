#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>

#include "tests/sandbox/instant.hpp"
#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {

struct LoggedRequest {
    std::int64_t unix_ms = 0;
    Tick tick;  ///< The same on the clock that programs on one machine share.
    std::string workspace;
    std::string method;
    std::string path;
    std::string body;     ///< At most its first 2 KB.
    unsigned status = 0;  ///< 0: not answered.
    std::string fault;    ///< The fault that hit it, if any.
};

/// The last requests to the API, and counts of all of them.
class RequestLog {
public:
    static constexpr std::size_t kept_body = 2048;

    void add(LoggedRequest request, std::string_view endpoint);
    void clear();

    /// The kept requests whose path contains `path`, oldest first, the last `limit` of them.
    Json requests(std::string_view path, std::string_view workspace, std::size_t limit) const;

    /// How many requests each endpoint was sent since the start or the last clear().
    Json counts() const;

private:
    std::deque<LoggedRequest> kept_;
    std::map<std::string, std::uint64_t, std::less<>> counts_;
};

}  // namespace leadsync::sandbox
