#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// Too much of one kind at once waits for a person, before any of it is sent or let in (DESIGN §1.2, `guard`).
class GuardStory : public Story {
protected:
    static WorldSettings limits(sync::Guard guard) {
        return {.leads = 40, .deletes = {.local = sync::LocalDeletes::push}, .guard = guard};
    }

    /// Requests that change something there.
    std::size_t writes() {
        std::size_t count = 0;
        for (const auto& request : world().instantly().requests("/leads"))
            count += request.at("method") != "GET" && request.at("path") != "/api/v2/leads/list" ? 1U : 0U;
        return count;
    }
    std::string count(const std::string& condition) {
        return world().value("SELECT count(*) FROM crm.leads WHERE " + condition);
    }
    std::string undecided(const std::string& kind, const std::string& side) {
        return world().value("SELECT count(*) FROM crm.held WHERE decision IS NULL AND kind = '" + kind
                             + "' AND side = '" + side + "'");
    }
    void decide(const std::string& decision) {
        world().sql("UPDATE crm.held SET decision = '" + decision + "' WHERE decision IS NULL");
    }
    void insert(int leads) {
        world().sql("INSERT INTO crm.leads (workspace, email, campaign) SELECT 'acme', 'n' || n || '@acme.io', '"
                    + world().any_campaign() + "' FROM generate_series(1, " + std::to_string(leads) + ") n");
    }
    std::size_t new_leads_there() {
        std::size_t count = 0;
        for (const auto& lead : world().instantly().all_leads())
            count += lead.value("email", "").ends_with("@acme.io") ? 1U : 0U;
        return count;
    }
    void edit_there(std::size_t from, std::size_t to, const std::string& phone) {
        for (auto lead = from; lead < to; ++lead) world().instantly().edit(leads_.at(lead), {{"phone", phone}});
    }
};

// --- creates -------------------------------------------------------------------------------------------------------

const sync::Guard creates_guarded{.deletes = {}, .creates = {.leads = 5}, .changes = {}};

TEST_F(GuardStory, AsManyCreatesAsAllowedAreSent) {
    in_step(limits(creates_guarded));
    insert(5);
    sync_once();
    EXPECT_EQ(new_leads_there(), 5U);
    expect_in_step();
}

TEST_F(GuardStory, TooManyCreatesAreHeldBeforeAnyIsSentAndGoWhenApproved) {
    in_step(limits(creates_guarded));
    insert(6);
    for (int sync = 0; sync < 2; ++sync) {
        sync_once();
        EXPECT_EQ(writes(), 0U);
        EXPECT_EQ(count("sync_status = 'held' AND sync_error = 'more than 5 leads were created at once'"), "6");
        EXPECT_EQ(undecided("create", "local"), "6");
    }
    decide("approve");
    sync_once();
    EXPECT_EQ(new_leads_there(), 6U);
    expect_in_step();
    EXPECT_EQ(
        world().value("SELECT count(*) FROM crm.held WHERE decided_by = session_user AND decided_at IS NOT NULL"),
        "6");
}

TEST_F(GuardStory, WhatWasDecidedGoesWithTheHistory) {
    in_step(limits(creates_guarded));
    insert(6);
    sync_once();
    decide("approve");
    sync_once();
    world().sql(
        "SET LOCAL leadsync.origin = 'sync'; UPDATE crm.held SET decided_at = decided_at - interval '91 days' "
        "WHERE id IN (SELECT id FROM crm.held ORDER BY id LIMIT 5)");
    ASSERT_EQ(world().value("SELECT count(*) FROM crm.held"), "6");
    world().start();
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.held", "1")) << "that is kept for 90 days";
    EXPECT_EQ(count("sync_status = 'synced'"), "46");
}

TEST_F(GuardStory, RejectedCreatesAreNotSentAndAnEditAsksAgain) {
    in_step(limits(creates_guarded));
    insert(6);
    sync_once();
    decide("reject");
    for (int sync = 0; sync < 2; ++sync) {
        sync_once();
        EXPECT_EQ(writes(), 0U);
        EXPECT_EQ(
            count("sync_status = 'error' AND sync_error = 'its creation was rejected; edit the row to ask again'"),
            "6");
    }
    world().sql("UPDATE crm.leads SET phone = '+1' WHERE email = 'n1@acme.io'");
    sync_once();
    EXPECT_EQ(new_leads_there(), 1U);
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE email = 'n1@acme.io'"), "synced");
}

TEST_F(GuardStory, CreatesThatWereLetThroughAreNotHeldAsEditsWhenTheyAreReadBack) {
    in_step({.leads = 40, .guard = {.deletes = {}, .creates = {.leads = 100}, .changes = {.leads = 5}}});
    insert(30);
    world().start();
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE sync_status = 'synced'", "70"));
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held"), "0");
}

