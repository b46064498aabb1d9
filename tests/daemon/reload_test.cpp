#include "tests/daemon/command_fixture.hpp"
#include "tests/support/eventually.hpp"

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
    reload();
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
    reload();
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
    reload();
    EXPECT_TRUE(becomes("acme", "following"));
    instantly_->edit(lead, {{"phone", "there"}});
    EXPECT_TRUE(eventually([&] { return value("SELECT phone FROM crm.leads WHERE id = '" + lead + "'") == "there"; }))
        << "sweeps come each second now";
    EXPECT_TRUE(pushes("acme", "here"));
    reload();
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
    session.exec("SELECT pg_advisory_unlock_all()");
    reload();  // where it was given up just before
    EXPECT_TRUE(becomes("second", "following"));
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

}  // namespace
}  // namespace leadsync::daemon
