#include "daemon/version.hpp"

#include <boost/version.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/crypto.h>
#include <pqxx/version>

#include "migrations/migrations.hpp"

namespace leadsync::daemon {

std::string user_agent() { return "leadsync/" LEADSYNC_VERSION; }

std::string build_facts() {
    return fmt::format(
        "leadsync {}\nschema {}\ncompiler GCC {}\nBoost {}.{}.{}, libpqxx {}, nlohmann/json {}.{}.{}, {}",
        LEADSYNC_VERSION, postgres::embedded_migrations().back().version, __VERSION__, BOOST_VERSION / 100000,
        BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100, PQXX_VERSION, NLOHMANN_JSON_VERSION_MAJOR,
        NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH, OpenSSL_version(OPENSSL_VERSION));
}

}  // namespace leadsync::daemon
