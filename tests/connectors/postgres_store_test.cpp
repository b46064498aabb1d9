#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/leads.hpp"
#include "connectors/postgres/progress.hpp"
#include "connectors/postgres/queue.hpp"
#include "connectors/postgres/store.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "tests/support/test_database.hpp"

// What only PostgreSQL can show: the contract of all stores is in store_contract.cpp.

namespace leadsync::postgres {
namespace {

using namespace std::chrono_literals;

const sync::LeadId edited{"aaaaaaaa-0000-4000-8000-000000000001"};
const sync::LeadId other{"aaaaaaaa-0000-4000-8000-000000000002"};

/// Of a table, on this connection and lately: it is the difference that tells.
std::int64_t rows_read(pqxx::work& transaction, const std::string& table) {
    return transaction
        .exec_params1(
            "SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_xact_user_tables "
            "WHERE relid = $1::text::regclass",
            table)[0]
        .as<std::int64_t>();
}

TEST(PostgresStore, WaitsForTheDiskAtTheEndOfARangeButNotAtEachOfItsPages) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) { Workspaces::declare(transaction, {"acme"}); });
    const std::string workspace{"acme"};
    const auto mode_after = [&](auto step) {
        return leadsync.run_blocking([&](pqxx::work& transaction) {
            transaction.exec("SET LOCAL synchronous_commit = 'remote_write'");
            Progress progress{transaction, workspace};
            const auto state = progress.open_sweep(100, 1);
            EXPECT_EQ(state.open.size(), 1);
            if (!state.open.empty()) step(progress, state.open.front());
            return transaction.exec1("SELECT current_setting('synchronous_commit')")[0].template as<std::string>();
        });
    };
    const auto page = [](Progress& progress, const store::SweepRange& range) {
        progress.advance_range(range, edited.text, {});
    };
    const auto end = [](Progress& progress, const store::SweepRange& range) { progress.finish_range(range, {}); };
    EXPECT_EQ(mode_after(page), "off");
    EXPECT_EQ(mode_after(end), "remote_write");
}

TEST(PostgresStore, DoesNotWaitForAnOpenTransactionThatQueuesTheLeadItself) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params(
            "INSERT INTO crm.leads (workspace, id, email, list_id) VALUES ('acme', $1, 'ada@acme.io', "
            "gen_random_uuid())",
            edited.text);
    });
    Store store{leadsync, "acme"};
    pqxx::connection user{database.url()};
    pqxx::work edit{user};
    edit.exec("UPDATE crm.leads SET first_name = 'Ada'");

    const auto began = std::chrono::steady_clock::now();
    store.run_blocking([&](store::Transaction& transaction) {
        EXPECT_EQ(transaction.queue.look_again({edited, other}, 1h), std::vector{edited});
    });
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    edit.commit();
    store.run_blocking([](store::Transaction& transaction) {
        const auto due = transaction.queue.claim(10, 1min, true);
        ASSERT_EQ(due.size(), 1);
        EXPECT_EQ(due.front().id, edited) << "queued by the edit";
        transaction.queue.complete(due);
        EXPECT_FALSE(transaction.queue.is_idle()) << "the other, which nobody else queued";
    });
}

TEST(PostgresStore, ARowThatIsDeletedBetweenTwoLooksIsNotBroughtBack) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    const sync::InstantlyId lead{edited.text};
    leadsync.run_blocking([&](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec("SET LOCAL leadsync.origin = 'sync'");
        transaction.exec_params(
            "INSERT INTO crm.leads (workspace, id, instantly_id, email) VALUES ('acme', $1, $1, 'a@b.c')",
            edited.text);
        transaction.exec_params(
            "INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash) VALUES ('acme', $1, $1, "
            "'{}', 1)",
            edited.text);
    });
    Store store{leadsync, "acme"};
    pqxx::connection user{database.url()};
    pqxx::work deletion{user};
    store.run_blocking([&](store::Transaction& transaction) {
        EXPECT_FALSE(transaction.leads.look_up({lead}).at(lead.text).tombstone);
        deletion.exec("DELETE FROM crm.leads");
        EXPECT_TRUE(transaction.leads.load({lead}, store::Lock::rows, sync::Instant{}).empty()) << "locked";
        deletion.commit();
        EXPECT_TRUE(transaction.leads.here_or_deleted({edited}).contains(edited.text));
    });
}

