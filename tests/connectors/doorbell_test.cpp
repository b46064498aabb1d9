#include <chrono>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/listener.hpp"
#include "connectors/postgres/review.hpp"
#include "connectors/postgres/store.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "tests/support/test_database.hpp"

// Who is rung for a local edit, and that none slips by whoever falls asleep.

namespace leadsync::postgres {
namespace {

class Bell : public pqxx::notification_receiver {
public:
    explicit Bell(pqxx::connection& connection) : notification_receiver{connection, "leadsync"} {}
    void operator()(const std::string& /*payload*/, int /*backend*/) override { ++rings; }
    int rings = 0;
};

class DoorbellTest : public ::testing::Test {
protected:
    DoorbellTest() {
        leadsync_.run_blocking([](pqxx::work& transaction) {
            Workspaces::declare(transaction, {"acme", "other"});
            transaction.exec(
                "INSERT INTO crm.leads (workspace, id, email, list_id) "
                "SELECT w, gen_random_uuid(), 'lead' || n || '@acme.io', gen_random_uuid() "
                "FROM unnest(ARRAY['acme', 'other']) w, generate_series(1, 3) n");
        });
    }

    bool fall_asleep() {
        bool asleep = false;
        store_.run_blocking([&](store::Transaction& transaction) { asleep = transaction.queue.fall_asleep(); });
        return asleep;
    }
    void sleep_soundly() {
        fall_asleep();
        EXPECT_TRUE(fall_asleep());
    }

    std::unique_ptr<pqxx::connection> user() { return connect_as_user(database_.url()); }
    void edit(const std::string& workspace) {
        const auto connection = user();
        pqxx::work transaction{*connection};
        edit(transaction, workspace);
        transaction.commit();
    }
    static void edit(pqxx::work& transaction, const std::string& workspace) {
        transaction.exec_params("UPDATE crm.leads SET phone = coalesce(phone, '') || '1' WHERE workspace = $1",
                                workspace);
    }
    int rings() {
        pqxx::nontransaction{listener_}.exec("SELECT 1");  // what was committed before is told with the answer
        listener_.get_notifs();
        return std::exchange(bell_.rings, 0);
    }

