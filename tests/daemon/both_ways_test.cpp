#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

/// A world in step, with leadsync running beside the test.
class BothWays : public testing::Test {
protected:
    void begin(const WorldSettings& settings = {}) {
        world_.emplace(settings);
        world_->backfill_and_drain();
        world_->instantly().reset_log();
        world_->start();
        leads_ = world_->campaign_leads(20);
    }

    std::string where(std::size_t lead) { return " WHERE instantly_id = '" + leads_.at(lead) + "'"; }
    nlohmann::json remote(std::size_t lead) { return world_->instantly().lead(leads_.at(lead)).value(); }
    std::string local(std::size_t lead, const std::string& expression) {
        return world_->value("SELECT " + expression + " FROM crm.leads" + where(lead));
    }

    /// Both sides in step, nothing on its way.
    void expect_in_step() {
        world_->settles();
        world_->expect_agreement();
    }

    SyncedWorld& world() { return *world_; }
    std::optional<SyncedWorld> world_;
    std::vector<std::string> leads_;
};

TEST_F(BothWays, ABackfillBringsEveryLeadAsItIs) {
    begin();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "250");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE sync_status <> 'synced'"), "0");
    EXPECT_EQ(world().value("SELECT count(*) > 0 FROM crm.leads WHERE extra <> '{}'"), "t")
        << "unknown keys are kept";
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.campaigns"), "5");
    EXPECT_EQ(world().value("SELECT count(*) > 0 FROM crm.lead_labels"), "t");
    EXPECT_EQ(world().value("SELECT first_name FROM crm.leads WHERE instantly_id = "
                            "'01959272-5d2b-7a87-a5d7-199e472e6366'"),
              "John")
        << "the documented example";
    expect_in_step();
}

TEST_F(BothWays, ASecondSweepOfUnchangedLeadsWritesNoRow) {
    begin();
    const auto before = world().value("SELECT sum(xmin::text::bigint) FROM crm.leads");
    world().stop();
    world().backfill_and_drain();
    EXPECT_EQ(world().value("SELECT sum(xmin::text::bigint) FROM crm.leads"), before);
}

TEST_F(BothWays, AnUpdateReachesInstantlyAndIsReadBackOnce) {
    begin();
    world().sql(R"(UPDATE crm.leads SET first_name = 'Zoë "Z" O''Hara', phone = NULL, custom_variables =
                   custom_variables || '{"tier": "gold", "seats": 12, "trial": false}')"
                + where(0));
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    EXPECT_EQ(remote(0).at("first_name"), "Zoë \"Z\" O'Hara");
    EXPECT_EQ(remote(0).at("payload").at("seats"), 12);
    expect_in_step();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 1U) << "our own write came back and was taken for a change";
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.conflicts"), "0");
}

TEST_F(BothWays, ARemovedVariableAgreesWhereInstantlyMergesAndWhereItReplaces) {
    for (const auto* mode : {"merge", "replace"}) {
        begin({.switches = {{"custom_variables", mode}}});
        world().sql(R"(UPDATE crm.leads SET custom_variables = '{"keep": "1", "drop": "2"}')" + where(0));
        expect_in_step();
        world().sql("UPDATE crm.leads SET custom_variables = custom_variables - 'drop'" + where(0));
        expect_in_step();
        const auto payload = remote(0).at("payload");
        EXPECT_EQ(payload.at("keep"), "1") << mode;
        EXPECT_EQ(payload.value("drop", ""), "") << mode;
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE sync_status = 'error'"), "0");
        world_.reset();
    }
}

TEST_F(BothWays, AnEditOnInstantlyArrivesByTheNextSweep) {
    begin({.rest = 500ms});
    world().instantly().edit(leads_[1], {{"job_title", "Chief of \"Staff\""}, {"custom_variables", {{"score", 7}}}});
    EXPECT_TRUE(world().becomes("SELECT job_title FROM crm.leads" + where(1), "Chief of \"Staff\""));
    EXPECT_EQ(local(1, "custom_variables ->> 'score'"), "7");
    expect_in_step();
    EXPECT_EQ(world().requests("PATCH", ""), 0U) << "a remote edit is not sent back";
}

