#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"

namespace leadsync::daemon {
namespace {

const Reading before_each_sweep{.repair_every = std::chrono::milliseconds{0}};

/// What capture missed (DESIGN §5, Local repair).
class LocalRepairs : public Story {
protected:
    /// Statements that no trigger sees, as of a bulk load or a restored backup.
    void unseen(const std::string& statements) {
        world().sql("SET LOCAL session_replication_role = replica; " + statements);
    }
};

TEST_F(LocalRepairs, ATableThatWasTruncatedIsFilledAgainByTheNextSweep) {
    in_step({.leads = 250});
    world().sql("TRUNCATE crm.leads");
    sync_once();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "250");
    EXPECT_EQ(world().requests("DELETE", "/leads"), 0U);
    expect_in_step();
}

TEST_F(LocalRepairs, RowsDeletedAndEditedPastTheTriggersAreRepairedByTheNextSweep) {
    in_step({.leads = 250, .reading = before_each_sweep});
    unseen("DELETE FROM crm.leads" + where(0) + "; UPDATE crm.leads SET phone = '+1 unseen'" + where(1)
           + "; UPDATE crm.leads SET custom_variables = custom_variables || '{\"tier\": \"gold\"}'" + where(2));
    world().instantly().edit(leads_.at(0), {{"phone", "+1 meanwhile"}});
    sync_once();
    EXPECT_EQ(local(0, "phone"), "+1 meanwhile");
    EXPECT_EQ(remote_text(1, "phone"), "+1 unseen");
    EXPECT_EQ(remote(2).at("payload").at("tier"), "gold");
    expect_in_step();
}

TEST_F(LocalRepairs, RowsOfAnOldBackupShowWhatInstantlyHolds) {
    in_step({.leads = 250, .reading = before_each_sweep});
    const auto restored = " WHERE instantly_id IN ('" + leads_.at(0) + "', '" + leads_.at(1) + "')";
    world().sql("CREATE TABLE backup AS SELECT * FROM crm.leads" + restored);
    world().instantly().edit(leads_.at(0), {{"email_open_count", 7}});
    edit(1, "phone = '+1 since'");
    sync_once();
    EXPECT_EQ(local(0, "email_open_count"), "7");
    world().sql("UPDATE backup SET sync_status = 'verifying' WHERE instantly_id = '" + leads_.at(1) + "'");
    unseen("DELETE FROM crm.leads" + restored + "; INSERT INTO crm.leads SELECT * FROM backup");
    sync_once();
    EXPECT_EQ(local(0, "email_open_count"), "7");
    EXPECT_EQ(local(1, "sync_status"), "synced");
    expect_in_step();
}

TEST_F(LocalRepairs, RowsInsertedPastTheTriggersBecomeLeads) {
    in_step({.leads = 250, .reading = before_each_sweep});
    unseen(
        "INSERT INTO crm.leads (workspace, email, campaign, phone) SELECT workspace, 'bulk@acme.io', campaign, '+1 "
        "bulk' "
        "FROM crm.leads"
        + where(0));
    sync_once();
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE email = 'bulk@acme.io'"), "synced");
    expect_in_step();
}

TEST_F(LocalRepairs, ASweepOfAWorkspaceInStepRepairsNothing) {
    in_step({.leads = 250, .reading = before_each_sweep});
    const auto state = [&] {
        return world().value(
            "SELECT max(xmin::text::int8) FROM (SELECT xmin FROM crm.leads UNION ALL "
            "SELECT xmin FROM sync.base UNION ALL SELECT xmin FROM sync.queue) rows");
    };
    const auto before = state();
    world().sweep();
    EXPECT_EQ(state(), before);
}

TEST_F(LocalRepairs, AreMadeOnceInAWhile) {
    in_step({.leads = 250});
    unseen("UPDATE crm.leads SET phone = '+1 unseen'" + where(1));
    sync_once();
    EXPECT_NE(remote_text(1, "phone"), "+1 unseen") << "that costs more than a sweep in which nothing changed";
    world().sql("UPDATE sync.repairs SET done_at = done_at - interval '1 hour'");
    sync_once();
    EXPECT_EQ(remote_text(1, "phone"), "+1 unseen");
    expect_in_step();
}

TEST_F(LocalRepairs, AnEditThatWasMissedIsFoundWhileLeadsyncRuns) {
    WorldSettings settings{.leads = 50, .reading = before_each_sweep};
    settings.rest = std::chrono::milliseconds{200};
    begin(settings);
    unseen("UPDATE crm.leads SET phone = '+1 unseen'" + where(1));
    EXPECT_TRUE(world().is_swept());
    EXPECT_TRUE(world().settles());
    EXPECT_EQ(remote_text(1, "phone"), "+1 unseen");
}

}  // namespace
}  // namespace leadsync::daemon
