#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "connectors/postgres/listener.hpp"
#include "daemon/daemon.hpp"
#include "daemon/tasks.hpp"
#include "daemon/workspace_failures.hpp"
#include "tests/daemon/command_fixture.hpp"
#include "tests/support/eventually.hpp"

// What backfill and plan make of workspaces that fail, and of edits that do not move.

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

// --- one of several workspaces fails -------------------------------------------------------------------------------

constexpr auto unknown_key = "d3Jvbmcga2V5";
constexpr auto second_failed = R"("level":"error","message":"workspace second: )";

std::string last_line(std::string text) {
    while (text.ends_with('\n')) text.pop_back();
    return text.substr(text.rfind('\n') + 1);
}

bool holds(const std::string& text, const std::string& words) { return text.find(words) != std::string::npos; }

class TwoWorkspaces : public Command {
protected:
    void begin(int latency_ms) {
        sandbox::ServerSettings settings;
        settings.workspaces.front().leads = 60;
        settings.workspaces.push_back({.name = "second", .api_key = "second-key", .seed = 2, .leads = 40});
        settings.switches.latency_ms = latency_ms;
        settings.switches.rate_limit = false;
        server_.emplace(settings);
        instantly_.emplace(server_->port());
    }

    void configure(const std::string& key_of_second) {
        std::ofstream file{directory_.path() / "leadsync.yaml"};
        file << "database: { url: \"" << database_.url() << "\" }\nlog: { format: json }\nworkspaces:\n";
        const std::vector<std::pair<std::string, std::string>> keys{{"acme", "${SANDBOX_KEY}"},
                                                                    {"second", key_of_second}};
        for (const auto& [name, key] : keys)
            file << "  - name: " << name << "\n    api_key: " << key << "\n    base_url: " << server_->url()
                 << "\n    rate: { per_second: 100, per_minute: 6000, share: 1 }\n";
    }
};

TEST_F(TwoWorkspaces, ABackfillFinishesTheOneWhenTheOthersKeyIsWrong) {
    begin(50);
    configure(unknown_key);
    const auto backfill = run({"backfill"});
    EXPECT_EQ(backfill.status, 1);
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE workspace = 'acme'"), "60");
    EXPECT_EQ(value("SELECT state FROM crm.workspaces WHERE name = 'acme'"), "following");
    EXPECT_TRUE(holds(backfill.errors, second_failed)) << "told when it happens: " << backfill.errors;
    const auto told = last_line(backfill.errors);
    EXPECT_TRUE(told.starts_with("leadsync: 1 of 2 workspaces failed, the others are done: workspace second: "))
        << told;
    EXPECT_TRUE(holds(told, "401")) << told;

    configure("second-key");
    const auto mended = run({"backfill"});
    EXPECT_EQ(mended.status, 0) << mended.errors;
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE workspace = 'second'"), "40");
}

TEST_F(TwoWorkspaces, ASignalEndsABackfillAtOnceAndIsNoFailure) {
    begin(1000);
    configure(unknown_key);
    const auto backfill = start({"backfill"});
    ASSERT_TRUE(eventually([&] { return holds(backfill->errors(), second_failed); })) << backfill->errors();
    backfill->send(SIGTERM);
    EXPECT_EQ(backfill->wait(10s), 1);
    EXPECT_EQ(last_line(backfill->errors()), "interrupted; the next backfill goes on from here");
    EXPECT_FALSE(holds(backfill->errors(), R"("level":"error","message":"workspace acme: )")) << backfill->errors();
    EXPECT_EQ(value("SELECT count(*) FROM crm.workspaces WHERE backfilled_at IS NOT NULL"), "0");
}

TEST_F(TwoWorkspaces, APlanTellsTheOneWhenTheOthersKeyIsWrong) {
    begin(50);
    configure("second-key");
    ASSERT_EQ(run({"backfill"}).status, 0);
    sql("UPDATE crm.leads SET phone = '2' WHERE id = "
        "(SELECT min(id::text)::uuid FROM crm.leads WHERE workspace = 'acme')");
    configure(unknown_key);
    const auto text = run({"plan"});
    EXPECT_EQ(text.status, 1);
    EXPECT_TRUE(holds(text.output, "to Instantly: PATCH: 1")) << text.output;
    const auto told = last_line(text.errors);
    EXPECT_TRUE(told.starts_with("leadsync: 1 of 2 workspaces failed, the others are done: workspace second: "))
        << told;
    EXPECT_TRUE(holds(told, "401")) << told;

    const auto json = nlohmann::json::parse(run({"plan", "--json"}).output);
    ASSERT_EQ(json.size(), 1U);
    EXPECT_EQ(json.at(0).at("workspace"), "acme");
}

class SideBySide : public testing::Test {
protected:
    /// Runs the workspaces side by side. What they ended by.
    std::exception_ptr run(std::vector<asio::awaitable<void>> workspaces) {
        std::exception_ptr ended;
        asio::co_spawn(io_, all(std::move(workspaces)), [&](std::exception_ptr error) { ended = std::move(error); });
        io_.run();
        return ended;
    }

    asio::awaitable<void> fails(const char* why) {
        co_await clock_.sleep_for(1ms);
        throw std::runtime_error{why};
    }

    asio::awaitable<void> loses_its_lock() {
        co_await clock_.sleep_for(1ms);
        throw postgres::WorkspaceTaken{"workspace acme is driven by another leadsync"};
    }

    asio::io_context io_{1};
    SystemClock clock_;
    WorkspaceFailures failures_;
};

TEST_F(SideBySide, FailuresAreToldInOneLineByReason) {
    spdlog::set_level(spdlog::level::off);
    std::vector<asio::awaitable<void>> workspaces;
    workspaces.push_back(failures_.watch("acme", fails("no answer")));
    workspaces.push_back(failures_.watch("second", clock_.sleep_for(20ms)));
    workspaces.push_back(failures_.watch("third", fails("no answer")));
    workspaces.push_back(failures_.watch("fourth", fails("no key")));
    EXPECT_FALSE(run(std::move(workspaces)));
    try {
        failures_.throw_if_any();
        FAIL() << "nothing was told";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(),
                     "3 of 4 workspaces failed, the others are done: workspaces acme, third: no answer; "
                     "workspace fourth: no key");
    }
}

