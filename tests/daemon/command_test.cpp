#include <csignal>
#include <fstream>
#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/server.hpp"
#include "tests/support/agreement.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;
using test_support::Process;

/// The program itself, as a user starts it.
class Command : public testing::Test {
protected:
    void write_config(const std::string& extra = "", const std::string& workspace_extra = "") {
        std::ofstream file{directory_.path() / "leadsync.yaml"};
        file << "database: { url: \"" << database_.url() << "\" }\nlog: { format: json }\n"
             << extra << "workspaces:\n  - name: acme\n    api_key: ${SANDBOX_KEY}\n    base_url: " << server_->url()
             << "\n    rate: { per_second: 100, per_minute: 6000, share: 1 }\n"
             << workspace_extra;
    }

    void serve(std::uint32_t leads, int latency_ms = 0) {
        sandbox::ServerSettings settings;
        settings.workspaces.front().leads = leads;
        settings.switches.latency_ms = latency_ms;
        settings.switches.rate_limit = false;
        server_.emplace(settings);
        instantly_.emplace(server_->port());
        write_config();
    }

    std::unique_ptr<Process> start(std::vector<std::string> arguments,
                                   std::string key = sandbox::WorkspaceSettings{}.api_key) {
        arguments.insert(arguments.begin(), LEADSYNC_PROGRAM);
        return std::make_unique<Process>(
            arguments, test_support::ProcessOptions{.environment = {{"SANDBOX_KEY", std::move(key)}},
                                                    .folder = directory_.path()});
    }

    struct Outcome {
        int status;
        std::string output;
        std::string errors;
    };
    Outcome run(const std::vector<std::string>& arguments,
                const std::string& key = sandbox::WorkspaceSettings{}.api_key) {
        const auto process = start(arguments, key);
        const auto status = process->wait(60s);
        return {status.value_or(-1), process->output(), process->errors()};
    }

    std::string value(const std::string& query) {
        pqxx::connection connection{database_.url()};
        pqxx::work transaction{connection};
        const auto rows = transaction.exec(query);
        return rows.empty() ? "no row" : rows[0][0].as<std::string>("null");
    }

    test_support::TemporaryDirectory directory_;
    test_support::TestDatabase database_{test_support::TestDatabase::Contents::nothing};
    std::optional<sandbox::Server> server_;
    std::optional<sandbox::ControlClient> instantly_;
};

TEST_F(Command, BackfillTellsItsProgressAndStatusTellsWhatCameOfIt) {
    serve(950);
    const auto backfill = run({"backfill"});
    EXPECT_EQ(backfill.status, 0) << backfill.errors;
    EXPECT_NE(backfill.output.find("950 of 950 leads, 11 pages"), std::string::npos) << backfill.output;
    EXPECT_NE(backfill.output.find("complete"), std::string::npos);

    const auto status = run({"status", "--json"});
    EXPECT_EQ(status.status, 0) << status.errors;
    const auto acme = nlohmann::json::parse(status.output).at(0);
    EXPECT_EQ(acme.at("leads"), 950);
    EXPECT_EQ(acme.at("state"), "following");
    EXPECT_EQ(acme.at("pending"), 0);
    EXPECT_NE(run({"status"}).output.find("every lead read within the last"), std::string::npos);
}

TEST_F(Command, ABackfillKilledAtAnyPageGoesOnFromItsCheckpoint) {
    serve(3000, 5);
    std::size_t killed = 0;
    for (const auto* pages : {"3", "9", "17"}) {
        const auto process = start({"backfill"});
        ASSERT_TRUE(eventually([&] {
            try {
                return value(std::string{"SELECT coalesce(max(pages), 0) >= "} + pages + " FROM sync.checkpoints")
                       == "t";
            } catch (const pqxx::failure&) {
                return false;  // the schema is not there yet
            }
        }));
        process->kill();
        ++killed;
    }
    const auto last = run({"backfill"});
    EXPECT_EQ(last.status, 0) << last.errors;
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads"), "3000");
    EXPECT_TRUE(test_support::differences(database_.url(), "acme", instantly_->all_leads()).empty());

    const auto pages = instantly_->requests("/leads/list").size();
    EXPECT_LE(pages, 31 + killed) << "no page twice but the one in flight at each kill";
}

TEST_F(Command, RunFollowsBothSidesAndEndsCleanlyOnSigterm) {
    serve(300);
    write_config("", "    freshness: { new: 200ms, rest: 1s }\n");
    const auto daemon = start({"run"});
    ASSERT_TRUE(eventually([&] {
        try {
            return value("SELECT backfilled_at IS NOT NULL FROM crm.workspaces") == "t";
        } catch (const pqxx::failure&) {
            return false;
        }
    })) << daemon->errors();
    pqxx::connection user{database_.url()};
    pqxx::nontransaction{user}.exec(
        "UPDATE crm.leads SET phone = '+1 from sql' WHERE id = (SELECT id FROM crm.leads WHERE campaign IS NOT NULL "
        "LIMIT 1)");
    EXPECT_TRUE(eventually(
        [&] { return value("SELECT sync_status FROM crm.leads WHERE phone = '+1 from sql'") == "synced"; }));

    const auto second = run({"run"});
    EXPECT_EQ(second.status, 1);
    EXPECT_NE(second.errors.find("driven by another leadsync"), std::string::npos) << second.errors;

    daemon->send(SIGTERM);
    EXPECT_EQ(daemon->wait(10s), 0) << daemon->errors();
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL"), "0");
    EXPECT_TRUE(test_support::differences(database_.url(), "acme", instantly_->all_leads()).empty());
}

