#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

/// `crm.merge_leads`: the one operation that is no difference between a row and its base.
class Merges : public Story {
protected:
    void merge(std::size_t source, std::size_t destination) {
        world().sql("SELECT crm.merge_leads('acme', '" + local(source, "id") + "', '" + local(destination, "id")
                    + "')");
    }
    std::string refusal(const std::string& arguments) {
        try {
            world().sql("SELECT crm.merge_leads(" + arguments + ")");
            return "";
        } catch (const pqxx::sql_error& error) {
            return error.what();
        }
    }
    void expect_merged(std::size_t source, std::size_t destination) {
        EXPECT_FALSE(world().instantly().lead(leads_[source]));
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads" + where(source)), "0");
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.merges"), "0");
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.base" + where(source)), "0");
        EXPECT_EQ(local(destination, "sync_status"), "synced");
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'merged' AND side = 'local'"), "1");
        expect_in_step();
    }
};

TEST_F(Merges, TheSourceGoesAndTheDestinationShowsWhatItGot) {
    begin({.leads = 40});
    world().instantly().edit(leads_[0], {{"custom_variables", {{"from_source", "yes"}}}});
    const auto email = local(1, "email");
    merge(0, 1);
    ASSERT_TRUE(world().becomes("SELECT custom_variables ->> 'from_source' FROM crm.leads" + where(1), "yes"));
    expect_in_step();
    expect_merged(0, 1);
    EXPECT_EQ(local(1, "email"), email);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/merge"),
              (std::vector<json>{{{"lead_id", leads_[0]}, {"destination_lead_id", leads_[1]}}}));
}

TEST_F(Merges, WhoseAnswerWasLostAreDoneOnceAndBroughtHome) {
    for (const auto* kind : {"lost", "cut", "garbage"}) {
        in_step({.leads = 40});
        world().instantly().edit(leads_[0], {{"custom_variables", {{"from_source", "yes"}}}});
        world().instantly().add_fault({{"kind", kind}, {"path", "/leads/merge"}, {"count", 1}});
        merge(0, 1);
        world().start();
        EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads" + where(0), "0")) << kind;
        EXPECT_TRUE(world().becomes("SELECT custom_variables ->> 'from_source' FROM crm.leads" + where(1), "yes"))
            << kind << ": the destination is looked at although its answer was lost";
        expect_in_step();
        expect_merged(0, 1);
        EXPECT_EQ(world().bodies("POST", "/api/v2/leads/merge").size(), 1U) << kind;
    }
}

TEST_F(Merges, ASweepBetweenALostAnswerAndTheNextLookTakesTheSourceForNoDeletion) {
    in_step({.leads = 40});
    merge(0, 1);
    // As after a crash behind the request: carried out, and not known to be.
    world().sql("UPDATE sync.merges SET sent_at = now()");
    world().sql("UPDATE sync.queue SET due_at = now() + interval '1 hour'");
    world().instantly().remove(leads_[0]);
    world().sweep();
    EXPECT_EQ(local(0, "sync_status"), "pending");
    world().sql("UPDATE sync.queue SET due_at = now()");
    sync_once();
    expect_merged(0, 1);
}

TEST_F(Merges, PendingEditsOfTheSourceArePushedFirst) {
    in_step({.leads = 40, .conflicts = {.clearable = {sync::Field::phone}}});
    edit(0, R"(phone = '+1 source', custom_variables = '{"from_source": "edited"}')");
    world().instantly().edit(leads_[1], {{"phone", nullptr}});
    sync_once();
    edit(0, "phone = '+2 source'");
    merge(0, 1);
    sync_once();
    EXPECT_EQ(remote_text(1, "phone"), "+2 source");
    sync_once();
    EXPECT_EQ(local(1, "phone"), "+2 source");
    expect_merged(0, 1);
}

TEST_F(Merges, ThatWaitedLongForTheirTurnPushWhatWasEditedMeanwhileFirst) {
    in_step({.leads = 40, .conflicts = {.clearable = {sync::Field::phone}}, .new_leads = 1h, .patience = 500ms});
    for (const std::size_t destination : {1U, 3U})
        world().instantly().edit(leads_[destination], {{"phone", nullptr}});
    sync_once();
    world().instantly().add_fault(
        {{"kind", "status"}, {"status", 429}, {"retry_after_s", 4}, {"path", "/leads/merge"}, {"count", 1}});
    merge(0, 1);
    merge(2, 3);
    world().start();
    ASSERT_TRUE(test_support::eventually([&] { return world().requests("POST", "/leads/merge") == 1; }));
    for (const std::size_t source : {0U, 2U}) edit(source, "phone = '+1 meanwhile'");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.merges", "0"));
    world().settles();
    for (const std::size_t source : {0U, 2U}) {
        EXPECT_EQ(world().requests("PATCH", leads_[source]), 1U) << source;
        EXPECT_FALSE(world().instantly().lead(leads_[source])) << source;
        EXPECT_EQ(remote_text(source + 1, "phone"), "+1 meanwhile") << source;
        EXPECT_EQ(local(source + 1, "phone"), "+1 meanwhile") << source;
    }
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.attempts"), "1") << "what waited in vain was no attempt";
    expect_in_step();
}