TEST_F(BothWays, ANewLeadOnInstantlyArrivesWithoutASweep) {
    begin({.rest = std::chrono::hours{1}});
    const auto lead =
        world().instantly().add({{"email", "New+Lead@Example.com"}, {"campaign", world().any_campaign()}});
    EXPECT_TRUE(
        world().becomes("SELECT email FROM crm.leads WHERE instantly_id = '" + lead.at("id").get<std::string>() + "'",
                        "New+Lead@Example.com"));
    expect_in_step();
}

TEST_F(BothWays, BookingAMeetingGoesThroughTheScopedCallAndClearingToo) {
    begin();
    world().sql("UPDATE crm.leads SET lt_interest_status = 2" + where(0));
    ASSERT_TRUE(eventually([&] { return remote(0).value("lt_interest_status", -99) == 2; }));
    expect_in_step();
    const auto body = world().instantly().requests("update-interest-status").at(0).at("body").get<std::string>();
    EXPECT_NE(body.find(local(0, "campaign")), std::string::npos) << "unscoped, it changes every lead of that email";

    world().sql("UPDATE crm.leads SET lt_interest_status = NULL" + where(0));
    ASSERT_TRUE(eventually([&] { return !remote(0).contains("lt_interest_status"); }));
    expect_in_step();
}

TEST_F(BothWays, AMoveIsFollowedThroughItsJobAndKeepsTheInterest) {
    begin();
    world().sql("UPDATE crm.leads SET lt_interest_status = 1" + where(0));
    expect_in_step();
    const auto target = world().other_campaign(local(0, "campaign"));
    world().sql("UPDATE crm.leads SET campaign = '" + target + "'" + where(0));
    ASSERT_TRUE(eventually([&] { return remote(0).value("campaign", "") == target; }));
    expect_in_step();
    EXPECT_EQ(remote(0).at("lt_interest_status"), 1);
    EXPECT_GE(world().requests("GET", "/background-jobs/"), 1U);
}

TEST_F(BothWays, ManyMovesBetweenTheSameTwoCampaignsAreOneJob) {
    begin();
    world().stop();  // a sweep beside it may hold a row for a moment, which then goes by a second job
    const auto source = local(0, "campaign");
    const auto target = world().other_campaign(source);
    world().sql("UPDATE crm.leads SET campaign = '" + target + "' WHERE campaign = '" + source + "'");
    world().backfill_and_drain();
    world().expect_agreement();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE campaign = '" + source + "'"), "0");
    EXPECT_EQ(world().requests("POST", "/leads/move"), 1U);
}

TEST_F(BothWays, AListLeadEntersACampaignAndItsListColumnEmpties) {
    begin();
    const auto id =
        world().value("SELECT instantly_id FROM crm.leads WHERE list_id IS NOT NULL AND campaign IS NULL LIMIT 1");
    world().sql("UPDATE crm.leads SET campaign = '" + world().any_campaign() + "' WHERE instantly_id = '" + id + "'");
    EXPECT_TRUE(
        world().becomes("SELECT coalesce(list_id::text, 'none') || ' ' || sync_status FROM crm.leads WHERE "
                        "instantly_id = '"
                            + id + "'",
                        "none synced"));
    expect_in_step();
    EXPECT_EQ(world().requests("POST", "/leads/move"), 1U);
}

TEST_F(BothWays, AnInsertCreatesALeadOnce) {
    begin();
    world().sql(
        "INSERT INTO crm.leads (workspace, email, first_name, campaign, lt_interest_status, custom_variables) "
        "VALUES ('acme', 'Grace.Hopper+1@Navy.mil', 'Grace', '"
        + world().any_campaign() + "', 1, '{\"rank\": \"RADM\"}')");
    const std::string where = " WHERE email = 'Grace.Hopper+1@Navy.mil'";
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where, "synced"));
    const auto lead = world().instantly().lead(world().value("SELECT instantly_id FROM crm.leads" + where)).value();
    EXPECT_EQ(lead.at("first_name"), "Grace");
    EXPECT_EQ(lead.at("payload").at("rank"), "RADM");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "251");
    expect_in_step();
}

TEST_F(BothWays, ACreateWhoseAnswerWasLostMakesNoSecondLead) {
    begin();
    world().instantly().add_fault({{"kind", "lost"}, {"path", "/leads/add"}, {"count", 1}});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '"
                + world().any_campaign() + "')");
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'", "synced"));
    std::size_t found = 0;
    for (const auto& lead : world().instantly().all_leads())
        found += lead.value("email", "") == "once@acme.io" ? 1U : 0U;
    EXPECT_EQ(found, 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "251");
    expect_in_step();
}

