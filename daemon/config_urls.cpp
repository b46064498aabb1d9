#include "daemon/config_urls.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cctype>
#include <charconv>

namespace leadsync::daemon {
namespace {

bool is_letter_or_digit(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }

bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, port);
    return error == std::errc{} && stop == end && port >= 1 && port <= 65535;
}

struct HostAndPort {
    std::string_view host;  ///< An IPv6 address keeps its brackets.
    std::string_view port;  ///< With its colon; empty where there is none.
};

HostAndPort split(std::string_view authority) {
    const auto bracket = authority.starts_with('[') ? authority.find(']') : 0;
    const auto colon =
        std::min(authority.find(':', bracket == std::string_view::npos ? 0 : bracket), authority.size());
    return {authority.substr(0, colon), authority.substr(colon)};
}

bool is_ipv6(std::string_view host) {
    if (!host.starts_with('[') || !host.ends_with(']')) return false;
    in6_addr address{};
    return ::inet_pton(AF_INET6, std::string{host.substr(1, host.size() - 2)}.c_str(), &address) == 1;
}

bool is_host(std::string_view host) {
    if (is_ipv6(host)) return true;
    return !host.empty()
           && std::ranges::all_of(host, [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.'; });
}

bool is_loopback(std::string_view host) {
    if (host == "localhost" || host == "[::1]") return true;
    in_addr address{};
    return ::inet_pton(AF_INET, std::string{host}.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24U) == 127;
}

bool percent_signs_are_escapes(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '%' && (i + 2 >= text.size() || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))) return false;
    return true;
}

/// HOST[:PORT], several with commas between them; a socket has no host.
bool are_hosts(std::string_view hosts) {
    while (true) {
        const auto comma = std::min(hosts.find(','), hosts.size());
        const auto [host, port] = split(hosts.substr(0, comma));
        if (!port.empty() && port != ":" && !is_port(port.substr(1))) return false;
        if (comma == hosts.size()) return true;
        hosts.remove_prefix(comma + 1);
    }
}

bool are_parameters(std::string_view query) {
    while (!query.empty()) {
        const auto end = std::min(query.find('&'), query.size());
        if (std::ranges::count(query.substr(0, end), '=') != 1) return false;
        query.remove_prefix(std::min(end + 1, query.size()));
    }
    return true;
}

}  // namespace

bool is_base_url(std::string_view url) {
    const bool encrypted = url.starts_with("https://");
    if (!encrypted && !url.starts_with("http://")) return false;
    url.remove_prefix(encrypted ? 8 : 7);
    if (url.ends_with('/')) url.remove_suffix(1);
    const auto [host, port] = split(url);
    return is_host(host) && (port.empty() || is_port(port.substr(1))) && (encrypted || is_loopback(host));
}

bool is_database_url(std::string_view url) {
    const bool short_scheme = url.starts_with("postgres://");
    if (!short_scheme && !url.starts_with("postgresql://")) return false;
    if (!std::ranges::all_of(url, [](char c) { return c > ' ' && c < 127; })) return false;
    if (!percent_signs_are_escapes(url)) return false;
    url.remove_prefix(short_scheme ? 11 : 13);

    const auto authority_end = std::min(url.find_first_of("/?#"), url.size());
    auto authority = url.substr(0, authority_end);
    const auto rest = url.substr(authority_end);
    if (std::ranges::count(authority, '@') > 1 || rest.find_first_of("@#") != std::string_view::npos) return false;
    if (const auto at = authority.find('@'); at != std::string_view::npos) authority.remove_prefix(at + 1);

    const auto question_mark = std::min(rest.find('?'), rest.size());
    return are_hosts(authority) && are_parameters(rest.substr(std::min(question_mark + 1, rest.size())));
}

}  // namespace leadsync::daemon
