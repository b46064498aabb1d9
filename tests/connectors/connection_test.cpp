#include "connectors/postgres/connection.hpp"

#include <functional>
#include <string>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::postgres {
namespace {

TEST(Connection, FillsInWhatIsLeftOpenOfKeepalives) {
    const auto all = with_keepalives("postgresql://ada:it%27s%20%5C@db:5433/crm?keepalives_idle=77&sslmode=require");
    EXPECT_NE(all.find("user='ada'"), std::string::npos) << all;
    EXPECT_NE(all.find(R"(password='it\'s \\')"), std::string::npos) << all;
    EXPECT_NE(all.find("port='5433'"), std::string::npos) << all;
    EXPECT_NE(all.find("sslmode='require'"), std::string::npos) << all;
    EXPECT_NE(all.find("keepalives_idle='77'"), std::string::npos) << all;
    EXPECT_NE(all.find("keepalives_interval='5' keepalives_count='3'"), std::string::npos) << all;
    EXPECT_NE(all.find("tcp_user_timeout='30000'"), std::string::npos) << all;
    EXPECT_EQ(with_keepalives(all), all);
}

TEST(Connection, LeavesToLibpqWhatItCantRead) {
    EXPECT_EQ(with_keepalives("postgresql://[::1"), "postgresql://[::1");
}

// libpqxx 6 connects anew for the ROLLBACK of a transaction whose savepoint broke, and the session that it gets is
// nobody's: what it writes to crm.leads would count as a user's edits.
TEST(Connection, ThatBrokeIsNotUsedAgain) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    EXPECT_THROW(leadsync.run_blocking([&](pqxx::work& transaction) {
        pqxx::subtransaction part{transaction};
        const auto backend = part.exec1("SELECT pg_backend_pid()")[0].as<int>();
        pqxx::connection other{database.url()};
        pqxx::nontransaction{other}.exec_params("SELECT pg_terminate_backend($1, 10000)", backend);
        part.exec("SELECT 1");
    }),
                 pqxx::failure);
    leadsync.run_blocking([](pqxx::work& transaction) {
        EXPECT_EQ(transaction.exec1("SELECT current_setting('leadsync.origin', true)")[0].as<std::string>("none"),
                  "sync");
    });
}

// After a failover the locks are another process's to take, while the session that had them has heard nothing yet.
TEST(Connection, IsMadeOnlyWhereTheLocksAre) {
    const test_support::TestDatabase database;
    Fence fence;
    const auto connects = [&] {
        Database leadsync{database.url(), 1};
        leadsync.stay_behind(fence);
        try {
            leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("SELECT 1"); });
            return true;
        } catch (const pqxx::broken_connection&) {
            return false;
        }
    };
    EXPECT_FALSE(connects()) << "nothing is locked yet";
    auto holder = open_connection(database.url());
    pqxx::nontransaction{*holder}.exec("SET timezone = 'Asia/Kathmandu'");
    fence.raise(*holder);
    EXPECT_TRUE(connects());
    const auto backend = std::to_string(holder->backendpid());
    pqxx::connection other{database.url()};
    pqxx::nontransaction{other}.exec("SELECT pg_terminate_backend(" + backend + ", 10000)");
    EXPECT_FALSE(connects());
    holder = open_connection(database.url());
    fence.raise(*holder);
    EXPECT_TRUE(connects());
}

// The session with the locks breaks, and the others live: another process may be at it by now.
TEST(Connection, OfThePoolIsNotUsedOnceTheLocksAreLost) {
    const test_support::TestDatabase database;
    Fence fence;
    Database leadsync{database.url(), 1};
    leadsync.stay_behind(fence);
    const auto backend = [&] {
        return leadsync.run_blocking(
            [](pqxx::work& transaction) { return transaction.exec1("SELECT pg_backend_pid()")[0].as<int>(); });
    };
    auto holder = open_connection(database.url());
    fence.raise(*holder);
    const auto first = backend();
    EXPECT_EQ(backend(), first) << "it comes from the pool";
    fence.lower();
    EXPECT_THROW(backend(), pqxx::broken_connection);
    fence.raise(*holder);
    EXPECT_NE(backend(), first) << "it may be of a server that has failed over since";
}

TEST(Connection, CommitsNothingThatBeganBeforeTheLocksWereLost) {
    const test_support::TestDatabase database;
    Fence fence;
    Database leadsync{database.url(), 1};
    leadsync.stay_behind(fence);
    auto holder = open_connection(database.url());
    fence.raise(*holder);
    const auto declare = [&](const std::function<void()>& meanwhile) {
        leadsync.run_blocking([&](pqxx::work& transaction) {
            transaction.exec("INSERT INTO crm.workspaces (name) VALUES ('acme')");
            meanwhile();
        });
    };
    EXPECT_THROW(declare([&] { fence.lower(); }), pqxx::broken_connection);
    fence.raise(*holder);
    EXPECT_THROW(declare([&] {
                     fence.lower();
                     fence.raise(*holder);
                 }),
                 pqxx::broken_connection)
        << "whoever had the locks in between may have written as well";
    EXPECT_NO_THROW(declare([] {})) << "there is no such row yet";
}

}  // namespace
}  // namespace leadsync::postgres