TEST_F(BothWays, ACreateWhoseAnswerWasLostMakesNoSecondLeadElsewhere) {
    begin({.rest = 1h, .new_leads = 1h, .patience = 1s});
    world().instantly().set_switches({{"hidden_share", 1.0}});  // no look shows it
    world().instantly().add_fault({{"kind", "lost"}, {"path", "/leads/add"}, {"count", 1}});
    const auto campaign = world().any_campaign();
    world().sql("INSERT INTO crm.leads (workspace, email, campaign, phone) VALUES ('acme', 'once@acme.io', '"
                + campaign + "', '+1')");
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/add") == 1; }));
    world().sql("UPDATE crm.leads SET phone = '+2', campaign = '" + world().other_campaign(campaign)
                + "' WHERE email = 'once@acme.io'");
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/add") == 2; }));
    world().instantly().set_switches({{"hidden_share", 0.0}});
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'", "synced"));
    std::vector<std::string> found;
    for (const auto& lead : world().instantly().all_leads())
        if (lead.value("email", "") == "once@acme.io")
            found.push_back(lead.value("campaign", "") + lead.value("phone", ""));
    EXPECT_EQ(found, std::vector<std::string>{world().other_campaign(campaign) + "+2"});
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "251");
    expect_in_step();
}

// Made where it was, the person could be mailed from there before the lead is moved.
TEST_F(BothWays, ARowThatIsMovedBeforeItsCreateLeavesIsMadeWhereItIsNow) {
    begin({.rest = 1h, .new_leads = 1h});
    world().instantly().add_fault({{"kind", "hang"}, {"method", "POST"}, {"path", "/leads/list"}, {"ms", 1500}});
    const auto campaign = world().any_campaign();
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '" + campaign
                + "')");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL", "1"));
    world().sql("UPDATE crm.leads SET campaign = '" + world().other_campaign(campaign)
                + "' WHERE email = 'once@acme.io'");
    world().instantly().clear_faults();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'", "synced"));
    const auto made = world().bodies("POST", "/api/v2/leads/add");
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(made.front().at("campaign_id"), world().other_campaign(campaign));
    expect_in_step();
}

TEST_F(BothWays, ARowThatIsToBeNowhereBeforeItsCreateLeavesIsNotMade) {
    begin({.rest = 1h, .new_leads = 1h});
    world().instantly().add_fault({{"kind", "hang"}, {"method", "POST"}, {"path", "/leads/list"}, {"ms", 1500}});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '"
                + world().any_campaign() + "')");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL", "1"));
    world().sql("UPDATE crm.leads SET campaign = NULL WHERE email = 'once@acme.io'");
    world().instantly().clear_faults();
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.queue", "0"));
    EXPECT_EQ(world().requests("POST", "/leads/add"), 0U);
}

TEST_F(BothWays, ARowDeletedWhileItsCreateIsInDoubtIsDeletedThereToo) {
    for (const bool is_seen_by_a_page_first : {false, true}) {
        begin({.deletes = {.local = sync::LocalDeletes::push}, .rest = 1h, .new_leads = 1h});
        world().instantly().add_fault({{"kind", "lost"}, {"path", "/leads/add"}, {"count", 1}});
        world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'Once@acme.io', '"
                    + world().any_campaign() + "')");
        ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/add") == 1; }));
        world().stop();
        ASSERT_EQ(world().value("SELECT count(*) FROM sync.creates"), "1");
        world().sql("DELETE FROM crm.leads WHERE email = 'Once@acme.io'");
        if (is_seen_by_a_page_first) world().sweep();
        world().start();
        EXPECT_TRUE(eventually([&] { return world().requests("DELETE", "/leads") == 1; }));
        expect_in_step();
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "250");
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.creates"), "0");
        world_.reset();
    }
}