/// Prepared statements keep their plans: what was best for a few leads would read a million for each claim.
TEST(PostgresStore, ClaimsFromAQueueThatHasGrownWithoutReadingAllOfIt) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    const auto edit = [&](int leads) {
        leadsync.run_blocking([&](pqxx::work& transaction) {
            transaction.exec_params(
                "INSERT INTO sync.queue (workspace, lead_id, edited_at) SELECT 'acme', gen_random_uuid(), now() "
                "FROM generate_series(1, $1)",
                leads);
        });
    };
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec("ALTER TABLE sync.queue SET (autovacuum_enabled = false)");
    });
    edit(20);
    leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("ANALYZE sync.queue"); });
    const store::Allowed allowed{
        {store::HoldKind::create, 1'000}, {store::HoldKind::change, 100'000}, {store::HoldKind::remove, 1'000}};
    const std::string workspace = "acme";  // which a Queue refers to
    const auto rows_read_by_a_claim = [&](bool has_grown) {
        return leadsync.run_blocking([&](pqxx::work& transaction) {
            const auto rows_read = [&] {
                return transaction
                    .exec1(
                        "SELECT seq_tup_read FROM pg_stat_xact_user_tables "
                        "WHERE relid = 'sync.queue'::regclass")[0]
                    .as<int>();
            };
            Queue queue{transaction, workspace};
            if (has_grown) queue.has_grown();
            const auto before = rows_read();
            EXPECT_TRUE(queue.claim_within(allowed, 100, 1min, true, std::nullopt));
            return rows_read() - before;
        });
    };
    for (int plans = 0; plans < 10; ++plans) rows_read_by_a_claim(false);
    edit(20'000);
    EXPECT_GT(rows_read_by_a_claim(false), 20'000) << "there is nothing to be mended any more";
    EXPECT_EQ(rows_read_by_a_claim(true), 0);
    EXPECT_EQ(rows_read_by_a_claim(false), 0) << "and so it stays";
}

/// A page's leads are looked for by their emails: rows without a lead may be as many as leads.
TEST(PostgresStore, LooksForRowsToAdoptWithoutReadingAllThatHaveNoLead) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    const auto insert = [&](int from, int to) {
        leadsync.run_blocking([&](pqxx::work& transaction) {
            transaction.exec_params(
                "INSERT INTO crm.leads (workspace, id, email, list_id) SELECT 'acme', gen_random_uuid(), "
                "'contact' || n || '@acme.io', $3 FROM generate_series($1::int, $2::int) n",
                from, to, other.text);
        });
    };
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec("ALTER TABLE crm.leads SET (autovacuum_enabled = false)");
    });
    insert(1, 20);
    leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("ANALYZE crm.leads"); });
    std::vector<store::Identity> page;
    for (int n = 0; n < 10; ++n) {
        const auto number = std::to_string(n);
        const sync::InstantlyId id{"dddddddd-0000-4000-8000-00000000000" + number};
        page.push_back({id, n < 8 ? sync::Value{"Contact" + number + "@acme.io"} : std::nullopt, std::nullopt,
                        other.text, std::nullopt});
    }
    const std::string workspace = "acme";
    const auto rows_read_by_a_look = [&] {
        return leadsync.run_blocking([&](pqxx::work& transaction) {
            const auto before = rows_read(transaction, "crm.leads");
            EXPECT_EQ((Leads{transaction, workspace}.adoptable(page, store::Lock::rows).size()), 7);
            return rows_read(transaction, "crm.leads") - before;
        });
    };
    for (int plans = 0; plans < 10; ++plans) rows_read_by_a_look();
    insert(21, 20'000);
    EXPECT_LT(rows_read_by_a_look(), 100);
    leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("ANALYZE crm.leads"); });
    EXPECT_LT(rows_read_by_a_look(), 100) << "whatever is known of the rows";
}

/// Of every page it is asked whether a lead of it was taken for gone, and a million of those may wait for an
/// operator.
TEST(PostgresStore, FindsLeadsThatAreBackWithoutReadingAllThatAreGone) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec(
            "INSERT INTO sync.absent (workspace, lead_id, instantly_id, confirmed_at) SELECT 'acme', id, id, "
            "CASE WHEN n % 2 = 0 THEN now() END FROM (SELECT n, gen_random_uuid() AS id "
            "FROM generate_series(1, 20000) n) ids");
    });
    leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("ANALYZE sync.absent"); });
    sync::LeadRow lead{.id = edited, .instantly_id = {other.text}};
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        Leads leads{transaction, workspace};
        const auto before = rows_read(transaction, "sync.absent");
        leads.insert(std::vector{lead});
        leads.update(std::vector{lead});
        EXPECT_FALSE((leads.look_up(store::Stretch{}, 10).is_settled));
        EXPECT_EQ(leads.absent(store::Absence::sweep, 10).size(), 10);
        EXPECT_LT(rows_read(transaction, "sync.absent") - before, 100);
    });
}