TEST_F(SideBySide, ALostLockEndsAllWorkspacesAtOnceAndTheOthersHaveNotFailed) {
    std::vector<asio::awaitable<void>> workspaces;
    workspaces.push_back(failures_.watch("acme", loses_its_lock()));
    workspaces.push_back(failures_.watch("second", clock_.sleep_for(1h)));
    const auto ended = run(std::move(workspaces));
    ASSERT_TRUE(ended);
    EXPECT_THROW(std::rethrow_exception(ended), postgres::WorkspaceTaken);
    EXPECT_NO_THROW(failures_.throw_if_any());
}

// --- edits that do not move ----------------------------------------------------------------------------------------

/// A world in step, and drains whose patience is short.
class OneShotDrain : public Command {
protected:
    void begin() {
        spdlog::set_level(spdlog::level::off);
        serve(120);
        WorkspaceConfig workspace{
            .name = "acme", .api_key = Secret{sandbox::WorkspaceSettings{}.api_key}, .base_url = server_->url()};
        workspace.rate = {.per_second = 100, .per_minute = 6000, .share = 1};
        workspace.guard = {.deletes = {}, .creates = {}, .changes = {}};
        config_.database.url = Secret{database_.url()};
        config_.workspaces.push_back(workspace);
        options_.timing.poll = 100ms;
        options_.timing.read_back = 50ms;
        options_.timing.busy = 50ms;
        options_.timing.backoff = {50ms, 500ms};
        options_.timing.pause = {1s, 1s};
        options_.timing.creates_hold = 500ms;
        ASSERT_EQ(drain(30s), "");
        instantly_->reset_log();
    }

    /// A complete sweep, then until nothing is pending. What it failed by; empty: it is done.
    std::string drain(std::chrono::seconds patience = 2s) {
        options_.patience = patience;
        Daemon daemon{config_, options_};
        try {
            EXPECT_TRUE(daemon.backfill({}, true));
        } catch (const std::runtime_error& error) {
            return error.what();
        }
        return "";
    }

    void edit(int leads, const std::string& assignments = "phone = '+1 edited'") {
        sql("UPDATE crm.leads SET " + assignments
            + " WHERE id IN (SELECT id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL ORDER BY id "
              "LIMIT "
            + std::to_string(leads) + ")");
    }

    std::string synced() {
        return value("SELECT count(*) FROM crm.leads WHERE phone = '+1 edited' AND sync_status = 'synced'");
    }

    Config config_;
    SyncOptions options_;
};

TEST_F(OneShotDrain, EndsWhenTheKeyMayNotWriteAndLosesNoEdit) {
    begin();
    instantly_->add_fault({{"kind", "status"}, {"status", 403}, {"method", "PATCH"}});
    edit(3);
    const auto failure = drain();
    EXPECT_TRUE(failure.starts_with("workspace acme: 3 edits are left, nothing has moved for 2.0 s: PATCH "))
        << failure;
    EXPECT_TRUE(holds(failure, "403")) << failure;
    EXPECT_TRUE(failure.ends_with("; see to that, then drain again: what is left stays queued")) << failure;
    instantly_->clear_faults();
    EXPECT_EQ(drain(), "");
    EXPECT_EQ(synced(), "3");
}

