#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using sync::RemoteDeletes;

/// Leads that are gone on Instantly, or seem to be (DESIGN §5, Deletion).
class DeletionsThere : public Story {
protected:
    void remove_there(std::size_t from, std::size_t to) {
        for (auto lead = from; lead < to; ++lead) world().instantly().remove(leads_.at(lead));
    }
    std::string count(const std::string& condition) {
        return world().value("SELECT count(*) FROM crm.leads WHERE " + condition);
    }
    /// How often leads were asked for one by one.
    std::size_t single_looks() { return world().requests("GET", "/leads/"); }
};

TEST_F(DeletionsThere, ADeletedLeadIsMarkedAfterASweep) {
    in_step({.leads = 40});
    remove_there(0, 2);
    sync_once();
    for (std::size_t lead : {0U, 1U}) {
        EXPECT_EQ(local(lead, "sync_status || ' ' || (deleted_at IS NOT NULL)"), "deleted true");
        EXPECT_EQ(local(lead, "email IS NOT NULL"), "t") << "what it was stays";
    }
    EXPECT_EQ(count("deleted_at IS NOT NULL"), "2");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'deleted' AND side = 'remote'"), "2");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.absent"), "0");
    world().instantly().reset_log();
    sync_once();
    EXPECT_EQ(single_looks(), 0U) << "dealt with once";
}

TEST_F(DeletionsThere, ADeletedLeadIsRemovedWhereThePolicySaysSo) {
    in_step({.leads = 40, .deletes = {.remote = RemoteDeletes::remove}});
    const auto id = local(0, "id");
    remove_there(0, 1);
    sync_once();
    EXPECT_EQ(count("true"), "39");
    EXPECT_EQ(
        world().value("SELECT old IS NOT NULL FROM crm.history WHERE rule = 'deleted' AND lead_id = '" + id + "'"),
        "t");
    expect_in_step();
}

TEST_F(DeletionsThere, ADeletedLeadStaysAsItIsWhereThePolicySaysSo) {
    in_step({.leads = 40, .deletes = {.remote = RemoteDeletes::ignore}});
    remove_there(0, 1);
    sync_once();
    EXPECT_EQ(local(0, "sync_status || ' ' || (deleted_at IS NULL)"), "synced true");
    EXPECT_EQ(single_looks(), 0U) << "nobody asked";
}

TEST_F(DeletionsThere, ARowThatListsHideIsNoDeletion) {
    in_step({.leads = 40});
    world().instantly().set_switches({{"hidden_ids", {leads_[0], leads_[1], leads_[2]}}});
    sync_once();
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    EXPECT_EQ(single_looks(), 3U);
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.absent"), "0");
    expect_in_step();
}

TEST_F(DeletionsThere, RowsThatListsLeaveOutAtRandomAreNoDeletions) {
    in_step({.leads = 250, .switches = {{"hidden_share", 0.3}}});
    for (int sweep = 0; sweep < 3; ++sweep) sync_once();
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'deleted'"), "0");
}

TEST_F(DeletionsThere, AHiddenRowAmongManyDeletedOnesIsNoDeletion) {
    in_step({.leads = 60});
    const auto hidden = leads_.back();  // looked into after all the others
    world().instantly().set_switches({{"hidden_ids", {hidden}}});
    remove_there(0, 20);
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "20");
    EXPECT_EQ(count("sync_status = 'synced' AND instantly_id = '" + hidden + "'"), "1");
}

TEST_F(DeletionsThere, ListsThatAreEmptyDeleteNothing) {
    in_step({.leads = 60});
    world().instantly().set_switches({{"empty_lists", true}});
    sync_once();
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    world().instantly().set_switches({{"empty_lists", false}});
    sync_once();
    expect_in_step();
}

TEST_F(DeletionsThere, APageThatFailsOrIsNoListSaysNothingOfWhatIsMissing) {
    in_step({.leads = 250});
    for (const auto* kind : {"status", "cut", "garbage", "empty", "reset"}) {
        world().instantly().add_fault({{"kind", kind}, {"path", "/leads/list"}, {"count", 1}, {"skip", 1}});
        sync_once();
    }
    EXPECT_EQ(count("sync_status <> 'synced'"), "0");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.absent"), "0");
    expect_in_step();
}