TEST_F(BothWays, ALeadThatInstantlyHasAlreadyIsAdoptedByEmailAndTarget) {
    begin();
    const auto campaign = world().any_campaign();
    world().stop();
    world().sql("INSERT INTO crm.leads (workspace, email, campaign, phone) VALUES ('acme', 'Both@Acme.io', '"
                + campaign + "', '+1')");
    world().instantly().add({{"email", "both@acme.io"}, {"campaign", campaign}, {"job_title", "CTO"}});
    world().start();
    ASSERT_TRUE(
        world().becomes("SELECT string_agg(job_title || phone || sync_status, ' ') FROM crm.leads WHERE lower(email) "
                        "= 'both@acme.io'",
                        "CTO+1synced"));
    expect_in_step();
    EXPECT_EQ(world().requests("POST", "/leads/add"), 0U);
}

TEST_F(BothWays, SubsequenceAndAssigneeGoThroughTheirCalls) {
    begin();
    const std::string subsequence = "33333333-3333-4333-8333-333333333333";
    world().sql("UPDATE crm.leads SET assigned_to = '44444444-4444-4444-8444-444444444444', subsequence_id = '"
                + subsequence + "'" + where(0));
    ASSERT_TRUE(eventually([&] { return remote(0).value("subsequence_id", "") == subsequence; }));
    expect_in_step();
    EXPECT_EQ(remote(0).at("assigned_to"), "44444444-4444-4444-8444-444444444444");
    world().sql("UPDATE crm.leads SET subsequence_id = NULL" + where(0));
    ASSERT_TRUE(eventually([&] { return !remote(0).contains("subsequence_id"); }));
    expect_in_step();
}

TEST_F(BothWays, ADeleteIsPushedOrOnlyStopsTheSyncAsThePolicySays) {
    begin({.deletes = {.local = sync::LocalDeletes::push}});
    world().sql("DELETE FROM crm.leads" + where(0));
    EXPECT_TRUE(eventually([&] { return !world().instantly().lead(leads_[0]); }));
    expect_in_step();
    world_.reset();

    begin({.deletes = {.local = sync::LocalDeletes::ignore}, .rest = 300ms});
    world().sql("DELETE FROM crm.leads" + where(0));
    world().settles();
    world().instantly().edit(leads_[0], {{"job_title", "still there"}});
    world().instantly().edit(leads_[1], {{"job_title", "seen after it"}});
    world().becomes("SELECT job_title FROM crm.leads" + where(1), "seen after it");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads" + where(0)), "0")
        << "a page brought the deleted row back";
    EXPECT_TRUE(world().instantly().lead(leads_[0]));
}

TEST_F(BothWays, ARowThatIsBackBeforeItsDeletionLeavesKeepsItsLead) {
    begin({.deletes = {.local = sync::LocalDeletes::push}, .rest = 1h});
    world().instantly().add_fault({{"kind", "hang"}, {"method", "DELETE"}, {"ms", 3000}});
    world().sql("CREATE TABLE kept AS SELECT * FROM crm.leads ORDER BY id LIMIT 20");
    world().sql("DELETE FROM crm.leads WHERE id IN (SELECT id FROM kept)");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.queue WHERE lease_token IS NOT NULL", "20"));
    const auto last = world().value("SELECT instantly_id FROM kept ORDER BY id DESC LIMIT 1");
    world().sql(
        "INSERT INTO crm.leads (workspace, id, email, campaign, list_id, first_name, custom_variables) "
        "SELECT workspace, id, email, campaign, list_id, first_name, custom_variables FROM kept ORDER BY id DESC "
        "LIMIT 1");
    world().instantly().clear_faults();
    EXPECT_TRUE(eventually([&] { return world().requests("DELETE", "/leads") >= 19; }));
    expect_in_step();
    EXPECT_TRUE(world().instantly().lead(last));
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE instantly_id = '" + last + "'"), "synced");
    EXPECT_EQ(world().requests("DELETE", "/leads"), 19U);
}

/// Whoever asked, and however many are under way.
TEST_F(BothWays, ARefusalIsHeededWhenItComes) {
    begin({.deletes = {.local = sync::LocalDeletes::push}, .rest = 1h, .new_leads = 1h});
    world().instantly().add_fault(
        {{"kind", "status"}, {"status", 429}, {"retry_after_s", 3}, {"method", "DELETE"}, {"count", 1}});
    world().sql("DELETE FROM crm.leads WHERE id IN (SELECT id FROM crm.leads ORDER BY id LIMIT 60)");
    ASSERT_TRUE(eventually([&] { return world().requests("DELETE", "/leads") >= 1; }));
    std::this_thread::sleep_for(1s);
    EXPECT_LE(world().requests("DELETE", "/leads"), 16U) << "what was under way with the one that was refused";
    expect_in_step();
    EXPECT_EQ(world().requests("DELETE", "/leads"), 61U);
}