TEST_F(OneShotDrain, EndsWhenThePlanHasNoRoom) {
    begin();
    instantly_->set_switches({{"plan_limit", 120}});
    sql("INSERT INTO crm.leads (workspace, email, campaign) "
        "SELECT workspace, 'room@acme.io', campaign FROM crm.leads WHERE campaign IS NOT NULL LIMIT 1");
    const auto failure = drain();
    EXPECT_TRUE(
        failure.starts_with("workspace acme: 1 edit is left, nothing has moved for 2.0 s: creates are held: "))
        << failure;
    EXPECT_TRUE(holds(failure, "Lead limit")) << failure;
    instantly_->set_switches({{"plan_limit", -1}});
    EXPECT_EQ(drain(), "");
    EXPECT_EQ(value("SELECT sync_status FROM crm.leads WHERE email = 'room@acme.io'"), "synced");
}

TEST_F(OneShotDrain, EndsWhenTheStoreDoesNotLetItWork) {
    begin();
    edit(1);
    sql("ALTER TABLE sync.queue ADD CONSTRAINT nothing_is_leased CHECK (lease_token IS NULL)");
    const auto failure = drain();
    EXPECT_TRUE(failure.starts_with("workspace acme: 1 edit is left, nothing has moved for 2.0 s: PostgreSQL: "))
        << failure;
    EXPECT_TRUE(holds(failure, "nothing_is_leased")) << failure;
    sql("ALTER TABLE sync.queue DROP CONSTRAINT nothing_is_leased");
    EXPECT_EQ(drain(), "");
    EXPECT_EQ(synced(), "1");
}

// More than are called at once: the rest of the batch waits for its turn, and the drain for the batch.
TEST_F(OneShotDrain, EndsInTheMidstOfABatchThatARateLimitHolds) {
    begin();
    instantly_->add_fault({{"kind", "status"}, {"status", 429}, {"retry_after_s", 3600}, {"method", "PATCH"}});
    edit(20);
    const auto failure = drain();
    EXPECT_TRUE(
        failure.starts_with("workspace acme: 20 edits are left, nothing has moved for 2.0 s: "
                            "Instantly has answered 429 and asks for no request before "))
        << failure;
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL"), "0");
}

TEST_F(OneShotDrain, WaitsForALockThatIsLetGoOfAndEndsWhenItIsNot) {
    begin();
    nlohmann::json lock{{"kind", "status"}, {"status", 409}, {"method", "PATCH"}};
    lock["count"] = 3;
    instantly_->add_fault(lock);
    edit(2);
    EXPECT_EQ(drain(), "");
    EXPECT_EQ(synced(), "2");
    lock["count"] = -1;
    instantly_->add_fault(lock);
    edit(2, "phone = '+1 locked'");
    const auto failure = drain();
    EXPECT_TRUE(failure.starts_with("workspace acme: 2 edits are left, nothing has moved for 2.0 s: ")) << failure;
    EXPECT_TRUE(holds(failure, "leadsync queue list")) << failure;
}

TEST_F(OneShotDrain, IsNotKilledByASignalThatComesWhenItIsOver) {
    begin();
    Daemon daemon{config_, options_};
    EXPECT_TRUE(daemon.backfill({}, true));
    struct sigaction now {};
    ::sigaction(SIGTERM, nullptr, &now);
    EXPECT_TRUE(now.sa_handler != SIG_DFL) << "what is left may be being returned";
}

TEST_F(OneShotDrain, GoesOnForAsLongAsWritesAreAccepted) {
    begin();
    config_.workspaces.front().rate.per_second = 4;
    edit(20);
    const auto since = std::chrono::steady_clock::now();
    EXPECT_EQ(drain(3s), "");
    EXPECT_GT(std::chrono::steady_clock::now() - since, 5s) << "four a second";
    EXPECT_EQ(synced(), "20");
}

TEST_F(OneShotDrain, GoesOnForAsLongAsLessIsLeft) {
    begin();
    edit(12);
    ASSERT_EQ(drain(30s), "");
    edit(12, "phone = 'for a moment'");
    edit(12);
    instantly_->reset_log();
    instantly_->set_switches({{"latency_ms", 400}});
    options_.timing.batch = 1;
    EXPECT_EQ(drain(), "");
    std::size_t looks = 0;
    for (const auto& request : instantly_->requests("/leads/list"))
        if (nlohmann::json::parse(request.value("body", "{}")).contains("ids")) ++looks;
    EXPECT_GE(looks, 12U) << "one after the other, they take longer than the drain's patience";
    for (const auto& request : instantly_->requests()) EXPECT_NE(request.at("method"), "PATCH");
}

}  // namespace
}  // namespace leadsync::daemon
