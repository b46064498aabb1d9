#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

// How failures of each class are met (DESIGN §6): by a breaker for the workspace, a hold for creates, a retry or a
// dead letter for the lead; and that none of them is in another lead's way.

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

std::string quoted(const std::vector<std::string>& leads) {
    std::string list;
    for (const auto& lead : leads) list += (list.empty() ? "'" : ", '") + lead + "'";
    return list;
}

constexpr auto state = "SELECT state FROM crm.workspaces";

TEST(Failures, AServerThatFailsEveryWriteIsLeftAloneAndComesBack) {
    SyncedWorld world{{.leads = 250}};
    world.backfill_and_drain();
    world.start();
    world.instantly().add_fault({{"kind", "status"}, {"status", 503}, {"method", "PATCH"}});
    world.sql("UPDATE crm.leads SET phone = '+1 outage' WHERE instantly_id IS NOT NULL");
    EXPECT_TRUE(world.becomes(state, "paused"));
    EXPECT_NE(world.value("SELECT state_reason FROM crm.workspaces").find("requests in a row failed"),
              std::string::npos);
    std::this_thread::sleep_for(3s);
    EXPECT_LT(world.requests("PATCH", ""), 100U) << "250 leads wait, and a few of them probe";
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads WHERE sync_status = 'error'"), "0");
    world.instantly().clear_faults();
    EXPECT_TRUE(world.settles());
    EXPECT_TRUE(world.becomes(state, "following"));
    world.expect_agreement();
}

TEST(Failures, OneLeadThatAlwaysFailsHoldsUpNoOther) {
    SyncedWorld world{{.leads = 50, .patience = 300ms}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto leads = world.campaign_leads(8);
    world.instantly().add_fault({{"kind", "status"}, {"status", 500}, {"method", "PATCH"}, {"path", leads[0]}});
    const auto poison = " WHERE instantly_id = '" + leads[0] + "'";
    const std::vector<std::string> others{leads.begin() + 1, leads.end()};
    const auto those = " WHERE instantly_id IN (" + quoted(others) + ")";
    world.sql("UPDATE crm.leads SET phone = '+1 poison'" + poison);
    for (int round = 0; round < 12; ++round) {
        world.sql("UPDATE crm.leads SET phone = '+1 healthy " + std::to_string(round) + "'" + those);
        ASSERT_TRUE(world.becomes("SELECT bool_and(sync_status = 'synced') FROM crm.leads" + those, "t"));
        EXPECT_EQ(world.value(state), "following") << "one lead is no outage";
    }
    EXPECT_GE(world.requests("PATCH", leads[0]), 2U) << "it is tried again and again";
    world.instantly().clear_faults();
    EXPECT_TRUE(world.settles());
    world.expect_agreement();
}

// The writer of a transaction that stays open has the lead's row, and its place in the queue. Both are left to it.
TEST(Failures, ALeadThatIsBeingWrittenHoldsUpNoOther) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto leads = world.campaign_leads(8);
    const auto one = " WHERE instantly_id = '" + leads[0] + "'";
    const std::vector<std::string> others{leads.begin() + 1, leads.end()};
    const auto those = " WHERE instantly_id IN (" + quoted(others) + ")";
    world.instantly().add_fault({{"kind", "hang"}, {"method", "PATCH"}, {"ms", 700}, {"count", 8}});
    world.sql("UPDATE crm.leads SET phone = '+1 in hand' WHERE instantly_id IN (" + quoted(leads) + ")");
    ASSERT_TRUE(world.becomes("SELECT count(*) FROM sync.base WHERE expected IS NOT NULL", "8"));
    pqxx::connection other{world.url()};
    pqxx::work writing{other};
    writing.exec("UPDATE crm.leads SET phone = '+1 not yet'" + one);
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(world.becomes("SELECT bool_and(sync_status = 'synced') FROM crm.leads" + those, "t"));
        world.sql("UPDATE crm.leads SET phone = '+1 healthy " + std::to_string(round) + "'" + those);
    }
    writing.commit();
    EXPECT_TRUE(world.settles());
    EXPECT_EQ(world.instantly().lead(leads[0]).value()["phone"], "+1 not yet");
    EXPECT_EQ(world.value("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL"), "0");
    world.expect_agreement();
}