TEST_F(BothWays, ALongRefusalIsTold) {
    begin({.rest = 1h, .new_leads = 1h});
    world().instantly().add_fault(
        {{"kind", "status"}, {"status", 429}, {"retry_after_s", 17}, {"method", "PATCH"}, {"count", 1}});
    world().sql("UPDATE crm.leads SET phone = '+1 later'" + where(0));
    const auto* told = "SELECT state = 'paused' AND state_reason LIKE '%429%before 20%' FROM crm.workspaces";
    EXPECT_TRUE(world().becomes(told, "t"));
    EXPECT_TRUE(world().becomes("SELECT state FROM crm.workspaces", "following"));
    expect_in_step();
}

TEST_F(BothWays, AConflictGoesByItsRuleAndTheOverruledValueIsKept) {
    begin({.conflicts = {.fallback = sync::Rule::local, .fields = {{sync::Field::job_title, sync::Rule::remote}}}});
    world().stop();
    world().sql("UPDATE crm.leads SET phone = '+1 local', job_title = 'local'" + where(0));
    world().instantly().edit(leads_[0], {{"phone", "+1 remote"}, {"job_title", "remote"}});
    world().start();
    expect_in_step();
    EXPECT_EQ(local(0, "phone || ', ' || job_title"), "+1 local, remote");
    EXPECT_EQ(
        world().value(
            "SELECT string_agg(format('%s %s/%s -> %s', field, local, remote, resolution), '; ' ORDER BY field) "
            "FROM crm.conflicts"),
        "job_title local/remote -> remote; phone +1 local/+1 remote -> local");
}

TEST_F(BothWays, AReadThatLagsBehindAWriteDoesNotUndoIt) {
    begin({.switches = {{"read_lag_ms", 1500}}, .rest = 200ms});
    world().sql("UPDATE crm.leads SET phone = '+49 new'" + where(0));
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    EXPECT_EQ(local(0, "phone"), "+49 new");
    EXPECT_EQ(remote(0).at("phone"), "+49 new");
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.conflicts"), "0");
}

TEST_F(BothWays, AServerThatNormalisesIsBelievedAndNotArguedWith) {
    begin({.switches = {{"normalise_trim", true}}});
    world().sql("UPDATE crm.leads SET first_name = '  Ada  '" + where(0));
    ASSERT_TRUE(world().becomes("SELECT first_name || sync_status FROM crm.leads" + where(0), "Adasynced"));
    expect_in_step();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.conflicts"), "0");
}

TEST_F(BothWays, AWriteThatIsAnsweredButNotStoredIsSentAgain) {
    begin({.patience = 300ms});
    world().instantly().add_fault({{"kind", "ignored"}, {"method", "PATCH"}, {"path", leads_[0]}, {"count", 2}});
    world().sql("UPDATE crm.leads SET phone = '+49 third time'" + where(0));
    ASSERT_TRUE(eventually([&] { return remote(0).value("phone", "") == "+49 third time"; }, 20s));
    expect_in_step();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 3U);
}

TEST_F(BothWays, AWriteThatIsNeverStoredIsGivenUpOnWithItsReasonAndRevivedByAnEdit) {
    begin({.patience = 50ms});
    world().instantly().add_fault({{"kind", "ignored"}, {"method", "PATCH"}, {"path", leads_[0]}});
    world().sql("UPDATE crm.leads SET phone = '+49 never'" + where(0));
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "error"));
    EXPECT_NE(local(0, "sync_error").find("Instantly still shows"), std::string::npos);
    world().instantly().clear_faults();
    world().sql("UPDATE crm.leads SET phone = '+49 at last'" + where(0));
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    expect_in_step();
}

TEST_F(BothWays, EditsMadeWhileOneIsOnItsWayAllArrive) {
    begin({.switches = {{"latency_ms", 30}}});
    for (int i = 0; i < 20; ++i)
        world().sql("UPDATE crm.leads SET phone = '+" + std::to_string(i) + "', job_title = 't"
                    + std::to_string(i % 3) + "'" + where(0));
    expect_in_step();
    EXPECT_EQ(remote(0).at("phone"), "+19");
    EXPECT_LT(world().requests("PATCH", leads_[0]), 10U) << "edits coalesce";
}