    test_support::TestDatabase database_;
    Database leadsync_{database_.url(), 1};
    Store store_{leadsync_, "acme"};
    pqxx::connection listener_{database_.url()};
    Bell bell_{listener_};
};

TEST_F(DoorbellTest, IsRungOnlyForAWorkspaceThatSleeps) {
    edit("acme");
    EXPECT_EQ(rings(), 0) << "it looks by itself";
    sleep_soundly();
    edit("other");
    EXPECT_EQ(rings(), 0);
    edit("acme");
    EXPECT_EQ(rings(), 1);
    store_.run_blocking([](store::Transaction& transaction) { transaction.queue.wake(); });
    edit("acme");
    EXPECT_EQ(rings(), 0);
}

TEST_F(DoorbellTest, IsRungForInsertsAndDeletesToo) {
    sleep_soundly();
    const auto connection = user();
    const auto run = [&](const char* statement) {
        pqxx::work transaction{*connection};
        transaction.exec(statement);
        transaction.commit();
    };
    run("INSERT INTO crm.leads (workspace, email, list_id) VALUES ('acme', 'new@acme.io', gen_random_uuid())");
    EXPECT_EQ(rings(), 1);
    run("DELETE FROM crm.leads WHERE workspace = 'acme' AND email = 'new@acme.io'");
    EXPECT_EQ(rings(), 1);
    run("UPDATE crm.leads SET phone = phone WHERE workspace = 'acme'");
    EXPECT_EQ(rings(), 0) << "nothing was edited";
}

TEST_F(DoorbellTest, NobodySleepsAsLongAsAnEditIsUnderWayThatMayNotRing) {
    const auto connection = user();
    pqxx::work early{*connection};
    edit(early, "acme");
    EXPECT_FALSE(fall_asleep());
    EXPECT_FALSE(fall_asleep());
    EXPECT_FALSE(fall_asleep());
    const auto later_connection = user();
    pqxx::work later{*later_connection};
    edit(later, "other");
    early.commit();
    EXPECT_EQ(rings(), 0) << "it had not seen that anybody sleeps";
    EXPECT_TRUE(fall_asleep()) << "one that came later rings, if it has to";
}

TEST_F(DoorbellTest, ATransactionWithAnOldSnapshotRings) {
    const auto connection = user();
    pqxx::transaction<pqxx::repeatable_read> old{*connection};
    old.exec("SELECT 1 FROM crm.leads LIMIT 1");
    sleep_soundly();
    old.exec("UPDATE crm.leads SET phone = '2' WHERE workspace = 'acme'");
    old.commit();
    EXPECT_EQ(rings(), 1);
}

TEST_F(DoorbellTest, SurvivesAServerThatLostItsMemory) {
    sleep_soundly();
    const auto connection = user();
    leadsync_.run_blocking([](pqxx::work& transaction) { transaction.exec("DELETE FROM sync.doorbell"); });
    EXPECT_FALSE(fall_asleep());
    EXPECT_TRUE(fall_asleep());
}

TEST(Listener, TellsOfAConnectionThatBrokeBeforeItListens) {
    const test_support::TestDatabase database;
    boost::asio::io_context io;
    Listener listener{io.get_executor(), database.url(), {}};
    listener.connect();
    pqxx::connection other{database.url()};
    pqxx::nontransaction{other}.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'leadsync listener' "
        "AND datname = current_database()");
    auto outcome = boost::asio::co_spawn(io, listener.run([] {}), boost::asio::use_future);
    io.run_for(std::chrono::seconds{10});
    ASSERT_EQ(outcome.wait_for(std::chrono::seconds{0}), std::future_status::ready);
    EXPECT_THROW(outcome.get(), pqxx::broken_connection);
}

/// A session of another process, which may drive workspaces itself.
class OtherSession {
public:
    explicit OtherSession(const std::string& url) : connection_{url} {}

    bool takes(const std::string& workspace) { return call("pg_try_advisory_lock", workspace); }
    void lets_go_of(const std::string& workspace) { EXPECT_TRUE(call("pg_advisory_unlock", workspace)); }

private:
    bool call(const std::string& function, const std::string& workspace) {
        return pqxx::nontransaction{connection_}
            .exec_params1("SELECT " + function + "(hashtextextended('leadsync workspace ' || $1, 0))", workspace)[0]
            .as<bool>();
    }

