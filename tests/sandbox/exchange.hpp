#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {

/// A request as the handlers see it. The views are valid while it is answered.
struct Request {
    std::string_view method;
    std::string_view target;  ///< With the query.
    std::string_view path;    ///< Without.
    std::string_view authorization;
    std::string_view user_agent;
    std::string_view content_type;
    std::string_view accept_encoding;
    std::string_view body;
};

/// The value of a query parameter, decoded; empty when it is not there.
std::string query_value(std::string_view target, std::string_view name);

struct Reply {
    unsigned status = 200;
    std::string_view content_type = "application/json; charset=utf-8";
    int retry_after_s = -1;  ///< Negative: no such header.
    std::string body;
    std::int64_t unix_ms = 0;  ///< The server's clock, for the Date header; 0: none.
};

/// A request that cannot be done: thrown by handlers, answered with `body`.
struct Refusal {
    unsigned status;
    Json body;
};

/// The common error shape {statusCode, error, message}.
Refusal refusal(unsigned status, std::string_view message);

std::string_view reason(unsigned status);

}  // namespace leadsync::sandbox