TEST_F(Command, AnEditSurvivesAKillOfTheDaemonInTheMiddleOfItsPush) {
    serve(300);
    ASSERT_EQ(run({"backfill"}).status, 0);
    pqxx::connection user{database_.url()};
    instantly_->add_fault({{"kind", "hang"}, {"method", "PATCH"}, {"ms", 60000}, {"count", 1}});
    pqxx::nontransaction{user}.exec(
        "UPDATE crm.leads SET phone = '+1 survives' WHERE id = (SELECT id FROM crm.leads WHERE campaign IS NOT NULL "
        "LIMIT 1)");
    {
        const auto daemon = start({"run"});
        ASSERT_TRUE(eventually([&] {
            return value("SELECT count(*) FROM sync.base WHERE expected IS NOT NULL") == "1";
        })) << daemon->errors();
        daemon->kill();
    }
    // What was expected of the write that never came to be is waited for, and then it is sent again.
    pqxx::nontransaction{user}.exec("UPDATE sync.base SET expected_until = now() WHERE expected IS NOT NULL");
    const auto drained = run({"backfill", "--drain"});
    EXPECT_EQ(drained.status, 0) << drained.errors;
    EXPECT_TRUE(test_support::differences(database_.url(), "acme", instantly_->all_leads()).empty());
    EXPECT_EQ(value("SELECT sync_status FROM crm.leads WHERE phone = '+1 survives'"), "synced");
}

TEST_F(Command, CheckSaysOkOrWhatToDo) {
    serve(100);
    const auto good = run({"check"});
    EXPECT_EQ(good.status, 0) << good.output << good.errors;
    EXPECT_NE(good.output.find("ok    workspace acme: leads can be read"), std::string::npos) << good.output;
    const auto bad = run({"check"}, "d3Jvbmcga2V5");
    EXPECT_EQ(bad.status, 1);
    EXPECT_NE(bad.output.find("put a valid API key into api_key or api_key_file"), std::string::npos) << bad.output;
}

TEST_F(Command, NoSecretIsPrintedAnywhere) {
    serve(100);
    const std::string key = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    for (const auto* command : {"check", "backfill", "status"}) {
        const auto outcome = run({command}, key);
        EXPECT_EQ((outcome.output + outcome.errors).find(key), std::string::npos) << command;
    }
}

TEST_F(Command, WrongKeyAndUnreachableThingsAreOneLineWithStatusOne) {
    serve(10);
    const auto wrong_key = run({"backfill"}, "d3Jvbmcga2V5");
    EXPECT_EQ(wrong_key.status, 1);
    EXPECT_NE(wrong_key.errors.find("401"), std::string::npos) << wrong_key.errors;

    std::ofstream{directory_.path() / "leadsync.yaml"}
        << "database: { url: \"postgresql://nobody@127.0.0.1:1/none\" }\nworkspaces: [{ name: acme, api_key: "
           "\"${SANDBOX_KEY}\" }]\n";
    const auto no_database = run({"backfill"});
    EXPECT_EQ(no_database.status, 1);
    EXPECT_NE(no_database.errors.find("127.0.0.1"), std::string::npos) << no_database.errors;
    EXPECT_EQ(std::ranges::count(no_database.errors, '\n'), 1) << no_database.errors;
}

TEST_F(Command, WrongUsageIsStatusTwo) {
    serve(10);
    EXPECT_EQ(run({"bakfill"}).status, 2);
    EXPECT_EQ(run({}).status, 2);
    EXPECT_EQ(run({"run", "-c", "no-such-file.yaml"}).status, 2);
    EXPECT_EQ(run({"backfill", "--workspace", "other"}).status, 2);
    EXPECT_EQ(run({"--help"}).status, 0);
    EXPECT_EQ(run({"version"}).status, 0);
}

TEST_F(Command, MigrateBringsTheSchemaUpAndTellsIt) {
    serve(10);
    EXPECT_NE(run({"migrate", "--status"}).output.find("pending"), std::string::npos);
    EXPECT_NE(run({"migrate"}).output.find("applied"), std::string::npos);
    EXPECT_NE(run({"migrate"}).output.find("up to date"), std::string::npos);
    EXPECT_EQ(nlohmann::json::parse(run({"migrate", "--status", "--json"}).output).at(0).at("state"), "applied");
}

TEST_F(Command, WithoutADatabaseUrlItRunsItsOwnAndStopsIt) {
    serve(120);
    std::ofstream{directory_.path() / "leadsync.yaml"}
        << "data_dir: data\nworkspaces:\n  - { name: acme, api_key: \"${SANDBOX_KEY}\", base_url: \""
        << server_->url() << "\" }\n";
    std::filesystem::permissions(directory_.path(), std::filesystem::perms{0755});
    const auto backfill = run({"backfill"});
    EXPECT_EQ(backfill.status, 0) << backfill.errors;
    const auto status = run({"status", "--json"});
    EXPECT_EQ(status.status, 0) << status.errors;
    EXPECT_EQ(nlohmann::json::parse(status.output).at(0).at("leads"), 120);
    EXPECT_FALSE(std::filesystem::exists(directory_.path() / "data/postgres/data/postmaster.pid"));
}

}  // namespace
}  // namespace leadsync::daemon
