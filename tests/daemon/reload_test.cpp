#include <csignal>
#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <spdlog/spdlog.h>

#include "connectors/postgres/workspaces.hpp"
#include "daemon/daemon.hpp"
#include "daemon/fleet.hpp"
#include "tests/daemon/command_fixture.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/silent_names.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

/// SIGHUP: the config is read again, and the daemon becomes what it says.
class ReloadCommand : public Command {
protected:
    struct Listed {
        std::string name;
        std::string key;
        std::string more;
    };

    void begin(std::vector<Listed> workspaces) {
        sandbox::ServerSettings settings;
        settings.workspaces.front().leads = 60;
        settings.workspaces.push_back({.name = "second", .api_key = "second-key", .seed = 2, .leads = 40});
        settings.switches.rate_limit = false;
        server_.emplace(settings);
        instantly_.emplace(server_->port());
        write(workspaces);
        daemon_ = start({"run"});
        for (const auto& workspace : workspaces) ASSERT_TRUE(becomes(workspace.name, "following"));
    }

    void write(const std::vector<Listed>& workspaces) {
        std::ofstream file{directory_.path() / "leadsync.yaml"};
        file << "database: { url: \"" << database_.url() << "\" }\nlog: { format: json }\nworkspaces:\n";
        for (const auto& [name, key, more] : workspaces)
            file << "  - name: " << name << "\n    api_key: " << key << "\n    base_url: " << server_->url()
                 << "\n    rate: { per_second: 100, per_minute: 6000, share: 1 }\n"
                 << more;
    }

    void reload(const std::string& until = "reloaded: ") {
        const auto before = count_of(until);
        daemon_->send(SIGHUP);
        ASSERT_TRUE(eventually([&] { return count_of(until) > before; })) << daemon_->errors();
    }

    std::size_t count_of(const std::string& words) {
        const auto log = daemon_->errors();
        std::size_t count = 0;
        for (auto at = log.find(words); at != std::string::npos; at = log.find(words, at + 1)) ++count;
        return count;
    }

    bool becomes(const std::string& workspace, const std::string& state) {
        return eventually([&] {
            try {
                return value("SELECT state FROM crm.workspaces WHERE name = '" + workspace + "'") == state;
            } catch (const pqxx::failure&) {
                return false;
            }
        });
    }

    /// Edits a lead and tells whether it is synced soon.
    bool pushes(const std::string& workspace, const std::string& phone) {
        const auto those = " WHERE workspace = '" + workspace + "'";
        sql("UPDATE crm.leads SET phone = '" + phone + "'" + those
            + " AND id = (SELECT min(id::text)::uuid FROM crm.leads" + those + ")");
        return eventually([&] {
            return value("SELECT count(*) FROM crm.leads" + those + " AND phone = '" + phone
                         + "' AND sync_status = 'synced'")
                   == "1";
        });
    }

    /// A change to both workspaces is under way, with a request of acme's in hand for a while yet.
    void change_both_with_acme_busy() {
        begin({acme_, second_});
        instantly_->add_fault({{"kind", "hang"}, {"method", "PATCH"}, {"ms", 4500}});
        sql("UPDATE crm.leads SET phone = '1' "
            "WHERE workspace = 'acme' AND id = (SELECT min(id::text)::uuid FROM crm.leads WHERE workspace = 'acme')");
        ASSERT_TRUE(
            eventually([&] { return value("SELECT count(*) FROM sync.base WHERE expected IS NOT NULL") == "1"; }));
        const std::string change = "    conflicts: { default: remote }\n";
        write({{acme_.name, acme_.key, change}, {second_.name, second_.key, change}});
        daemon_->send(SIGHUP);
        ASSERT_TRUE(eventually([&] { return count_of("workspace second: driven from now on") == 1; }))
            << daemon_->errors();
    }

    const Listed acme_{"acme", sandbox::WorkspaceSettings{}.api_key, ""};
    const Listed second_{"second", "second-key", ""};
    std::unique_ptr<test_support::Process> daemon_;
};

TEST_F(ReloadCommand, AddsAWorkspaceWhileTheOthersGoOn) {
    begin({acme_});
    instantly_->add_fault({{"kind", "hang"}, {"method", "PATCH"}, {"ms", 1500}, {"count", 1}});
    sql("UPDATE crm.leads SET phone = '1' WHERE id = (SELECT min(id::text)::uuid FROM crm.leads)");
    ASSERT_TRUE(
        eventually([&] { return value("SELECT count(*) FROM sync.base WHERE expected IS NOT NULL") == "1"; }));
    write({acme_, second_});
    reload("reloaded: added second\"");
    EXPECT_TRUE(becomes("second", "following"));
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE workspace = 'second'"), "40");
    EXPECT_TRUE(eventually([&] { return value("SELECT sync_status FROM crm.leads WHERE phone = '1'") == "synced"; }));
    EXPECT_EQ(value("SELECT count(*) FROM crm.history WHERE rule IN ('sent again', 'refused')"), "0")
        << "the request under way was not dropped";
    EXPECT_TRUE(pushes("second", "2"));
    EXPECT_EQ(run({"run"}).status, 1) << "both are driven here";
}

