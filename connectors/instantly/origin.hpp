#pragma once

#include <string>
#include <string_view>

namespace leadsync::instantly {

/// Where requests go, taken apart from a base URL.
struct Origin {
    bool tls = true;
    std::string host;  ///< a name or an address, without brackets
    std::string port;
    std::string authority;  ///< for the Host header
    std::string path;       ///< put before every target; empty or `/prefix`
};

/// Takes `https://host[:port][/prefix]` apart; `http://` only for loopback, so that no key ever leaves in the clear.
/// Throws std::invalid_argument, saying what is allowed.
Origin parse_origin(std::string_view base_url);

}  // namespace leadsync::instantly