TEST_F(BothWays, WhatFollowsTheEditThatWokeItIsSeenWithoutAnotherRing) {
    begin();
    ASSERT_TRUE(world().becomes("SELECT asleep FROM sync.doorbell", "t"));
    world().sql("SELECT pg_sleep(0.2)");  // until it has seen that nobody writes
    for (std::size_t lead = 0; lead < 3; ++lead) {
        world().sql("UPDATE crm.leads SET phone = '+1 awake'" + where(lead));
        EXPECT_TRUE(eventually([&] { return remote(lead).value("phone", "") == "+1 awake"; }, 20s)) << lead;
    }
    expect_in_step();
}

TEST_F(BothWays, AQueueThatHasGrownIsPlannedForAtOnce) {
    begin();
    const std::string analyzed =
        "SELECT pg_stat_get_analyze_count('sync.queue'::regclass) > 0";  // by hand, not by autovacuum
    world().sql("UPDATE crm.leads SET phone = '+1' WHERE id IN (SELECT id FROM crm.leads LIMIT 10)");
    expect_in_step();
    EXPECT_EQ(world().value(analyzed), "f") << "a few are no crowd";
    world().sql("UPDATE crm.leads SET phone = '+2'");
    EXPECT_TRUE(world().becomes(analyzed, "t"));
    expect_in_step();
}

TEST_F(BothWays, LocalEditsMadeWhileLeadsyncWasAwayArriveLater) {
    begin();
    world().stop();
    world().sql("UPDATE crm.leads SET website = 'https://away.example'" + where(0));
    world().instantly().edit(leads_[0], {{"job_title", "edited there"}});
    world().start();
    expect_in_step();
    EXPECT_EQ(remote(0).at("website"), "https://away.example");
    EXPECT_EQ(local(0, "job_title"), "edited there") << "looked at before it was pushed";
}

TEST_F(BothWays, ARowEditedByAnOpenTransactionHoldsUpNoOther) {
    begin({.rest = 300ms});
    pqxx::connection other{world().url()};
    pqxx::work open{other};
    open.exec("UPDATE crm.leads SET phone = '+open'" + where(0));
    world().instantly().edit(leads_[0], {{"job_title", "A"}});
    world().instantly().edit(leads_[1], {{"job_title", "B"}});
    EXPECT_TRUE(world().becomes("SELECT job_title FROM crm.leads" + where(1), "B"));
    open.commit();
    ASSERT_TRUE(world().becomes("SELECT job_title || phone FROM crm.leads" + where(0), "A+open"));
    expect_in_step();
}

TEST_F(BothWays, ARowToBeAdoptedThatAnOpenTransactionHoldsHoldsUpNoOther) {
    begin({.rest = 1h});
    const auto campaign = world().any_campaign();
    world().stop();
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'both@acme.io', '" + campaign
                + "')");
    pqxx::connection other{world().url()};
    pqxx::work open{other};
    open.exec("SELECT FROM crm.leads WHERE email = 'both@acme.io' FOR UPDATE");
    for (const auto* email : {"both@acme.io", "another@acme.io"})
        world().instantly().add({{"email", email}, {"campaign", campaign}});
    world().start();
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE email = 'another@acme.io'", "1"));
    open.abort();
    EXPECT_TRUE(
        world().becomes("SELECT string_agg(sync_status, ' ') FROM crm.leads WHERE email = 'both@acme.io'", "synced"));
    EXPECT_EQ(world().requests("POST", "/leads/add"), 0U);
    expect_in_step();
}

