#include <csignal>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <utility>

#include "daemon/sweep.hpp"
#include "tests/daemon/command_fixture.hpp"
#include "tests/support/agreement.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

TEST_F(Command, BackfillTellsItsProgressAndStatusTellsWhatCameOfIt) {
    serve(950);
    const auto backfill = run({"backfill"});
    EXPECT_EQ(backfill.status, 0) << backfill.errors;
    EXPECT_NE(backfill.output.find("950 of 950 leads"), std::string::npos) << backfill.output;
    EXPECT_NE(backfill.output.find("complete"), std::string::npos);

    const auto status = run({"status", "--json"});
    EXPECT_EQ(status.status, 0) << status.errors;
    const auto acme = nlohmann::json::parse(status.output).at(0);
    EXPECT_EQ(acme.at("leads"), 950);
    EXPECT_EQ(acme.at("state"), "following");
    EXPECT_EQ(acme.at("driven"), false);
    EXPECT_EQ(acme.at("pending"), 0);
    for (const auto* left : {"dead_letters", "conflicts_open", "held"}) EXPECT_EQ(acme.at(left), 0) << left;
    EXPECT_EQ(acme.at("freshness").at("classes").at("rest").at("kept"), true);
    const auto told = run({"status"}).output;
    EXPECT_NE(told.find("  daemon     none runs: nothing is read or sent; the last sign"), std::string::npos) << told;
    EXPECT_NE(told.find("  freshness  new "), std::string::npos) << told;
    EXPECT_NE(told.find("all 950 at 1 h need 0.0; your share is "), std::string::npos) << told;
}

TEST_F(Command, ABackfillKilledAtAnyPageGoesOnFromItsCheckpoint) {
    serve(6000, 5);
    constexpr std::size_t in_flight = Reading{}.ranges_at_once;
    constexpr std::size_t fewest = 60;
    std::size_t kept = 0;
    for (const std::size_t pages : {5U, 20U, 40U}) {
        const auto process = start({"backfill"});
        ASSERT_TRUE(eventually([&] {
            try {
                kept = std::stoul(value("SELECT coalesce(sum(pages), 0) FROM sync.ranges"));
                return kept >= pages;
            } catch (const pqxx::failure&) {
                return false;  // the schema is not there yet
            }
        }));
        process->kill();
    }
    instantly_->reset_log();
    const auto last = run({"backfill"});
    EXPECT_EQ(last.status, 0) << last.errors;
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads"), "6000");
    EXPECT_TRUE(test_support::differences(database_.url(), "acme", instantly_->all_leads()).empty());
    EXPECT_LE(instantly_->requests("/leads/list").size(), fewest - kept + in_flight)
        << "no page twice but those in flight at the kill";
}

