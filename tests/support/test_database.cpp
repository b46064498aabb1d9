#include "tests/support/test_database.hpp"

#include <cstdlib>
#include <unistd.h>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "connectors/postgres/digest.hpp"
#include "connectors/postgres/migrator.hpp"
#include "migrations/migrations.hpp"
#include "tests/support/test_cluster.hpp"

namespace leadsync::test_support {
namespace {

std::string with_database(const std::string& url, const std::string& name) {
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string::npos) return url + " dbname=" + name;  // in `key=value` form the last one wins
    const auto query = url.find('?');
    const auto host_end = std::min(url.find('/', scheme_end + 3), query);
    return url.substr(0, host_end) + "/" + name + (query == std::string::npos ? "" : url.substr(query));
}

std::string server_url() {
    if (const char* given = std::getenv("LEADSYNC_TEST_CLUSTER_URL")) return given;
    return test_cluster_url();
}

void on_server(const std::string& statement) {
    pqxx::connection connection{with_database(server_url(), "postgres")};
    const pqxx::quiet_errorhandler quiet{connection};
    pqxx::nontransaction{connection}.exec(statement);
}

/// Named after what it holds, so that a server used again by a changed program gets a new one.
std::string template_name() {
    std::string schema;
    for (const auto& migration : postgres::embedded_migrations()) schema += migration.sql;
    return "leadsync_template_" + postgres::sha256_hex(schema).substr(0, 12);
}

/// Under a lock on the server, because other programs may use it too; and migrated under another name first, because
/// one of them may be killed half-way.
std::string make_template() {
    auto name = template_name();
    pqxx::connection connection{with_database(server_url(), "postgres")};
    const pqxx::quiet_errorhandler quiet{connection};
    pqxx::nontransaction session{connection};
    session.exec("SELECT pg_advisory_lock(hashtext('leadsync test template'), 0)");
    if (!session.exec_params("SELECT FROM pg_database WHERE datname = $1", name).empty()) return name;
    session.exec(fmt::format("DROP DATABASE IF EXISTS {}_new", name));
    session.exec(fmt::format("CREATE DATABASE {}_new", name));
    postgres::Migrator{with_database(server_url(), name + "_new"), postgres::embedded_migrations()}.migrate();
    session.exec(fmt::format("ALTER DATABASE {0}_new RENAME TO {0}", name));
    return name;
}

std::string migrated_template() {
    static const std::string name = make_template();
    return name;
}

std::string fresh_name() {
    static int count = 0;
    return fmt::format("leadsync_test_{}_{}", ::getpid(), ++count);
}

}  // namespace

TestDatabase::TestDatabase(Contents contents) : name_{fresh_name()}, url_{with_database(server_url(), name_)} {
    const auto source = contents == Contents::migrated ? migrated_template() : "template0";
    on_server(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", name_));
    on_server(fmt::format("CREATE DATABASE {} TEMPLATE {}", name_, source));
}

void TestDatabase::accept_connections(bool accept) const {
    on_server(fmt::format("ALTER DATABASE {} ALLOW_CONNECTIONS {}", name_, accept));
    if (!accept)
        on_server(fmt::format("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", name_));
}

TestDatabase::~TestDatabase() {
    try {
        on_server(fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", name_));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{} stays: {}\n", name_, error.what());
    }
}

}  // namespace leadsync::test_support