TEST_F(GuardStory, ALeadHeldForItsCreationThatIsThereAlreadyIsAdopted) {
    in_step(limits(creates_guarded));
    insert(6);
    sync_once();
    world().instantly().add({{"email", "n3@acme.io"}, {"campaign", world().any_campaign()}});
    sync_once();
    EXPECT_EQ(writes(), 0U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE email = 'n3@acme.io'"), "1");
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE email = 'n3@acme.io'"), "synced");
    decide("approve");
    sync_once();
    EXPECT_EQ(new_leads_there(), 6U);
    expect_in_step();
}

// --- edits ---------------------------------------------------------------------------------------------------------

const sync::Guard changes_guarded{.deletes = {}, .creates = {}, .changes = {.leads = 5}};

TEST_F(GuardStory, TooManyEditsAreHeldBeforeAnyIsSentAndGoWhenApproved) {
    in_step(limits(changes_guarded));
    world().sql("UPDATE crm.leads SET phone = '+1 held', lt_interest_status = 2" + where_first(6));
    for (int sync = 0; sync < 2; ++sync) {
        sync_once();
        EXPECT_EQ(writes(), 0U);
        EXPECT_EQ(
            count("sync_status = 'held' AND sync_error = 'more than 5 leads were edited at once' AND phone = '+1 "
                  "held'"),
            "6");
        EXPECT_EQ(undecided("change", "local"), "6");
    }
    decide("approve");
    sync_once();
    for (std::size_t lead = 0; lead < 6; ++lead) EXPECT_EQ(remote_text(lead, "phone"), "+1 held");
    expect_in_step();
    edit(0, "phone = '+2'");
    sync_once();
    EXPECT_EQ(remote_text(0, "phone"), "+2") << "an approval holds up nothing afterwards";
}

TEST_F(GuardStory, RejectedEditsAreUndoneAndToldInTheHistory) {
    in_step(limits(changes_guarded));
    edit(0, "phone = '+1 before', custom_variables = '{\"tier\": \"before\"}'");
    sync_once();
    world().instantly().reset_log();
    world().sql(
        "UPDATE crm.leads SET phone = '+2 rejected', custom_variables = '{\"tier\": \"rejected\", \"more\": 1}'"
        + where_first(6));
    sync_once();
    decide("reject");
    sync_once();
    EXPECT_EQ(writes(), 0U);
    EXPECT_EQ(local(0, "phone || ' ' || (custom_variables ->> 'tier')"), "+1 before before");
    EXPECT_EQ(local(0, "custom_variables ? 'more'"), "f");
    expect_in_step();
    const auto told =
        "SELECT string_agg(format('%s: %s -> %s', field, coalesce(old, '-'), coalesce(new, '-')), '; ' "
        "ORDER BY field) FROM crm.history WHERE rule = 'rejected' AND field IS NOT NULL AND lead_id = '"
        + local(0, "id") + "'";
    EXPECT_EQ(world().value(told),
              "custom_variables.more: 1 -> -; custom_variables.tier: rejected -> before; phone: +2 rejected -> +1 "
              "before")
        << "no local edit is gone in silence";
}

TEST_F(GuardStory, AHeldLeadThatIsEditedAgainStaysHeld) {
    in_step(limits(changes_guarded));
    world().sql("UPDATE crm.leads SET phone = '+1'" + where_first(6));
    sync_once();
    edit(0, "phone = '+2', job_title = 'more'");
    sync_once();
    EXPECT_EQ(writes(), 0U);
    EXPECT_EQ(local(0, "sync_status || ' ' || phone"), "held +2");
    EXPECT_EQ(undecided("change", "local"), "6");
    decide("approve");
    sync_once();
    EXPECT_EQ(remote_text(0, "phone") + remote_text(0, "job_title"), "+2more");
    expect_in_step();
}

TEST_F(GuardStory, AnEditThereReachesAHeldLeadAndLetsNothingOut) {
    in_step(limits(changes_guarded));
    world().sql("UPDATE crm.leads SET phone = '+1'" + where_first(6));
    sync_once();
    world().instantly().edit(leads_[0], {{"job_title", "edited there"}});
    for (int sync = 0; sync < 2; ++sync) sync_once();
    EXPECT_EQ(local(0, "job_title || ' ' || phone || ' ' || sync_status"), "edited there +1 held");
    EXPECT_EQ(writes(), 0U);
    decide("reject");
    sync_once();
    EXPECT_EQ(local(0, "job_title"), "edited there");
    expect_in_step();
}

TEST_F(GuardStory, AHeldLeadThatIsDeletedIsDeleted) {
    in_step(limits(changes_guarded));
    world().sql("UPDATE crm.leads SET phone = '+1'" + where_first(6));
    sync_once();
    world().sql("DELETE FROM crm.leads" + where(0));
    sync_once();
    EXPECT_FALSE(world().instantly().lead(leads_[0]));
    EXPECT_EQ(undecided("change", "local"), "5");
}

TEST_F(GuardStory, WhatIsOnItsWayAlreadyDoesNotCountForTheNextEdits) {
    auto settings = limits(changes_guarded);
    settings.switches = {{"read_lag_ms", 600}};
    begin(settings);
    world().sql("UPDATE crm.leads SET phone = '+1'" + where_first(4));
    ASSERT_TRUE(test_support::eventually([&] { return count("sync_status = 'verifying'") == "4"; }));
    edit(4, "phone = '+1'");
    edit(5, "phone = '+1'");
    expect_in_step();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held"), "0");
}

TEST_F(GuardStory, APartNeverMeansFewerThanTenLeads) {
    in_step(limits({.deletes = {}, .creates = {}, .changes = {.part = 0.01}}));
    world().sql("UPDATE crm.leads SET phone = '+1'" + where_first(10));
    sync_once();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.held"), "0");
    world().sql("UPDATE crm.leads SET phone = '+2'" + where_first(11));
    sync_once();
    EXPECT_EQ(undecided("change", "local"), "11");
}

// --- local deletes -------------------------------------------------------------------------------------------------

const sync::Guard deletes_guarded{.deletes = {.leads = 5}, .creates = {}, .changes = {}};

TEST_F(GuardStory, TooManyDeletesAreHeldBeforeAnyIsSentAndGoWhenApproved) {
    in_step(limits(deletes_guarded));
    world().sql("DELETE FROM crm.leads" + where_first(6));
    for (int sync = 0; sync < 2; ++sync) {
        sync_once();
        EXPECT_EQ(writes(), 0U);
        EXPECT_EQ(undecided("delete", "local"), "6");
        EXPECT_EQ(count("true"), "34") << "a page brought a deleted row back";
    }
    decide("approve");
    sync_once();
    for (std::size_t lead = 0; lead < 6; ++lead) EXPECT_FALSE(world().instantly().lead(leads_[lead]));
    expect_in_step();
}

TEST_F(GuardStory, RejectedDeletesBringTheRowsBack) {
    in_step(limits(deletes_guarded));
    const auto id = local(0, "id");
    world().sql("DELETE FROM crm.leads" + where_first(6));
    sync_once();
    decide("reject");
    sync_once();
    EXPECT_EQ(writes(), 0U);
    EXPECT_EQ(count("true"), "40");
    EXPECT_EQ(local(0, "id"), id);
    expect_in_step();
    edit(0, "phone = '+1 as ever'");
    sync_once();
    EXPECT_EQ(remote_text(0, "phone"), "+1 as ever");
}

TEST_F(GuardStory, ARejectedDeleteOfALeadThatIsGoneThereTooComesToRest) {
    in_step(limits(deletes_guarded));
    world().sql("DELETE FROM crm.leads" + where_first(6));
    sync_once();
    world().instantly().remove(leads_[0]);
    decide("reject");
    sync_once();
    EXPECT_EQ(count("true"), "39");
    expect_in_step();
}

TEST_F(GuardStory, DeletesAreMeasuredAgainstTheLeadsThatWereThere) {
    in_step(limits({.deletes = {.part = 0.5}, .creates = {}, .changes = {}}));
    world().sql("DELETE FROM crm.leads WHERE id IN (SELECT id FROM crm.leads ORDER BY id LIMIT 20)");
    sync_once();
    EXPECT_EQ(undecided("delete", "local"), "0") << "half of forty are twenty";
    EXPECT_EQ(world().instantly().all_leads().size(), 20U);
}

TEST_F(GuardStory, DeletingEveryLeadIsHeldWhateverTheLimit) {
    in_step(limits({.deletes = {.leads = 1000}, .creates = {}, .changes = {}}));
    world().sql("DELETE FROM crm.leads");
    sync_once();
    EXPECT_EQ(writes(), 0U);
    EXPECT_EQ(undecided("delete", "local"), "40");
}

// --- edits made on Instantly ---------------------------------------------------------------------------------------

/// Six more leads than the guard lets in are edited there.
class RemoteEdits : public GuardStory {
protected:
    void edit_too_many_there() {
        in_step(limits(changes_guarded));
        std::vector<std::string> before;
        for (std::size_t lead = 0; lead < 11; ++lead) before.push_back(local(lead, "coalesce(phone, '')"));
        edit_there(0, 11, "+1 theirs");
        sync_once();
        for (held_ = 0; local(held_, "sync_status") != "held"; ++held_) {
        }
        before_ = before[held_];
    }
    std::size_t held_ = 0;  ///< one of those that are held
    std::string before_;    ///< its phone before
};

TEST_F(RemoteEdits, WhatIsMoreThanAllowedIsHeldAndDoesNotLeakInByTheNextSweep) {
    edit_too_many_there();
    for (int sync = 0; sync < 3; ++sync) {
        EXPECT_EQ(count("phone = '+1 theirs' AND sync_status = 'synced'"), "5");
        EXPECT_EQ(count("phone IS DISTINCT FROM '+1 theirs' AND sync_status = 'held'"), "6");
        EXPECT_EQ(undecided("change", "remote"), "6");
        sync_once();
    }
    EXPECT_EQ(writes(), 0U);
}

TEST_F(RemoteEdits, GoInWhenTheyAreApproved) {
    edit_too_many_there();
    decide("approve");
    sync_once();
    EXPECT_EQ(count("phone = '+1 theirs'"), "11");
    expect_in_step();
    EXPECT_EQ(writes(), 0U);
}

TEST_F(RemoteEdits, AreOverruledWhenTheyAreRejected) {
    edit_too_many_there();
    decide("reject");
    sync_once();
    EXPECT_EQ(local(held_, "coalesce(phone, '')"), before_);
    EXPECT_EQ(remote_text(held_, "phone"), before_);
    EXPECT_EQ(count("phone = '+1 theirs'"), "5");
    expect_in_step();
    EXPECT_EQ(undecided("change", "remote"), "0");
}

TEST_F(RemoteEdits, WaitAlsoWhenTheLeadIsEditedHere) {
    for (const auto* decision : {"approve", "reject"}) {
        edit_too_many_there();
        edit(held_, "job_title = 'ours'");
        for (int sync = 0; sync < 2; ++sync) {
            sync_once();
            EXPECT_EQ(local(held_, "sync_status || ' ' || coalesce(phone, '')"), "held " + before_);
            EXPECT_EQ(writes(), 0U);
            EXPECT_EQ(undecided("change", "remote"), "6");
        }
        decide(decision);
        sync_once();
        EXPECT_EQ(remote_text(held_, "job_title"), "ours");
        EXPECT_EQ(remote_text(held_, "phone"), std::string_view{decision} == "approve" ? "+1 theirs" : before_);
        expect_in_step();
    }
}

TEST_F(RemoteEdits, StayHeldWhenTheLeadIsSeenByALookForAnother) {
    edit_too_many_there();
    const auto email = local(held_, "email");
    // Where the answer is lost, every lead with that email is looked at.
    world().instantly().add_fault({{"kind", "lost"}, {"path", "/leads/add"}, {"count", 1}});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', '" + email + "', '"
                + world().other_campaign(local(held_, "campaign")) + "')");
    sync_once();
    EXPECT_EQ(count("lower(email) = lower('" + email + "') AND sync_status = 'synced'"), "1") << "the new one";
    EXPECT_EQ(local(held_, "sync_status || ' ' || coalesce(phone, '')"), "held " + before_);
    EXPECT_EQ(undecided("change", "remote"), "6");
}