void insert_leads(Database& leadsync, int count) {
    leadsync.run_blocking([&](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec(
            "ALTER TABLE crm.leads SET (autovacuum_enabled = false); "
            "ALTER TABLE sync.base SET (autovacuum_enabled = false)");
        transaction.exec_params(
            "INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash) "
            "SELECT 'acme', gen_random_uuid(), gen_random_uuid(), '{}', 1 FROM generate_series(1, $1::int)",
            count);
        transaction.exec(
            "INSERT INTO crm.leads (workspace, id, instantly_id, sync_status) "
            "SELECT workspace, lead_id, instantly_id, 'synced' FROM sync.base");
    });
}

/// Triggers refuse it, but a table can be loaded without them.
TEST(PostgresStore, ReadsANumberBeyondADoubleAsText) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    insert_leads(leadsync, 1);
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        transaction.exec(
            R"(UPDATE crm.leads SET custom_variables = '{"a\"1e9": "7e999 \\\\", "b": -7e999, "c": 1.5}')");
        const sync::InstantlyId id{transaction.exec1("SELECT instantly_id FROM crm.leads")[0].c_str()};
        const auto known = Leads{transaction, workspace}.load({id}, store::Lock::none, sync::Instant{});
        ASSERT_EQ(known.size(), 1);
        const auto& variables = known[0].local.custom_variables;
        EXPECT_EQ(variables.at("a\"1e9"), "7e999 \\\\");
        EXPECT_EQ(variables.at("b"), "-7" + std::string(999, '0'));
        EXPECT_EQ(variables.at("c"), 1.5);
    });
}

/// A first backfill writes a table of which nothing is known yet.
TEST(PostgresStore, TakesInNewLeadsWithoutReadingAllRows) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    insert_leads(leadsync, 20'000);
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        Leads leads{transaction, workspace};
        std::vector<sync::LeadId> ids(99, other);
        ids.push_back({transaction.exec1("SELECT id FROM crm.leads LIMIT 1")[0].c_str()});
        std::vector<sync::InstantlyId> new_leads;
        std::vector<store::Identity> page;
        for (int n = 100; n < 200; ++n) {
            const auto number = std::to_string(n);
            new_leads.push_back({"dddddddd-0000-4000-8000-000000000" + number});
            page.push_back({new_leads.back(), "new" + number + "@acme.io", std::nullopt, other.text, std::nullopt});
        }
        const auto read = [&] { return rows_read(transaction, "crm.leads") + rows_read(transaction, "sync.base"); };
        const auto before = read();
        EXPECT_TRUE(leads.rows_without_base(new_leads, store::Lock::rows).empty());
        EXPECT_LT(read() - before, 200);
        EXPECT_TRUE(leads.adoptable(page, store::Lock::rows).empty());
        EXPECT_LT(read() - before, 200);
        EXPECT_EQ(leads.taken(ids), std::unordered_set{ids.back().text});
        EXPECT_LT(read() - before, 200);
    });
}

/// The planner can't tell how many ids are between two of them.
TEST(PostgresStore, RepairComparesEachRowWithItsOwnBase) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    insert_leads(leadsync, 20'000);
    leadsync.run_blocking([](pqxx::work& transaction) { transaction.exec("ANALYZE crm.leads, sync.base"); });
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        Leads leads{transaction, workspace};
        const auto before = rows_read(transaction, "crm.leads");
        store::Repaired repaired;
        for (int part = 0; part < 10; ++part) {
            repaired = leads.repair(repaired.last, 100);
            EXPECT_EQ(repaired.shown_anew + repaired.edited, 0);
        }
        EXPECT_EQ(rows_read(transaction, "crm.leads") - before, 1000);
    });
}