TEST_F(DeletionsThere, ALookUpThatFailsIsNoEvidence) {
    in_step({.leads = 40});
    remove_there(0, 1);
    world().instantly().set_switches({{"hidden_ids", {leads_[1]}}});
    world().instantly().add_fault({{"kind", "status"}, {"method", "GET"}, {"path", "/leads/"}, {"count", 3}});
    sync_once();
    EXPECT_EQ(local(0, "sync_status"), "deleted");
    EXPECT_EQ(local(1, "sync_status"), "synced");
}

TEST_F(DeletionsThere, ALeadThatIsNeverAnsweredForHoldsUpNoOther) {
    for (const int status : {500, 400}) {
        in_step({.leads = 40});
        remove_there(0, 2);
        world().instantly().add_fault(
            {{"kind", "status"}, {"method", "GET"}, {"path", leads_[0]}, {"status", status}});
        sync_once();
        EXPECT_EQ(local(1, "sync_status"), "deleted");
        EXPECT_EQ(local(0, "sync_status"), "synced") << "nothing is known of it";
        EXPECT_EQ(world().requests("GET", leads_[0]), status == 500 ? 3U : 1U) << "and the sweep is at its end";
        world().instantly().clear_faults();
        sync_once();
        EXPECT_EQ(local(0, "sync_status"), "deleted") << "the next sweep asks anew";
    }
}

TEST_F(DeletionsThere, ManyLeadsThatAreNeverAnsweredForHoldUpNoSweepEither) {
    in_step({.leads = 40});
    remove_there(0, 10);
    world().instantly().add_fault({{"kind", "status"}, {"method", "GET"}, {"path", "/leads/"}, {"status", 500}});
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "0");
    EXPECT_EQ(single_looks(), 100U) << "it might have been an outage";
    world().instantly().clear_faults();
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "10");
}

TEST_F(DeletionsThere, LeadsThatAreNotAnsweredForCountAsGoneForTheGuard) {
    in_step({.leads = 40, .guard = {.deletes = {.leads = 2}, .creates = {}, .changes = {}}});
    remove_there(0, 4);
    for (const std::size_t lead : {0U, 1U})
        world().instantly().add_fault(
            {{"kind", "status"}, {"method", "GET"}, {"path", leads_[lead]}, {"status", 500}});
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "0") << "not in parts either";
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL"), "2");
}

TEST_F(DeletionsThere, ALeadThatComesBackIsRevived) {
    for (const auto policy : {RemoteDeletes::mark, RemoteDeletes::remove}) {
        in_step({.leads = 40, .deletes = {.remote = policy}});
        const auto id = local(0, "id");
        auto lead = remote(0);
        remove_there(0, 1);
        sync_once();
        lead["job_title"] = "back again";
        world().instantly().add(lead);
        sync_once();
        EXPECT_EQ(local(0, "job_title || ' ' || sync_status || ' ' || (deleted_at IS NULL)"),
                  "back again synced true");
        EXPECT_EQ(local(0, "id"), id);
        EXPECT_EQ(count("true"), "40");
        expect_in_step();
    }
}

TEST_F(DeletionsThere, ADeletionWithAnUnsentEditIsToldAndItsRowIsKept) {
    for (const auto policy : {RemoteDeletes::mark, RemoteDeletes::remove}) {
        in_step({.leads = 40, .deletes = {.remote = policy}});
        edit(0, "phone = '+1 unsent'");
        remove_there(0, 1);
        sync_once();
        EXPECT_EQ(local(0, "sync_status || ' ' || phone"), "error +1 unsent");
        EXPECT_TRUE(local(0, "sync_error").starts_with("deleted on Instantly before this edit was sent"))
            << local(0, "sync_error");
        EXPECT_EQ(count("true"), "40");
    }
}

TEST_F(DeletionsThere, ADeletionThatWinsOverAnOpenConflictKeepsTheLocalValue) {
    in_step(
        {.leads = 40, .conflicts = {.fallback = sync::Rule::manual}, .deletes = {.remote = RemoteDeletes::remove}});
    edit(0, "phone = '+1 here'");
    world().instantly().edit(leads_[0], {{"phone", "+1 there"}});
    sync_once();
    remove_there(0, 1);
    sync_once();
    EXPECT_EQ(local(0, "sync_status || ' ' || phone"), "error +1 here");
}

