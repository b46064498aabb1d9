#include "connectors/instantly/origin.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <stdexcept>

#include <boost/asio/ip/address.hpp>

namespace leadsync::instantly {
namespace {

[[noreturn]] void refuse(std::string_view base_url, const char* reason) {
    throw std::invalid_argument{"base URL \"" + std::string{base_url} + "\": " + reason};
}

bool is_loopback(const std::string& host) {
    if (host == "localhost") return true;
    boost::system::error_code no_address;
    const auto address = boost::asio::ip::make_address(host, no_address);
    return !no_address && address.is_loopback();
}

bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    return error == std::errc{} && stop == end && port != 0;
}

}  // namespace

Origin parse_origin(std::string_view base_url) {
    Origin origin;
    std::string_view rest = base_url;
    if (rest.starts_with("https://")) {
        rest.remove_prefix(8);
    } else if (rest.starts_with("http://")) {
        origin.tls = false;
        rest.remove_prefix(7);
    } else {
        refuse(base_url, "must start with https://");
    }
    if (std::ranges::any_of(rest, [](char c) { return c <= ' ' || c == 127 || c == '?' || c == '#' || c == '@'; }))
        refuse(base_url, "may hold a host, a port and a path only");

    const auto slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) origin.path = rest.substr(slash);
    while (origin.path.ends_with('/')) origin.path.pop_back();
    origin.authority = authority;

    const auto bracket = authority.starts_with('[') ? authority.find(']') : std::string_view::npos;
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    origin.host = bracket == std::string_view::npos ? authority.substr(0, colon) : authority.substr(1, bracket - 1);
    origin.port = origin.tls ? "443" : "80";
    if (colon != std::string_view::npos) origin.port = authority.substr(colon + 1);
    if (origin.host.empty()) refuse(base_url, "names no host");
    if (!is_port(origin.port)) refuse(base_url, "the port must be 1 to 65535");
    if (!origin.tls && !is_loopback(origin.host)) refuse(base_url, "http:// is for loopback only; use https://");
    return origin;
}

}  // namespace leadsync::instantly