TEST(PostgresStore, DoesNotAdoptARowThatIsBeingSetElsewhereNorWaitsForIt) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params(
            "INSERT INTO crm.leads (workspace, id, email, list_id) VALUES ('acme', $1, 'ada@acme.io', $1), "
            "('acme', $2, 'joan@acme.io', $1)",
            edited.text, other.text);
    });
    pqxx::connection user{database.url()};
    pqxx::work edit{user};
    edit.exec_params("UPDATE crm.leads SET list_id = $2 WHERE id = $1", edited.text, other.text);
    const std::vector<store::Identity> page{
        {{"dddddddd-0000-4000-8000-000000000001"}, "ada@acme.io", std::nullopt, edited.text, std::nullopt},
        {{"dddddddd-0000-4000-8000-000000000002"}, "joan@acme.io", std::nullopt, edited.text, std::nullopt}};
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        const auto found = Leads{transaction, workspace}.adoptable(page, store::Lock::rows);
        ASSERT_EQ(found.size(), 2);
        const auto& being_set = found.at(page[0].instantly_id.text);
        EXPECT_TRUE(being_set.is_being_written && being_set.id == edited);
        const auto& free = found.at(page[1].instantly_id.text);
        EXPECT_TRUE(!free.is_being_written && free.id == other);
    });
    edit.commit();
    leadsync.run_blocking([&](pqxx::work& transaction) {
        const std::string workspace = "acme";
        const auto found = Leads{transaction, workspace}.adoptable(page, store::Lock::rows);
        EXPECT_FALSE(found.contains(page[0].instantly_id.text)) << "it is to be elsewhere by now";
    });
}

/// Whoever edits a lead in hand, in a transaction that stays open, has its place in the queue.
TEST(PostgresStore, WaitsForNoRowThatSomebodyIsWriting) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params(
            "INSERT INTO crm.leads (workspace, id, instantly_id, email, status, sync_status) "
            "SELECT 'acme', id, id, id || '@acme.io', 1, 'synced' FROM unnest($1::uuid[]) id",
            "{" + edited.text + "," + other.text + "}");
        transaction.exec("INSERT INTO sync.queue (workspace, lead_id) SELECT workspace, id FROM crm.leads");
    });
    Store store{leadsync, "acme"};
    std::vector<store::Claim> claims;
    store.run_blocking([&](store::Transaction& transaction) { claims = transaction.queue.claim(2, 1min, true); });
    ASSERT_EQ(claims.size(), 2U);
    pqxx::connection user{database.url()};
    pqxx::work writing{user};
    writing.exec_params("UPDATE crm.leads SET phone = '+1' WHERE id = $1", edited.text);
    const auto ids = std::vector{edited, other};
    std::vector<store::Claim> left;
    store.run_blocking([&](store::Transaction& transaction) {
        EXPECT_EQ(transaction.leads.lock_free(ids), std::unordered_set<std::string>{edited.text});
        left = transaction.queue.give_back(claims, 0ms);
    });
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left.front().id, edited);
    std::vector<store::Claim> of_before;
    store.run_blocking([&](store::Transaction& transaction) { of_before = transaction.queue.release_all(); });
    ASSERT_EQ(of_before.size(), 1U);
    EXPECT_EQ(of_before.front().id, edited);
    EXPECT_EQ(of_before.front().lease_token, left.front().lease_token);
    writing.commit();
    store.run_blocking([&](store::Transaction& transaction) {
        EXPECT_TRUE(transaction.leads.lock_free(ids).empty());
        EXPECT_TRUE(transaction.queue.give_back(of_before, 1h).empty());
        EXPECT_EQ(transaction.queue.claim(2, 1min, true).size(), 2U) << "edited since: due at once";
    });
}

/// What an edit at rest is claimed by: durable at once, known by its token, and no more than the one statement.
TEST(PostgresStore, ClaimsByASingleStatementOutsideATransaction) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params("INSERT INTO sync.queue (workspace, lead_id) VALUES ('acme', $1), ('acme', $2)",
                                edited.text, other.text);
    });
    Store store{leadsync, "acme"};
    pqxx::connection onlooker{database.url()};
    const auto leased_by = [&](std::int64_t token) {
        pqxx::nontransaction look{onlooker};
        return look.exec_params1("SELECT count(*) FROM sync.queue WHERE lease_token = $1", token)[0].as<int>();
    };
    boost::asio::io_context io;
    const auto claim = [&](store::Transaction& transaction, std::int64_t token) {
        const auto claims = transaction.queue.claim_within({}, 1, 1min, true, token);
        EXPECT_EQ(claims.value().size(), 1);
        EXPECT_EQ(leased_by(token), 1) << "seen by others before the scope ends";
    };
    auto one = store.run_statement([&](store::Transaction& transaction) { claim(transaction, 71); });
    auto two = store.run_statement([&](store::Transaction& transaction) {
        claim(transaction, 72);
        transaction.queue.release_lease(72);
    });
    auto first = boost::asio::co_spawn(io, std::move(one), boost::asio::use_future);
    io.run();
    EXPECT_NO_THROW(first.get());
    io.restart();
    auto second = boost::asio::co_spawn(io, std::move(two), boost::asio::use_future);
    io.run();
    EXPECT_THROW(second.get(), std::logic_error);
    EXPECT_EQ(leased_by(72), 1) << "the first was carried out";
}

