#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"

// Rows in the way of a lead's own.

namespace leadsync::daemon {
namespace {

constexpr auto first_lead = "01959272-5d2b-7a87-a5d7-199e472e6366";

TEST(TakenIds, ARowThatHasTheIdOfALeadStandsInNoLeadsWay) {
    SyncedWorld world{{.leads = 120}};
    const std::string id = first_lead;
    world.sql("INSERT INTO crm.leads (workspace, id, email) VALUES ('acme', '" + id + "', 'somebody@else.io')");
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "121");
    EXPECT_EQ(world.value("SELECT email FROM crm.leads WHERE id = '" + id + "'"), "somebody@else.io");
    const auto made = world.value("SELECT id FROM crm.leads WHERE instantly_id = '" + id + "'");
    world.sql("TRUNCATE sync.base");
    world.sql("DELETE FROM crm.leads WHERE instantly_id = '" + id + "'");
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT id FROM crm.leads WHERE instantly_id = '" + id + "'"), made) << "always the same";
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "121");
}

TEST(TakenIds, ARowThatWasAdoptedAsAnotherLeadKeepsItsId) {
    SyncedWorld world{{.leads = 120}};
    world.backfill_and_drain();
    const auto leads = world.campaign_leads(2);
    const auto& id = leads[0];
    const auto& other = leads[1];
    const auto lead = world.instantly().lead(other).value();
    world.sql("TRUNCATE crm.leads, sync.base, sync.queue");
    world.sql("INSERT INTO crm.leads (workspace, id, email, campaign) VALUES ('acme', '" + id + "', '"
              + lead.at("email").get<std::string>() + "', '" + lead.at("campaign").get<std::string>() + "')");
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT instantly_id FROM crm.leads WHERE id = '" + id + "'"), other);
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads WHERE instantly_id = '" + id + "'"), "1");
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "120");
    world.expect_agreement();
}

TEST(TakenIds, RowsWhoseBasesAreLostAreTheirLeadsStill) {
    SyncedWorld world{{.leads = 120}};
    world.backfill_and_drain();
    const auto edited = world.campaign_leads(2);
    world.sql(
        "SET LOCAL session_replication_role = replica; UPDATE crm.leads SET phone = '+1 local' "
        "WHERE instantly_id = '"
        + edited[0] + "'");
    world.sql("TRUNCATE sync.base");
    world.backfill_and_drain();
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads"), "120");
    EXPECT_EQ(world.value("SELECT count(*) FROM sync.base"), "120");
    EXPECT_EQ(world.value("SELECT local FROM crm.conflicts WHERE field = 'phone'"), "+1 local");
    world.expect_agreement();
}

}  // namespace
}  // namespace leadsync::daemon