// A long UPDATE has the row before it comes to the queue; what is known of the row's last edit meanwhile is written
// the other way round. Whoever waited for both would be in a deadlock, which PostgreSQL ends by failing one of them.
TEST(Failures, AnEditThatTakesLongIsNotFailedByAVerdict) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto lead = world.campaign_leads(1).front();
    const auto row = " WHERE instantly_id = '" + lead + "'";
    world.instantly().set_switches({{"latency_ms", 1'000}});
    world.instantly().add_fault(
        {{"kind", "status"}, {"method", "PATCH"}, {"path", lead}, {"status", 400}, {"count", 1}});
    world.sql("UPDATE crm.leads SET phone = '+1'" + row);
    ASSERT_TRUE(world.becomes("SELECT count(*) FROM sync.base WHERE expected IS NOT NULL", "1"))
        << "it is being sent";
    EXPECT_NO_THROW(world.sql("WITH edited AS (UPDATE crm.leads SET phone = '+2'" + row
                              + " RETURNING id) SELECT pg_sleep(3) FROM edited"))
        << "the triggers fire behind the sleep";
    EXPECT_EQ(world.requests("PATCH", lead), 1U) << "the verdict is known";
    world.instantly().set_switches({{"latency_ms", 0}});
    EXPECT_TRUE(world.settles());
    EXPECT_EQ(world.instantly().lead(lead).value()["phone"], "+2");
}

TEST(Failures, SlowLeadsHoldUpNoOther) {
    SyncedWorld world{{.leads = 50, .patience = 30s}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto leads = world.campaign_leads(7);
    for (std::size_t i = 0; i < 6; ++i) {
        world.instantly().add_fault({{"kind", "hang"}, {"ms", 20'000}, {"method", "PATCH"}, {"path", leads[i]}});
        const auto slow = " WHERE instantly_id = '" + leads[i] + "'";
        world.sql("UPDATE crm.leads SET phone = '+1 slow'" + slow);
        ASSERT_TRUE(world.becomes("SELECT sync_status FROM crm.leads" + slow, "verifying"))
            << "each in a batch of its own, with the others still under way";
    }
    const auto healthy = " WHERE instantly_id = '" + leads[6] + "'";
    world.sql("UPDATE crm.leads SET phone = '+1 healthy'" + healthy);
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads" + healthy, "synced"));
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.leads WHERE phone = '+1 slow' AND sync_status = 'synced'"), "0");
}

// What a page shows of a row that somebody is writing is left to the edit that queues it, and an edit can be taken
// back.
TEST(Failures, WhatAPageShowedOfARowWhoseEditWasTakenBackIsNotForgotten) {
    WorldSettings settings{.leads = 50};
    settings.rest = 1h;
    SyncedWorld world{settings};
    world.backfill_and_drain();
    const auto lead = world.campaign_leads(1).at(0);
    const auto row = " WHERE instantly_id = '" + lead + "'";
    const auto* queued = "SELECT count(*) FROM sync.queue";
    pqxx::connection connection{world.url()};
    {
        pqxx::work edit{connection};
        edit.exec("UPDATE crm.leads SET phone = '+1 taken back'" + row);
        world.instantly().edit(lead, {{"phone", "+1 there"}});
        world.sql("UPDATE crm.workspaces SET fresh_as_of = NULL");
        world.start();
        ASSERT_TRUE(world.becomes("SELECT fresh_as_of IS NOT NULL FROM crm.workspaces", "t"));
        EXPECT_EQ(world.value(queued), "0");
    }
    EXPECT_TRUE(world.becomes("SELECT phone FROM crm.leads" + row, "+1 there"));
}

TEST(Failures, AFullPlanHoldsCreatesAndNothingElse) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    ASSERT_TRUE(world.becomes(state, "following"));
    const auto lead = world.campaign_leads(1).at(0);
    world.instantly().set_switches({{"plan_limit", 50}});
    world.sql(
        "INSERT INTO crm.leads (workspace, email, campaign) SELECT workspace, 'room@acme.io', campaign "
        "FROM crm.leads WHERE instantly_id = '"
        + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT state_reason LIKE 'creates are held:%Lead limit%' FROM crm.workspaces", "t"));
    EXPECT_EQ(world.value(state), "following") << "and stays so";
    world.sql("UPDATE crm.leads SET phone = '+1 goes on' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + lead + "'", "synced"));
    const auto row = std::string{"FROM crm.leads WHERE email = 'room@acme.io'"};
    EXPECT_EQ(world.value("SELECT sync_status " + row), "pending") << "no attempt is burnt, nothing is given up";
    world.instantly().set_switches({{"plan_limit", -1}});
    EXPECT_TRUE(world.becomes("SELECT sync_status " + row, "synced"));
    EXPECT_TRUE(world.becomes("SELECT state_reason IS NULL FROM crm.workspaces", "t"));
    world.expect_agreement();
}

/// A 403 may be about all of the workspace, and at first nobody can tell. Here a firewall does not like one lead's
/// text.
TEST(Failures, ALeadThatIsRefusedWhileOthersAreAcceptedHoldsUpNoneAndIsGivenUpOn) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto leads = world.campaign_leads(8);
    const auto one = " WHERE instantly_id = '" + leads[0] + "'";
    const std::vector<std::string> others{leads.begin() + 1, leads.end()};
    const auto those = " WHERE instantly_id IN (" + quoted(others) + ")";
    world.instantly().add_fault({{"kind", "cdn"}, {"method", "PATCH"}, {"path", leads[0]}});
    world.sql("UPDATE crm.leads SET personalization = '<script>1; DROP TABLE leads</script>'" + one);
    EXPECT_TRUE(world.becomes(state, "paused")) << "it might be the whole workspace";
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.attempts"), "0");
    world.sql("UPDATE crm.leads SET phone = '+1 healthy'" + those);
    ASSERT_TRUE(world.becomes("SELECT bool_and(sync_status = 'synced') FROM crm.leads" + those, "t"));
    EXPECT_TRUE(world.becomes("SELECT count(*) > 0 FROM crm.attempts", "t"));
    EXPECT_TRUE(world.becomes(state, "following"));
    for (int round = 0; round < 5; ++round) {
        world.sql("UPDATE crm.leads SET phone = '+1 healthy " + std::to_string(round) + "'" + those);
        ASSERT_TRUE(world.becomes("SELECT bool_and(sync_status = 'synced') FROM crm.leads" + those, "t"));
        EXPECT_EQ(world.value(state), "following") << "one lead is not the workspace";
    }
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads" + one, "error"));
    EXPECT_NE(world.value("SELECT sync_error FROM crm.leads" + one).find("error code: 1010"), std::string::npos);
    EXPECT_EQ(world.value("SELECT string_agg(outcome, ' ' ORDER BY id) FROM crm.attempts"),
              "retry retry retry retry retry retry retry given up");
    EXPECT_EQ(world.value(state), "following");
    world.instantly().clear_faults();
    world.sql("UPDATE crm.leads SET personalization = 'Hello'" + one);
    EXPECT_TRUE(world.settles());
    world.expect_agreement();
}

TEST(Failures, AKindOfCallThatIsRefusedHoldsUpNoOtherKind) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto leads = world.campaign_leads(8);
    const auto* path = "/api/v2/leads/subsequence/move";
    world.instantly().add_fault({{"kind", "status"}, {"status", 403}, {"path", path}});
    const auto into_subsequence = [&](const std::vector<std::string>& ids) {
        world.sql(
            "UPDATE crm.leads SET subsequence_id = '33333333-3333-4333-8333-333333333333' WHERE instantly_id IN ("
            + quoted(ids) + ")");
    };
    into_subsequence({leads[0], leads[1], leads[2]});
    EXPECT_TRUE(world.becomes(state, "paused"));
    const auto edit_another = [&](const std::string& phone) {
        world.sql("UPDATE crm.leads SET phone = '" + phone + "' WHERE instantly_id = '" + leads[7] + "'");
        return world.becomes("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + leads[7] + "'", "synced");
    };
    EXPECT_TRUE(edit_another("+1 goes on"));
    EXPECT_TRUE(world.becomes(state, "following"));
    // It is tried again and again, pauses nothing more, and nobody is given up on: the key may get its scope.
    into_subsequence({leads[3]});
    const std::string attempts =
        "SELECT coalesce(max(attempts), 0) >= 10 FROM crm.queue q JOIN crm.leads l ON l.id = q.lead_id "
        "WHERE l.instantly_id = '"
        + leads[3] + "'";
    EXPECT_TRUE(world.becomes(attempts, "t"));
    EXPECT_EQ(world.value(state), "following");
    EXPECT_TRUE(edit_another("+1 still goes on"));
    EXPECT_EQ(world.value("SELECT count(*) FROM crm.queue WHERE state = 'given up'"), "0");
    world.instantly().clear_faults();
    world.sql("UPDATE crm.queue SET decision = 'retry'");
    EXPECT_TRUE(world.settles());
    world.expect_agreement();
}

/// Only a write that is accepted shows that writing works, and nothing is left to be written.
TEST(Failures, AWorkspaceWithNothingLeftToPushIsNoLongerPaused) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    EXPECT_TRUE(world.becomes(state, "following"));
    const auto lead = world.campaign_leads(1).front();
    world.instantly().add_fault({{"kind", "cdn"}, {"method", "PATCH"}});
    world.sql("UPDATE crm.leads SET phone = '+1 refused' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes(state, "paused"));
    const bool is_discarded = test_support::eventually([&] {
        try {
            world.sql("UPDATE crm.queue SET decision = 'discard'");
            return true;
        } catch (const pqxx::sql_error&) {
            return false;  // it is being sent right now
        }
    });
    EXPECT_TRUE(is_discarded);
    EXPECT_TRUE(world.settles());
    EXPECT_TRUE(world.becomes("SELECT state || coalesce(state_reason, '') FROM crm.workspaces", "following"));
    world.sql("UPDATE crm.leads SET phone = '+1 refused again' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes(state, "paused")) << "what is edited next shows how it stands";
    world.instantly().clear_faults();
    EXPECT_TRUE(world.settles());
    EXPECT_TRUE(world.becomes(state, "following"));
    world.expect_agreement();
}

TEST(Failures, CreatesAreToldToBeHeldOnlyAsLongAsOneWaits) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    ASSERT_TRUE(world.becomes(state, "following"));
    world.instantly().set_switches({{"plan_limit", 50}});
    const auto campaign = world.any_campaign();
    const auto* is_held = "SELECT coalesce(state_reason LIKE 'creates are held:%', false) FROM crm.workspaces";
    const auto insert = [&](const std::string& email) {
        world.sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', '" + email + "', '" + campaign
                  + "')");
    };
    insert("deleted@acme.io");
    EXPECT_TRUE(world.becomes(is_held, "t"));
    world.sql("DELETE FROM crm.leads WHERE email = 'deleted@acme.io'");
    EXPECT_TRUE(world.becomes(is_held, "f"));
    insert("adopted@acme.io");
    EXPECT_TRUE(world.becomes(is_held, "t"));
    world.instantly().add({{"email", "adopted@acme.io"}, {"campaign", campaign}});
    EXPECT_TRUE(world.becomes("SELECT sync_status FROM crm.leads WHERE email = 'adopted@acme.io'", "synced"));
    EXPECT_TRUE(world.becomes(is_held, "f"));
    EXPECT_TRUE(world.settles());
}

TEST(Failures, ARefusalOfTheWholeWorkspacePausesItWhateverItsForm) {
    SyncedWorld world{{.leads = 50}};
    world.backfill_and_drain();
    world.start();
    const auto lead = world.campaign_leads(1).at(0);
    const std::vector<std::pair<nlohmann::json, const char*>> refusals{
        {{{"unpaid", true}}, "402"}, {{{"revoked", true}}, "401"}, {{{"scopes", {"leads:read"}}}, "403"}};
    int edit = 0;
    for (const auto& [switches, told] : refusals) {
        world.instantly().set_switches(switches);
        world.sql("UPDATE crm.leads SET phone = '+1 " + std::to_string(++edit) + "' WHERE instantly_id = '" + lead
                  + "'");
        ASSERT_TRUE(world.becomes(
            std::string{"SELECT state = 'paused' AND state_reason LIKE '%"} + told + "%' FROM crm.workspaces", "t"));
        EXPECT_EQ(world.value("SELECT attempts FROM sync.queue"), "0") << "the lead is not at fault";
        world.instantly().set_switches({{"unpaid", false}, {"revoked", false}, {"scopes", {"all:all"}}});
        EXPECT_TRUE(world.settles());
        EXPECT_TRUE(world.becomes(state, "following"));
    }
    world.instantly().add_fault({{"kind", "cdn"}, {"method", "PATCH"}});
    world.sql("UPDATE crm.leads SET phone = '+1 cdn' WHERE instantly_id = '" + lead + "'");
    EXPECT_TRUE(world.becomes("SELECT state_reason LIKE '%error code: 1010%' FROM crm.workspaces", "t"));
    world.instantly().clear_faults();
    EXPECT_TRUE(world.settles());
    world.expect_agreement();
}

}  // namespace
}  // namespace leadsync::daemon