TEST_F(ReloadCommand, RemovesAWorkspaceAndAnotherProcessMayDriveIt) {
    begin({acme_, second_});
    write({acme_});
    reload("reloaded: removed second\"");
    EXPECT_TRUE(pushes("acme", "1"));
    sql("UPDATE crm.leads SET phone = '2' WHERE id = (SELECT min(id::text)::uuid FROM crm.leads WHERE workspace = "
        "'second')");
    write({second_});
    const auto other = run({"backfill", "--drain"});
    EXPECT_EQ(other.status, 0) << other.errors;
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads WHERE workspace = 'second' AND sync_status <> 'synced'"), "0");
}

TEST_F(ReloadCommand, ChangesAWorkspaceAndForgetsNothing) {
    begin({acme_});
    const auto lead = value("SELECT min(id::text) FROM crm.leads WHERE campaign IS NOT NULL");
    auto changed = acme_;
    changed.more = "    conflicts: { default: remote }\n    freshness: { rest: 1s }\n";
    write({changed});
    reload("reloaded: changed acme\"");
    EXPECT_TRUE(becomes("acme", "following"));
    instantly_->edit(lead, {{"phone", "there"}});
    EXPECT_TRUE(eventually([&] { return value("SELECT phone FROM crm.leads WHERE id = '" + lead + "'") == "there"; }))
        << "sweeps come each second now";
    EXPECT_TRUE(pushes("acme", "here"));
    reload("reloaded: nothing changed\"");
    EXPECT_EQ(count_of("no longer driven"), 1U) << "what has not changed is left alone";
}

TEST_F(ReloadCommand, AWorkspaceThatAnotherProcessStillDrivesHoldsUpNobody) {
    begin({acme_});
    pqxx::connection other{database_.url()};
    pqxx::nontransaction session{other};
    session.exec("SELECT pg_advisory_lock(hashtextextended('leadsync workspace second', 0))");
    const auto lead = value("SELECT min(id::text) FROM crm.leads");
    write({acme_, second_});
    const auto given_up = [&] { return count_of("is driven by another leadsync"); };
    const auto goes_out_meanwhile = [&](const std::string& phone) {
        const auto before = given_up();
        const auto since = value("SELECT clock_timestamp()");
        daemon_->send(SIGHUP);
        EXPECT_TRUE(eventually([&] {
            return value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leadsync listener' "
                       "AND query LIKE '%advisory_lock%' AND query_start > '"
                       + since + "'")
                   == "1";
        }));
        sql("UPDATE crm.leads SET phone = '" + phone + "' WHERE id = '" + lead + "'");
        EXPECT_TRUE(eventually([&] { return instantly_->lead(lead).value()["phone"] == phone; }));
        return given_up() == before;
    };
    // The lock is waited for 3 s, which a machine that stalls can take for one edit, but not for each.
    bool goes_out = false;
    for (int attempt = 0; attempt < 5 && !goes_out; ++attempt) goes_out = goes_out_meanwhile(std::to_string(attempt));
    EXPECT_TRUE(goes_out) << "an edit goes out while the lock is waited for";
    EXPECT_TRUE(eventually([&] { return count_of("reloaded: added second; not driven: second\"") > 0; }))
        << daemon_->errors();
    session.exec("SELECT pg_advisory_unlock_all()");
    reload();  // where it was given up just before
    EXPECT_TRUE(becomes("second", "following"));
}

TEST_F(ReloadCommand, AWorkspaceIsDownOnlyWhileItChangesItself) {
    change_both_with_acme_busy();
    EXPECT_EQ(count_of("workspace acme: no longer driven"), 0U) << "it finishes what it has in hand";
    EXPECT_TRUE(eventually([&] { return count_of("reloaded: ") == 1; })) << daemon_->errors();
    EXPECT_EQ(count_of("workspace acme: driven from now on"), 1U);
}

TEST_F(ReloadCommand, ASignalToStopIsHeardInTheMidstOfAReload) {
    change_both_with_acme_busy();
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->wait(10s), 0) << daemon_->errors();
    EXPECT_EQ(count_of("workspace acme: driven from now on"), 0U);
}