TEST_F(DeletionsThere, AnEditOfALeadThatWasDeletedThereIsToldOnItsRow) {
    in_step({.leads = 40});
    remove_there(0, 1);
    sync_once();
    edit(0, "phone = '+1 late'");
    sync_once();
    EXPECT_EQ(local(0, "sync_status || ': ' || sync_error"), "error: Instantly no longer has this lead (404)");
}

TEST_F(DeletionsThere, SoIsOneOfALeadThatWasDeletedBetweenTheLookAndTheWrite) {
    in_step({.leads = 40, .rest = 1h});
    world().instantly().add_fault({{"kind", "status"}, {"status", 404}, {"method", "PATCH"}});
    edit(0, "phone = '+1 unsent', lt_interest_status = 2");
    world().start();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "error"));
    EXPECT_EQ(local(0, "sync_error"), "Instantly no longer has this lead (404)");
    EXPECT_EQ(world().requests("POST", "/update-interest-status"), 0U) << "that email may be another lead's by now";
}

TEST_F(DeletionsThere, SoIsOneThatWasTakenBack) {
    in_step({.leads = 40});
    remove_there(0, 1);
    sync_once();
    const auto before = local(0, "phone");
    edit(0, "phone = '+1 late'");
    edit(0, "phone = '" + before + "'");
    sync_once();
    EXPECT_EQ(local(0, "sync_status || ': ' || sync_error"), "error: Instantly no longer has this lead (404)");
}

TEST_F(DeletionsThere, ALeadMovedDuringASweepIsNoDeletion) {
    in_step({.leads = 250});
    world().start();
    for (int i = 0; i < 20; ++i)
        edit(static_cast<std::size_t>(i),
             "campaign = '" + world().other_campaign(local(static_cast<std::size_t>(i), "campaign")) + "'");
    ASSERT_TRUE(world().settles());
    world().stop();
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "0");
    expect_in_step();
}

// --- leads deleted here, there too ---------------------------------------------------------------------------------

TEST_F(DeletionsThere, ATombstoneGoesWhenNoSweepHasShownItsLeadForADay) {
    in_step({.leads = 40, .deletes = {.local = sync::LocalDeletes::push}, .rest = 1h});
    const auto* tombstones = "SELECT string_agg(instantly_id::text, ' ') FROM sync.base WHERE deleted_at IS NOT NULL";
    world().instantly().add_fault({{"kind", "ignored"}, {"method", "DELETE"}, {"path", leads_[1]}});
    world().sql("DELETE FROM crm.leads" + where_first(2));
    sync_once();
    ASSERT_EQ(world().value("SELECT count(*) FROM sync.base WHERE buried_at IS NOT NULL"), "2");
    world().sql("UPDATE sync.base SET buried_at = buried_at - interval '25 hours'");
    sync_once();
    EXPECT_EQ(world().requests("DELETE", leads_[1]), 2U) << "it was shown, and is deleted again";
    world().start();
    EXPECT_TRUE(world().becomes(tombstones, leads_[1]));
    world().stop();
    EXPECT_EQ(world().requests("DELETE", leads_[0]), 1U);
    world().instantly().clear_faults();
    sync_once();
    EXPECT_FALSE(world().instantly().lead(leads_[1]));
    EXPECT_EQ(count("true"), "38") << "and none has come back";
    expect_in_step();
}

// --- the guard -----------------------------------------------------------------------------------------------------

const WorldSettings guarded{.leads = 60, .guard = {.deletes = {.leads = 5}, .creates = {}, .changes = {}}};

TEST_F(DeletionsThere, AsManyDeletionsAsTheGuardAllowsAreCarriedOut) {
    in_step(guarded);
    remove_there(0, 5);
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "5");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held"), "0");
}