TEST_F(Merges, WhoseSourceALateListingStillShowsDoNotBringItBack) {
    in_step({.leads = 40, .switches = {{"read_lag_ms", 1000}}});
    merge(0, 1);
    sync_once();
    EXPECT_TRUE(world().value("SELECT count(*) FROM crm.leads" + where(0)) == "0");
    sync_once();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads" + where(0)), "0") << "a ghost, as a row of its own";
}

TEST_F(Merges, AnEditOfTheDestinationMadeMeanwhileSurvives) {
    in_step({.leads = 40});
    merge(0, 1);
    edit(1, "job_title = 'edited here'");
    sync_once();
    EXPECT_EQ(remote_text(1, "job_title"), "edited here");
    expect_merged(0, 1);
}

TEST_F(Merges, AreRefusedByInstantlyInWordsOnTheRow) {
    in_step({.leads = 40});
    world().instantly().add_fault({{"kind", "status"}, {"status", 400}, {"path", "/leads/merge"}});
    merge(0, 1);
    sync_once();
    EXPECT_TRUE(local(0, "sync_status || ': ' || sync_error").starts_with("error: POST /api/v2/leads/merge: 400"))
        << local(0, "sync_error");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.merges"), "0");
    world().instantly().clear_faults();
    merge(0, 1);
    sync_once();
    expect_merged(0, 1);
}

TEST_F(Merges, ThatAreRefusedAfterALostAnswerEndInWordsToo) {
    in_step({.leads = 40, .patience = 100ms});
    world().instantly().add_fault({{"kind", "status"}, {"path", "/leads/merge"}, {"count", 1}});
    world().instantly().add_fault({{"kind", "status"}, {"status", 400}, {"path", "/leads/merge"}});
    merge(0, 1);
    sync_once();
    EXPECT_EQ(local(0, "sync_status"), "error");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.merges"), "0");
    EXPECT_LE(world().bodies("POST", "/api/v2/leads/merge").size(), 6U);
}

TEST_F(Merges, OfALeadThatIsGoneThereSaySo) {
    for (const std::size_t gone : {0U, 1U}) {
        in_step({.leads = 40});
        world().instantly().remove(leads_[gone]);
        merge(0, 1);
        world().start();
        ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "error"));
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.merges"), "0") << gone;
        world().settles();
    }
}

TEST_F(Merges, ThatCanNotBeAreRefusedWhereTheyAreAsked) {
    in_step({.leads = 40});
    postgres::Database database{world().url(), 1};
    database.run_blocking([](pqxx::work& transaction) {
        transaction.exec("INSERT INTO crm.workspaces (name) VALUES ('beta')");
        transaction.exec(
            "INSERT INTO crm.leads (workspace, id, instantly_id) VALUES ('beta', "
            "'11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222')");
    });
    world().sql(
        "INSERT INTO crm.leads (workspace, id, email) VALUES ('acme', '33333333-3333-4333-8333-333333333333', "
        "'local@acme.io')");
    const auto a = "'" + local(0, "id") + "'";
    const auto b = "'" + local(1, "id") + "'";
    const auto c = "'" + local(2, "id") + "'";
    const auto expect = [&](const std::string& arguments, const std::string& words) {
        const auto said = refusal(arguments);
        EXPECT_NE(said.find(words), std::string::npos) << arguments << ": " << said;
    };
    expect("'acme', " + a + ", " + a, "can't be merged with itself");
    expect("'acme', " + a + ", '11111111-1111-4111-8111-111111111111'", "It is in workspace \"beta\"");
    expect("'beta', " + a + ", '11111111-1111-4111-8111-111111111111'", "workspace \"beta\" has no lead");
    expect("'acme', " + a + ", gen_random_uuid()", "Give the ids of crm.leads");
    expect("'acme', " + a + ", '33333333-3333-4333-8333-333333333333'", "is not on Instantly");
    expect("'acme', '33333333-3333-4333-8333-333333333333', " + a, "is not on Instantly");
    EXPECT_EQ(refusal("'acme', " + a + ", " + b), "");
    expect("'acme', " + a + ", " + c, "is being merged already");
    expect("'acme', " + b + ", " + c, "is being merged already");
    expect("'acme', " + c + ", " + a, "is being merged already");
    EXPECT_EQ(refusal("'acme', " + c + ", " + b), "") << "two into one";
    sync_once();
    EXPECT_FALSE(world().instantly().lead(leads_[0]));
    EXPECT_FALSE(world().instantly().lead(leads_[2]));
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.merges"), "0");
}

}  // namespace
}  // namespace leadsync::daemon