TEST_F(ReloadCommand, AWorkspaceRemovedWhilePostgresIsAwayIsLetGoOf) {
    begin({acme_, second_});
    database_.accept_connections(false);
    write({acme_});
    reload();
    EXPECT_EQ(count_of("workspace second: its leases stay until they expire"), 1U) << daemon_->errors();
    database_.accept_connections(true);
    EXPECT_TRUE(pushes("acme", "1")) << "connected anew, with the locks";
    EXPECT_EQ(value("SELECT pg_try_advisory_lock(hashtextextended('leadsync workspace second', 0))"), "t");
}

TEST_F(ReloadCommand, ACdnsRefusalDoesNotHideASwappedKey) {
    begin({acme_});
    instantly_->add_fault({{"kind", "cdn"}, {"path", "/workspaces/current"}, {"count", 1}});
    sql("UPDATE crm.workspaces SET instantly_workspace_id = '99999999-9999-4999-8999-999999999999'");
    write({{acme_.name, acme_.key, "    conflicts: { default: remote }\n"}});
    reload();
    EXPECT_TRUE(becomes("acme", "stopped")) << daemon_->errors();
}

TEST_F(ReloadCommand, AWrongConfigChangesNothing) {
    begin({acme_});
    std::ofstream{directory_.path() / "leadsync.yaml"} << "workspaces: [ { name: ACME } ]\n";
    reload("the config is wrong: nothing was changed");
    EXPECT_TRUE(pushes("acme", "1"));
    write({acme_});
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->wait(10s), 0) << daemon_->errors();
}

/// A workspace whose API is at `url`.
WorkspaceConfig workspace_at(const std::string& url) {
    return {.name = "acme", .api_key = Secret{"key"}, .base_url = url};
}

bool handles(int signal) {
    struct sigaction now {};
    ::sigaction(signal, nullptr, &now);
    return now.sa_handler != SIG_DFL;
}

TEST(Shutdown, DoesNotWaitForALookup) {
    spdlog::set_level(spdlog::level::off);
    const test_support::TestDatabase database{test_support::TestDatabase::Contents::nothing};
    Config config;
    config.database.url = Secret{database.url()};
    config.workspaces = {workspace_at("https://silent.test")};
    Daemon daemon{config};
    std::future<void> running;
    test_support::SilentNames names;
    running = std::async(std::launch::async, [&] { daemon.run([&] { return config; }); });
    ASSERT_TRUE(eventually([&] { return names.asked() == 1 && handles(SIGTERM); }));
    for (int i = 0; i < 2; ++i) ::kill(::getpid(), SIGTERM);  // in a hurry
    EXPECT_EQ(running.wait_for(20s), std::future_status::ready) << "everything else is over by then";
    EXPECT_TRUE(handles(SIGTERM) && handles(SIGHUP)) << "no signal more may kill what is being put in order";
    names.speak();
    EXPECT_NO_THROW(running.get());
}

/// Aborts a wait, though nobody has cancelled it.
class AbortingClock final : public Clock {
public:
    sync::SteadyTime now() const override { return real_.now(); }
    sync::Instant wall() const override { return real_.wall(); }
    void arm(asio::steady_timer& timer, sync::SteadyTime at) override {
        if (std::exchange(aborts_, false)) throw boost::system::system_error{asio::error::operation_aborted};
        real_.arm(timer, at);
    }
    void disarm(asio::steady_timer& timer) override { real_.disarm(timer); }

    void abort_next() { aborts_ = true; }

private:
    SystemClock real_;
    bool aborts_ = false;
};

TEST(Fleet, AWorkspaceThatEndsThoughNobodyEndedItIsAFailure) {
    spdlog::set_level(spdlog::level::off);
    const test_support::TestDatabase database;
    asio::io_context io{1};
    Connections connections{database.url()};
    connections.pushing.run_blocking(
        [](pqxx::work& transaction) { postgres::Workspaces::declare(transaction, {"acme"}); });
    postgres::Listener listener{io.get_executor(), database.url(), {"acme"}};
    listener.connect();
    AbortingClock clock;
    Fleet fleet{io, connections, listener, clock, {}};
    fleet.add(workspace_at("http://127.0.0.1:1"));
    fleet.take_over();
    std::string failure;
    auto abort_one = [&]() -> asio::awaitable<void> {
        co_await clock.sleep_for(50ms);
        clock.abort_next();
        asio::steady_timer long_enough{io, 10s};
        co_await long_enough.async_wait(asio::use_awaitable);
    };
    auto drive = [&]() -> asio::awaitable<void> {
        fleet.start();
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(fleet.until_one_fails());
        tasks.push_back(abort_one());
        try {
            co_await until_first_ends(std::move(tasks));
        } catch (const std::runtime_error& error) {
            failure = error.what();
        }
        co_await fleet.cancel();
    };
    auto driven = asio::co_spawn(io, drive(), asio::use_future);
    io.run();
    driven.get();
    EXPECT_EQ(failure, "workspace acme ended though nobody ended it");
}

}  // namespace
}  // namespace leadsync::daemon