    pqxx::connection connection_;
};

TEST(Listener, TakesNoWorkspaceWithoutItsLock) {
    const test_support::TestDatabase database;
    boost::asio::io_context io;
    Listener listener{io.get_executor(), database.url(), {}};
    const auto take = [&] {
        auto outcome = boost::asio::co_spawn(io, listener.take("acme"), boost::asio::use_future);
        io.restart();
        io.run();
        outcome.get();
    };
    EXPECT_THROW(take(), pqxx::broken_connection);
    OtherSession other{database.url()};
    EXPECT_TRUE(other.takes("acme"));
    EXPECT_NO_THROW(listener.connect()) << "it was not taken, and is not insisted on";
    other.lets_go_of("acme");
    take();
    EXPECT_FALSE(other.takes("acme"));
}

TEST(Listener, TheFenceIsDownFromTheBreakOfItsSessionUntilItHasTheLocksAgain) {
    const test_support::TestDatabase database;
    boost::asio::io_context io;
    boost::asio::thread_pool blocking{1};
    Listener listener{io.get_executor(), database.url(), {"acme"}};
    EXPECT_FALSE(listener.fence().standing().has_value());
    listener.connect();
    const auto first = listener.fence().standing();
    ASSERT_TRUE(first.has_value());
    pqxx::connection other{database.url()};
    pqxx::nontransaction{other}.exec(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'leadsync listener' "
        "AND datname = current_database()");
    auto heard = boost::asio::co_spawn(io, listener.run([] {}), boost::asio::use_future);
    io.run_for(std::chrono::seconds{10});
    ASSERT_EQ(heard.wait_for(std::chrono::seconds{0}), std::future_status::ready);
    EXPECT_THROW(heard.get(), pqxx::broken_connection);
    EXPECT_FALSE(listener.fence().standing().has_value());

    auto again = boost::asio::co_spawn(io, listener.reconnect(blocking.get_executor()), boost::asio::use_future);
    io.restart();
    io.run();
    EXPECT_NO_THROW(again.get());
    ASSERT_TRUE(listener.fence().standing().has_value());
    EXPECT_NE(*listener.fence().standing(), *first);
    EXPECT_FALSE(OtherSession{database.url()}.takes("acme"));
}

// After a cut of the network the server may go on holding them for the session that is gone.
TEST(Listener, AReconnectWaitsForLocksLongerThanAFirstStart) {
    const test_support::TestDatabase database;
    OtherSession gone{database.url()};
    EXPECT_TRUE(gone.takes("acme"));
    boost::asio::io_context io;
    boost::asio::thread_pool blocking{1};
    Listener listener{io.get_executor(), database.url(), {"acme"}};
    auto outcome = boost::asio::co_spawn(io, listener.reconnect(blocking.get_executor()), boost::asio::use_future);
    io.run_for(std::chrono::milliseconds{3'500});
    EXPECT_EQ(outcome.wait_for(std::chrono::seconds{0}), std::future_status::timeout);
    EXPECT_FALSE(listener.fence().standing().has_value());
    gone.lets_go_of("acme");
    io.restart();
    io.run();
    EXPECT_NO_THROW(outcome.get());
    EXPECT_TRUE(listener.fence().standing().has_value());
    EXPECT_FALSE(gone.takes("acme"));
}

// A server that has crashed may go back to tokens of claims that it did not have on disk.
TEST(Listener, AReconnectPassesOverTheTokensOfWhatMayBeInHand) {
    const test_support::TestDatabase database;
    pqxx::connection session{database.url()};
    const auto draw = [&] {
        return pqxx::nontransaction{session}.exec1("SELECT nextval('sync.lease_tokens')")[0].as<std::int64_t>();
    };
    const auto before = draw();
    boost::asio::io_context io;
    boost::asio::thread_pool blocking{1};
    Listener listener{io.get_executor(), database.url(), {"acme"}};
    auto outcome = boost::asio::co_spawn(io, listener.reconnect(blocking.get_executor()), boost::asio::use_future);
    io.run();
    EXPECT_NO_THROW(outcome.get());
    EXPECT_GT(draw(), before + 100'000);
}

TEST(Listener, AReconnectTakesALockThatStaysAwayForAnotherProcess) {
    const test_support::TestDatabase database;
    OtherSession other{database.url()};
    EXPECT_TRUE(other.takes("acme"));
    boost::asio::io_context io;
    boost::asio::thread_pool blocking{1};
    Listener listener{io.get_executor(), database.url(), {"acme", "free"}, std::chrono::milliseconds{300}};
    auto outcome = boost::asio::co_spawn(io, listener.reconnect(blocking.get_executor()), boost::asio::use_future);
    io.run();
    EXPECT_THROW(outcome.get(), WorkspaceTaken);
    EXPECT_FALSE(listener.fence().standing().has_value());
}

TEST(Listener, AReconnectDoesNotInsistOnAWorkspaceThatWasLetGoOfMeanwhile) {
    const test_support::TestDatabase database;
    OtherSession other{database.url()};
    EXPECT_TRUE(other.takes("gone"));
    boost::asio::io_context io;
    boost::asio::thread_pool blocking{1};
    Listener listener{io.get_executor(), database.url(), {"acme", "gone"}};
    auto outcome = boost::asio::co_spawn(io, listener.reconnect(blocking.get_executor()), boost::asio::use_future);
    io.poll();
    listener.release("gone");
    io.run();
    EXPECT_NO_THROW(outcome.get());
    EXPECT_FALSE(other.takes("acme"));
}

}  // namespace
}  // namespace leadsync::postgres