TEST_F(BothWays, ACreatedRowThatAnOpenTransactionHoldsHoldsUpNoOther) {
    begin({.rest = 1h, .new_leads = 1h});
    world().instantly().add_fault({{"kind", "hang"}, {"path", "/leads/add"}, {"ms", 1'000}, {"count", 1}});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) SELECT 'acme', n || '@acme.io', '"
                + world().any_campaign() + "' FROM generate_series(1, 3) n");
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/add") == 1; }));
    pqxx::connection other{world().url()};
    pqxx::work open{other};
    open.exec("SELECT FROM crm.leads WHERE email = '1@acme.io' FOR UPDATE");
    const std::string states =
        "SELECT string_agg(sync_status, ' ' ORDER BY email) FROM crm.leads WHERE email IN ('1@acme.io', '2@acme.io', "
        "'3@acme.io')";
    EXPECT_TRUE(world().becomes(states, "pending synced synced"));
    open.abort();
    EXPECT_TRUE(world().becomes(states, "synced synced synced"));
    EXPECT_EQ(world().requests("POST", "/leads/add"), 1U);
    expect_in_step();
}

TEST_F(BothWays, AnEditDoesNotWaitBehindPagesThatAreBeingWritten) {
    begin({.leads = 1000, .rest = 300ms, .reading = {.leads_per_range = 100}});
    world().stop();
    const auto all = world().campaign_leads(1000);
    for (std::size_t i = 1; i < all.size(); ++i) world().instantly().edit(all[i], {{"job_title", "edited there"}});
    world().sql(R"sql(
        CREATE FUNCTION wait_a_while() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_sleep(3); RETURN NULL; END';
        CREATE TRIGGER slow BEFORE UPDATE ON sync.base EXECUTE FUNCTION wait_a_while())sql");
    world().start();
    const std::string pages_that_wait =
        "SELECT count(*) >= 3 FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'leadsync' AND wait_event = 'PgSleep'";
    ASSERT_TRUE(world().becomes(pages_that_wait, "t"));

    world().sql("UPDATE crm.leads SET phone = '+1'" + where(0));
    const auto is_looked_at = [&] {
        return std::ranges::any_of(world().bodies("POST", "/api/v2/leads/list"), [&](const nlohmann::json& body) {
            return body.contains("ids") && body.at("ids") == nlohmann::json{leads_[0]};
        });
    };
    EXPECT_TRUE(eventually(is_looked_at, 5s));
    EXPECT_EQ(world().value(pages_that_wait), "t") << "the pages were faster: nothing is shown";
    world().sql("DROP TRIGGER slow ON sync.base");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE job_title = 'edited there'",
                                std::to_string(all.size() - 1)));
    expect_in_step();
}

TEST_F(BothWays, TransientFaultsOfEveryKindAreWaitedOut) {
    begin({.rest = 300ms});
    for (const auto* kind : {"status", "reset", "lost", "cut", "garbage"})
        world().instantly().add_fault({{"kind", kind}, {"probability", 0.1}});
    for (std::size_t i = 0; i < 20; ++i) {
        world().sql("UPDATE crm.leads SET phone = '+" + std::to_string(i)
                    + "', lt_interest_status = " + std::to_string(i % 4) + where(i));
        world().instantly().edit(leads_[i], {{"job_title", "title " + std::to_string(i)}});
    }
    EXPECT_TRUE(eventually(
        [&] {
            return world().value(
                       "SELECT count(*) FROM crm.leads WHERE job_title LIKE 'title %' AND sync_status = 'synced'")
                   == "20";
        },
        60s))
        << world().value(
               "SELECT string_agg(sync_status || coalesce(job_title, ''), ' ') FROM crm.leads WHERE phone LIKE '+_' "
               "OR phone LIKE '+__'");
    world().instantly().clear_faults();
    expect_in_step();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"), "250");
}

/// That every request goes through the limiter. How exact that one is, pace_test.cpp tells, on virtual time: here a
/// busy machine may have the server count late, so half of its limit is used.
TEST(Pace, TheServerNeverCountsMoreThanItsLimit) {
    SyncedWorld world{{.leads = 3000, .share = 0.5, .rest = 50ms}};
    world.start();
    ASSERT_TRUE(world.becomes("SELECT backfilled_at IS NOT NULL FROM crm.workspaces", "t"));
    world.sql(
        "UPDATE crm.leads SET phone = '+1' WHERE id IN (SELECT id FROM crm.leads WHERE campaign IS NOT NULL LIMIT "
        "250)");
    world.settles();
    const auto statistics = world.instantly().statistics().at("workspaces").at("acme");
    EXPECT_LE(statistics.at("max_per_second"), 100);
    EXPECT_GE(statistics.at("max_per_second"), 50) << "the limit was never near: the test shows nothing";
    EXPECT_EQ(statistics.at("refused"), 0);
}

}  // namespace
}  // namespace leadsync::daemon
