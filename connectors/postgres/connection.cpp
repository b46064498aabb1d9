#include "connectors/postgres/connection.hpp"

#include <array>
#include <libpq-fe.h>
#include <utility>

namespace leadsync::postgres {
namespace {

/// Seconds, but for `tcp_user_timeout` (ms): for what was sent and is not acknowledged.
constexpr std::array<std::pair<const char*, const char*>, 4> defaults{{
    {"keepalives_idle", "10"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "30000"},
}};

std::string quoted(const std::string& value) {
    std::string quoted = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + "'";
}

void forbid_reconnect(pqxx::connection& connection) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // libpqxx 7 never does, and has no such switch any more
    connection.inhibit_reactivation(true);
#pragma GCC diagnostic pop
}

}  // namespace

std::string with_keepalives(const std::string& url) {
    char* complaint = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{
        PQconninfoParse(url.c_str(), &complaint), &PQconninfoFree};
    PQfreemem(complaint);
    if (!options) return url;
    std::string all;
    for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
        const char* value = option->val;
        for (const auto& [keyword, filled_in] : defaults)
            if (value == nullptr && std::string{option->keyword} == keyword) value = filled_in;
        if (value != nullptr) all.append(all.empty() ? "" : " ").append(option->keyword).append("=") += quoted(value);
    }
    return all;
}

std::unique_ptr<pqxx::connection> open_connection(const std::string& url) {
    auto connection = std::make_unique<pqxx::connection>(with_keepalives(url));
    forbid_reconnect(*connection);
    pqxx::nontransaction session{*connection};
    session.exec(
        "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
        "SET tcp_user_timeout = '30s'");
    return connection;
}

}  // namespace leadsync::postgres