TEST_F(Command, ABackfillByCampaignKilledAtAnyPageGoesOnFromItsCheckpoints) {
    serve(3000, 20);
    instantly_->set_switches({{"unknown_cursor", "400"}});
    std::size_t fewest = 0;
    const auto counts = instantly_->counts();
    for (const auto* kind : {"campaigns", "lists"})
        for (const auto& [id, count] : counts.at(kind).items()) fewest += (count.get<std::size_t>() + 99) / 100 + 1;
    const std::size_t chains = counts.at("campaigns").size() + counts.at("lists").size();
    std::size_t kept = 0;
    for (const std::size_t pages : {8U, 16U, 24U}) {
        const auto process = start({"backfill"});
        ASSERT_TRUE(eventually([&] {
            try {
                kept =
                    std::stoul(value("SELECT coalesce(sum(pages), 0) FROM sync.ranges WHERE campaign IS NOT NULL "
                                     "OR list_id IS NOT NULL"));
                return kept >= pages;
            } catch (const pqxx::failure&) {
                return false;  // the schema is not there yet
            }
        }));
        process->kill();
    }
    instantly_->reset_log();
    const auto last = run({"backfill"});
    EXPECT_EQ(last.status, 0) << last.errors;
    EXPECT_NE(last.output.find("complete"), std::string::npos) << last.output;
    EXPECT_TRUE(test_support::differences(database_.url(), "acme", instantly_->all_leads()).empty());
    std::size_t read = 0;
    for (const auto& request : instantly_->requests("/leads/list")) {
        const auto body = nlohmann::json::parse(request.value("body", "{}"));
        if (body.contains("campaign") || body.contains("list_id")) ++read;
    }
    EXPECT_LE(read, fewest - kept + chains) << "no page twice but those in flight at the kill";
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

TEST_F(Command, RunWaitsForAServerThatIsNotUpYet) {
    serve(100);
    database_.accept_connections(false);
    const auto daemon = start({"run"});
    ASSERT_TRUE(eventually([&] { return daemon->errors().find("trying again") != std::string::npos; }))
        << daemon->errors();
    database_.accept_connections(true);
    EXPECT_TRUE(eventually([&] {
        try {
            return value("SELECT state FROM crm.workspaces") == "following";
        } catch (const pqxx::failure&) {
            return false;
        }
    })) << daemon->errors();
    database_.accept_connections(false);
    daemon->send(SIGTERM);
    EXPECT_EQ(daemon->wait(10s), 0) << "the server may go first: " << daemon->errors();
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

TEST_F(Command, CheckCallsADatabaseReachableOnlyWhenItIs) {
    serve(10);
    EXPECT_NE(run({"check"}).output.find("ok    database: reachable"), std::string::npos);
    database_.accept_connections(false);
    const auto away = run({"check"});
    EXPECT_EQ(away.status, 1);
    EXPECT_EQ(away.output.find("reachable"), std::string::npos) << away.output;
    EXPECT_NE(away.output.find("FAIL  database: "), std::string::npos) << away.output;
}

TEST_F(Command, StatusTellsOfAWorkspaceThatNobodyHasBegunWith) {
    serve(10);
    ASSERT_EQ(run({"backfill"}).status, 0);
    std::ofstream{directory_.path() / "leadsync.yaml", std::ios::app}
        << "  - name: second\n    api_key: another-key\n    base_url: " << server_->url() << "\n";
    const auto told = run({"status"});
    EXPECT_EQ(told.status, 0) << told.errors;
    EXPECT_NE(told.output.find("\nsecond\n  state      not known yet: "), std::string::npos) << told.output;
    EXPECT_NE(told.output.find("start leadsync, or let it reload its config"), std::string::npos) << told.output;
    const auto json = listed({"status"});
    ASSERT_EQ(json.size(), 2U);
    EXPECT_EQ(json.at(0).at("state"), "following");
    EXPECT_EQ(json.at(1).at("workspace"), "second");
    EXPECT_EQ(json.at(1).at("state"), "not known yet");
    EXPECT_EQ(json.at(1).at("driven"), false);
    EXPECT_TRUE(json.at(1).at("reason").get<std::string>().find("start leadsync") != std::string::npos);
}

/// The soft and the hard limit of open files.
std::pair<std::string, std::string> limits_of_files(pid_t process) {
    std::ifstream limits{"/proc/" + std::to_string(process) + "/limits"};
    const std::string name = "Max open files";
    for (std::string line; std::getline(limits, line);) {
        if (!line.starts_with(name)) continue;
        std::istringstream words{line.substr(name.size())};
        std::pair<std::string, std::string> found;
        words >> found.first >> found.second;
        return found;
    }
    return {};
}

TEST_F(Command, RunOpensAsManyFilesAsItMay) {
    serve(10);
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    auto fewer = before;
    fewer.rlim_cur = before.rlim_max / 2;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &fewer), 0);
    const auto daemon = start({"run"});
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_TRUE(eventually([&] {
        const auto [soft, hard] = limits_of_files(daemon->id());
        return !soft.empty() && soft == hard;
    }));
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
    EXPECT_NE(wrong_key.errors.find("leadsync: workspace acme: "), std::string::npos) << wrong_key.errors;

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
    EXPECT_EQ(run({"conflicts"}).status, 2);
    EXPECT_EQ(run({"conflicts", "resolve", "1"}).status, 2) << "--take is missing";
    EXPECT_EQ(run({"conflicts", "resolve", "1", "--take", "both"}).status, 2);
    EXPECT_EQ(run({"conflicts", "resolve", "--take", "local"}).status, 2) << "neither ids nor --all";
    EXPECT_EQ(run({"conflicts", "resolve", "--all", "--field", "fone", "--take", "local"}).status, 2);
    EXPECT_EQ(run({"held", "approve", "x"}).status, 2);
    EXPECT_EQ(run({"held", "approve", "1", "--kind", "create"}).status, 2) << "an id says it all";
    EXPECT_EQ(run({"held", "reject", "--all", "--kind", "merge"}).status, 2);
    EXPECT_EQ(run({"why"}).status, 2);
    EXPECT_EQ(run({"why", "ann@example.com", "fone"}).status, 2);
    EXPECT_EQ(run({"plan", "--workspace", "other"}).status, 2);
    EXPECT_EQ(std::ranges::count(run({"held", "reject", "--all", "--kind", "merge"}).errors, '\n'), 1);
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