TEST_F(DeletionsThere, MoreDeletionsThanTheGuardAllowsAreHeldUntilApproved) {
    for (const auto policy : {RemoteDeletes::mark, RemoteDeletes::remove}) {
        auto settings = guarded;
        settings.deletes.remote = policy;
        in_step(settings);
        remove_there(0, 6);
        for (int sweep = 0; sweep < 3; ++sweep) {
            sync_once();
            EXPECT_EQ(count("sync_status = 'held' AND deleted_at IS NULL"), "6");
            EXPECT_EQ(world().value("SELECT count(*) FROM crm.held WHERE kind = 'delete' AND side = 'remote'"), "6");
        }
        EXPECT_NE(local(0, "sync_error").find("6 leads are gone on Instantly"), std::string::npos);

        world().sql("UPDATE crm.held SET decision = 'approve'");
        sync_once();
        if (policy == RemoteDeletes::mark)
            EXPECT_EQ(count("sync_status = 'deleted' AND deleted_at IS NOT NULL"), "6");
        else
            EXPECT_EQ(count("true"), "54");
        EXPECT_EQ(count("sync_status NOT IN ('synced', 'deleted')"), "0");
    }
}

TEST_F(DeletionsThere, HeldDeletionsThatAreRejectedKeepTheirRows) {
    in_step(guarded);
    remove_there(0, 6);
    sync_once();
    world().sql("UPDATE crm.held SET decision = 'reject'");
    for (int sweep = 0; sweep < 2; ++sweep) {
        sync_once();
        EXPECT_EQ(
            count("sync_status = 'error' AND deleted_at IS NULL AND sync_error = 'gone on Instantly; its deletion "
                  "here was rejected'"),
            "6");
    }
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL"), "0");
}

TEST_F(DeletionsThere, DecidingOnSomeHeldDeletionsLetsNoOtherThrough) {
    for (const auto* decision : {"approve", "reject"}) {
        in_step(guarded);
        remove_there(0, 6);
        sync_once();
        world().sql(std::string{"UPDATE crm.held SET decision = '"} + decision
                    + "' WHERE lead_id IN (SELECT lead_id FROM crm.held ORDER BY id LIMIT 4)");
        for (int sweep = 0; sweep < 2; ++sweep) sync_once();
        EXPECT_EQ(count("sync_status = 'held' AND deleted_at IS NULL"), "2")
            << "two are few enough, but a person was asked";
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL"), "2");
    }
}

TEST_F(DeletionsThere, LeadsThatAreBackBeforeAnybodyDecidedAreNotDeleted) {
    in_step(guarded);
    std::vector<json> gone;
    for (std::size_t lead = 0; lead < 7; ++lead) gone.push_back(remote(lead));
    remove_there(0, 7);
    sync_once();
    EXPECT_EQ(count("sync_status = 'held'"), "7");
    for (std::size_t lead = 0; lead < 5; ++lead) world().instantly().add(gone[lead]);
    for (int sweep = 0; sweep < 2; ++sweep) sync_once();
    EXPECT_EQ(count("deleted_at IS NOT NULL AND instantly_id IN ('" + leads_[0] + "', '" + leads_[4] + "')"), "0");
    for (std::size_t lead = 0; lead < 5; ++lead) EXPECT_EQ(local(lead, "sync_status"), "synced") << lead;
    world().sql("UPDATE crm.held SET decision = 'approve' WHERE decision IS NULL");
    sync_once();
    EXPECT_EQ(count("sync_status = 'deleted'"), "2");
}

TEST_F(DeletionsThere, AnEvidenceFromAnEarlierSweepDoesNotOutliveTheLeadsReturn) {
    in_step({.leads = 60});
    // As after a crash between the look-up and what it leads to.
    world().sql(
        "INSERT INTO sync.absent (workspace, lead_id, instantly_id, confirmed_at) SELECT workspace, id, "
        "instantly_id, now() FROM crm.leads"
        + where(0));
    sync_once();
    EXPECT_EQ(local(0, "sync_status"), "synced");
    expect_in_step();
}

TEST_F(DeletionsThere, AWorkspaceThatIsEmptiedIsHeldWhateverTheLimit) {
    for (const auto limit : {sync::GuardLimit{.leads = 1000}, sync::GuardLimit{.part = 1.0}}) {
        in_step({.leads = 60, .guard = {.deletes = limit, .creates = {}, .changes = {}}});
        for (const auto& lead : world().instantly().all_leads())
            world().instantly().remove(lead.at("id").get<std::string>());
        sync_once();
        EXPECT_EQ(count("sync_status = 'held' AND deleted_at IS NULL"), "60");
    }
}

}  // namespace
}  // namespace leadsync::daemon