TEST(PostgresStore, ReturnsALeaseWithoutWaitingForWhoIsWriting) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params(
            "INSERT INTO sync.queue (workspace, lead_id, lease_token, lease_until) "
            "VALUES ('acme', $1, 7, now() + interval '1 minute'), ('acme', $2, 7, now() + interval '1 minute')",
            edited.text, other.text);
    });
    pqxx::connection user{database.url()};
    pqxx::work writing{user};
    writing.exec_params("UPDATE sync.queue SET generation = generation + 1 WHERE lead_id = $1", edited.text);
    Store store{leadsync, "acme"};
    boost::asio::io_context io;
    auto task = store.run([](store::Transaction& transaction) { return transaction.queue.release_lease(7); });
    auto outcome = boost::asio::co_spawn(io, std::move(task), boost::asio::use_future);
    io.run();
    const auto left = outcome.get();
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left.front().id, edited);
    EXPECT_EQ(left.front().lease_token, 7) << "so that it can be given back later";
}

/// A row that was inserted anew for a person whose row was deleted takes the lead, not the tombstone.
TEST(PostgresStore, BuriesNoLeadThatIsBeingTiedToARow) {
    const test_support::TestDatabase database;
    Database leadsync{database.url(), 1};
    const std::string campaign{"cccccccc-0000-4000-8000-000000000001"};
    const std::string lead{"bbbbbbbb-0000-4000-8000-000000000001"};
    leadsync.run_blocking([&](pqxx::work& transaction) {
        Workspaces::declare(transaction, {"acme"});
        transaction.exec_params(
            "INSERT INTO sync.creates (workspace, lead_id, attempted_at, last_attempt_at, campaign, last_campaign, "
            "email) VALUES ('acme', $1, '2026-01-02 03:04:05Z', '2026-01-02 03:04:05Z', $2, $2, 'ada@acme.io')",
            edited.text, campaign);
        transaction.exec_params("INSERT INTO sync.queue (workspace, lead_id, kind) VALUES ('acme', $1, 'delete')",
                                edited.text);
    });
    Store store{leadsync, "acme"};
    const std::vector<store::Identity> leads{{.instantly_id = {lead},
                                              .email = "ada@acme.io",
                                              .campaign = campaign,
                                              .created = "2026-01-02T03:04:06.000Z"}};
    const auto bury = [&] {
        boost::asio::io_context io;
        auto task =
            store.run([&](store::Transaction& transaction) { return transaction.leads.bury_withdrawn(leads); });
        auto outcome = boost::asio::co_spawn(io, std::move(task), boost::asio::use_future);
        io.run();
        return outcome.get();
    };
    pqxx::connection other_connection{database.url()};
    pqxx::work adopting{other_connection};
    adopting.exec_params(
        "INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash) VALUES ('acme', $1, $2, "
        "'{}', 1)",
        other.text, lead);
    std::jthread committing{[&] {
        std::this_thread::sleep_for(100ms);
        adopting.commit();
    }};
    EXPECT_TRUE(bury().empty());
    committing.join();
    leadsync.run_blocking([&](pqxx::work& transaction) { transaction.exec("DELETE FROM sync.base"); });
    EXPECT_EQ(bury().size(), 1U) << "it was that other row that kept it";
}

TEST(PostgresStore, TellsOfALostServerAsAStoreError) {
    Database nowhere{"postgresql://leadsync@127.0.0.1:1/crm", 1};
    Store store{nowhere, "acme"};
    boost::asio::io_context io;
    auto outcome = boost::asio::co_spawn(
        io, store.run([](store::Transaction& transaction) { return transaction.queue.is_idle(); }),
        boost::asio::use_future);
    io.run();
    EXPECT_THROW(outcome.get(), store::StoreError);
}

}  // namespace
}  // namespace leadsync::postgres