TEST_F(RemoteEdits, MadeWhileOthersAreHeldAreMeasuredAnew) {
    edit_too_many_there();
    edit_there(11, 14, "+1 later");
    sync_once();
    EXPECT_EQ(count("phone = '+1 later' AND sync_status = 'synced'"), "3");
    EXPECT_EQ(undecided("change", "remote"), "6");
}

TEST_F(RemoteEdits, OfOneLeadCountOnceFromOneSweepToTheNext) {
    auto settings = limits(changes_guarded);
    settings.rest = 24h;
    settings.active = 1s;
    begin(settings);
    world().sql(
        "INSERT INTO sync.active SELECT 'acme', instantly_id, now() + interval '1 day' FROM crm.leads "
        "ON CONFLICT DO NOTHING");
    const auto comes_over = [this](const std::string& phone) {
        edit_there(0, 1, phone);
        return world().becomes("SELECT phone FROM crm.leads" + where(0), phone);
    };
    for (int n = 0; n < 7; ++n) ASSERT_TRUE(comes_over("+1 55" + std::to_string(n)));
    EXPECT_EQ(undecided("change", "remote"), "0");
    edit_there(1, 8, "+1 theirs");
    EXPECT_TRUE(world().becomes(
        "SELECT count(*) FROM crm.held WHERE decision IS NULL AND kind = 'change' AND side = 'remote'", "3"));
    EXPECT_EQ(count("phone = '+1 theirs'"), "4") << "with the first they are as many as may change";
    EXPECT_TRUE(comes_over("+1 again")) << "it counts already";
    EXPECT_EQ(undecided("change", "remote"), "3");
}

}  // namespace
}  // namespace leadsync::daemon
