#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

#include "sync/fields.hpp"
#include "tests/daemon/synced_world.hpp"
#include "tests/sandbox/test_client.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test_support::eventually;

constexpr auto user_one = "44444444-4444-4444-8444-444444444444";
constexpr auto user_two = "55555555-5555-4555-8555-555555555555";
constexpr auto subsequence = "33333333-3333-4333-8333-333333333333";
constexpr auto nowhere = "99999999-9999-4999-8999-999999999999";
constexpr auto whichever_mode = {"merge", "replace"};  // what a PATCH does to the other custom variables

/// Every line of the SQL table (DESIGN §1.3), over the sandbox.
class Operations : public Story {
protected:
    /// Leads on Instantly that hold this value.
    std::size_t count_there(const std::string& field, const std::string& value) {
        std::size_t count = 0;
        for (const auto& lead : world().instantly().all_leads()) count += lead.value(field, "") == value ? 1U : 0U;
        return count;
    }

    /// The first POST of leadsync's life is the create.
    void insert_nameless_and_lose_the_answer() {
        world().sql("INSERT INTO crm.leads (workspace, first_name, list_id) VALUES ('acme', 'Nameless', '"
                    + world().any_list() + "')");
        world().instantly().add_fault(
            {{"kind", "lost"}, {"method", "POST"}, {"path", "/api/v2/leads"}, {"count", 1}});
        world().start();
        ASSERT_TRUE(eventually([&] { return world().bodies("POST", "/api/v2/leads").size() == 1; }))
            << "the fault hit another request";
    }

    /// A row whose create an earlier process has noted then, and died.
    void leave_a_create_behind(const std::string& noted_at) {
        world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'left@acme.io', '"
                    + world().any_campaign() + "')");
        world().sql(
            "INSERT INTO sync.creates (workspace, lead_id, attempted_at, last_attempt_at, campaign, last_campaign, "
            "email) SELECT workspace, id, at, at, campaign, campaign, email "
            "FROM crm.leads, LATERAL (SELECT now() + interval '"
            + noted_at + "' AS at) noted WHERE email = 'left@acme.io'");
    }

    /// When requests to add leads arrived, by the steady clock.
    std::vector<std::chrono::microseconds> additions() {
        std::vector<std::chrono::microseconds> times;
        for (const auto& request : world().instantly().requests("/leads/add"))
            times.emplace_back(request.at("monotonic_us").get<std::int64_t>());
        return times;
    }

    json lead_called(const std::string& email) {
        return world()
            .instantly()
            .lead(world().value("SELECT instantly_id FROM crm.leads WHERE email = '" + email + "'"))
            .value();
    }
};

// --- INSERT --------------------------------------------------------------------------------------------------------

TEST_F(Operations, AnInsertWithAListBecomesALeadOfThatList) {
    in_step({.leads = 40});
    const auto list = world().any_list();
    world().sql(
        "INSERT INTO crm.leads (workspace, email, first_name, list_id, custom_variables) VALUES ('acme', "
        "'ada@acme.io', 'Ada', '"
        + list + R"(', '{"tier": "gold", "seats": 3, "none": null}'))");
    sync_once();
    const auto lead = lead_called("ada@acme.io");
    EXPECT_EQ(lead.at("list_id"), list);
    EXPECT_EQ(lead.at("payload").at("seats"), 3);
    expect_in_step();
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/add").size(), 1U);
}

TEST_F(Operations, ManyInsertsIntoOneCampaignAreOneRequest) {
    in_step({.leads = 40});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) SELECT 'acme', 'n' || n || '@acme.io', '"
                + world().any_campaign() + "' FROM generate_series(1, 50) n");
    sync_once();
    expect_in_step();
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/add").size(), 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'created'"), "50");
}

TEST_F(Operations, AnInsertWithNeitherStaysLocalUntilOneIsSet) {
    in_step({.leads = 40});
    world().sql(
        "INSERT INTO crm.leads (workspace, email) VALUES ('acme', 'later@acme.io'), ('acme', 'listed@acme.io')");
    sync_once();
    EXPECT_EQ(count_there("email", "later@acme.io"), 0U);
    EXPECT_EQ(world().value("SELECT sync_error FROM crm.leads WHERE email = 'later@acme.io'"),
              "local only: set campaign or list_id to create it on Instantly");

    world().sql("UPDATE crm.leads SET campaign = '" + world().any_campaign() + "' WHERE email = 'later@acme.io'");
    world().sql("UPDATE crm.leads SET list_id = '" + world().any_list() + "' WHERE email = 'listed@acme.io'");
    sync_once();
    EXPECT_EQ(lead_called("later@acme.io").at("campaign"), world().any_campaign());
    EXPECT_EQ(lead_called("listed@acme.io").at("list_id"), world().any_list());
    expect_in_step();
}

TEST_F(Operations, ALeadInsertedWithASubsequenceGetsItByACallOfItsOwn) {
    in_step({.leads = 40});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign, subsequence_id) VALUES ('acme', 'sub@acme.io', '"
                + world().any_campaign() + "', '" + subsequence + "')");
    sync_once();
    EXPECT_EQ(lead_called("sub@acme.io").at("subsequence_id"), subsequence);
    expect_in_step();
}

TEST_F(Operations, AnInsertWithoutAnEmailIntoAListIsCreatedByItself) {
    in_step({.leads = 40});
    world().sql(
        "INSERT INTO crm.leads (workspace, first_name, list_id, lt_interest_status, custom_variables) VALUES "
        "('acme', 'Nameless', '"
        + world().any_list() + R"(', 1, '{"source": "fair"}'))");
    sync_once();
    EXPECT_EQ(count_there("first_name", "Nameless"), 1U);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads").size(), 1U);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/add").size(), 0U);
    expect_in_step();
    sync_once();
    EXPECT_EQ(count_there("first_name", "Nameless"), 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.creates"), "0") << "its outcome is known";
}

/// Where a create is looked for begins at an id that no lead has.
class LostCreates : public Operations, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(UnknownCursors, LostCreates, testing::Values("accept", "400", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

TEST_P(LostCreates, AreLookedForAndMakeNoSecondLead) {
    in_step({.leads = 40, .switches = {{"unknown_cursor", GetParam()}}, .new_leads = 1h, .patience = 1500ms});
    insert_nameless_and_lose_the_answer();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE first_name = 'Nameless'", "synced"));
    EXPECT_EQ(count_there("first_name", "Nameless"), 1U);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads").size(), 1U);
    expect_in_step();

    std::string sent;
    std::string looked;
    for (const auto& request : world().instantly().requests("/api/v2/leads")) {
        if (request.at("path") == "/api/v2/leads") sent = request.at("time");
        if (looked.empty() && request.at("path") == "/api/v2/leads/list"
            && json::parse(request.at("body").get<std::string>()).contains("list_id"))
            looked = request.at("time");
    }
    ASSERT_FALSE(looked.empty());
    EXPECT_GE(*sync::instant_of(looked) - *sync::instant_of(sent), 1400ms) << "a read may lag behind it until then";
}

TEST_F(Operations, ACreateWithoutAnEmailWhoseAnswerWasLostIsKnownAgainWhenAPageShowsIt) {
    in_step({.leads = 40, .new_leads = 300ms, .patience = 15s});
    insert_nameless_and_lose_the_answer();
    ASSERT_TRUE(
        world().becomes("SELECT count(*) FROM crm.leads WHERE first_name = 'Nameless' AND instantly_id IS NOT "
                        "NULL",
                        "1"));
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE first_name = 'Nameless'"), "1") << "not as a twin";
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads").size(), 1U);
    expect_in_step();
}

TEST_F(Operations, ACreateWithoutAnEmailThatNeverLeftIsSentAgain) {
    in_step({.leads = 40, .patience = 300ms});
    world().sql("INSERT INTO crm.leads (workspace, first_name, list_id) VALUES ('acme', 'Nameless', '"
                + world().any_list() + "')");
    world().instantly().add_fault({{"kind", "reset"}, {"method", "POST"}, {"path", "/api/v2/leads"}, {"count", 1}});
    world().start();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE first_name = 'Nameless'", "synced"));
    EXPECT_EQ(count_there("first_name", "Nameless"), 1U);
    expect_in_step();
}

// --- creates that wait for their turn, or end in doubt -------------------------------------------------------------

/// The server asks for a rest between the note and the request.
TEST_F(Operations, ARowDeletedWhileItsCreateWaitsForItsTurnIsNotCreated) {
    in_step({.leads = 40, .rest = 1h, .new_leads = 1h, .look_keeps = 500ms});
    world().sql("INSERT INTO crm.leads (workspace, first_name, list_id) SELECT 'acme', 'Nameless ' || n, '"
                + world().any_list() + "' FROM generate_series(1, 2) n");
    world().instantly().add_fault({{"kind", "status"},
                                   {"status", 429},
                                   {"retry_after_s", 3},
                                   {"method", "POST"},
                                   {"path", "/api/v2/leads"},
                                   {"count", 1}});
    world().start();
    const std::string waiting =
        " FROM sync.creates c JOIN crm.leads l ON l.id = c.lead_id JOIN sync.queue q ON q.lead_id = c.lead_id "
        "WHERE q.attempts = 0 AND EXISTS (SELECT FROM sync.queue WHERE attempts = 1)";
    ASSERT_TRUE(world().becomes("SELECT count(*)" + waiting, "1")) << "one is refused, the other noted";
    const auto name = world().value("SELECT l.first_name" + waiting);
    world().sql("DELETE FROM crm.leads WHERE first_name = '" + name + "'");
    expect_in_step();
    EXPECT_EQ(count_there("first_name", name), 0U);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads").size(), 2U) << "the other one, twice";
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.creates"), "0");
}

TEST_F(Operations, ARowSetElsewhereWhileItsCreateWaitsForItsTurnIsMadeThereOnly) {
    begin({.leads = 40,
           .deletes = {.local = sync::LocalDeletes::push},
           .rest = 1h,
           .new_leads = 1h,
           .look_keeps = 500ms});
    world().instantly().set_switches({{"latency_ms", 2'000}});
    world().instantly().add_fault(
        {{"kind", "status"}, {"status", 429}, {"retry_after_s", 3}, {"method", "DELETE"}, {"count", 1}});
    world().sql("DELETE FROM crm.leads" + where(0));
    ASSERT_TRUE(eventually([&] { return world().requests("DELETE", "/leads") == 1; }));
    // The look is on its way when that is refused, and answered after it.
    const auto campaign = world().any_campaign();
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '" + campaign
                + "')");
    ASSERT_TRUE(world().becomes("SELECT count(*) FROM sync.creates", "1"));
    world().instantly().set_switches({{"latency_ms", 0}});
    world().sql("UPDATE crm.leads SET campaign = '" + world().other_campaign(campaign)
                + "' WHERE email = 'once@acme.io'");
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'", "synced"));
    const auto made = world().bodies("POST", "/api/v2/leads/add");
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(made.front().at("campaign_id"), world().other_campaign(campaign));
    EXPECT_FALSE(made.front().value("skip_if_in_workspace", false)) << "nothing of it was in doubt";
    expect_in_step();
}

/// Whether the lead that a look shows is that of the row can't be told as long as somebody is writing the row.
TEST_F(Operations, ACreateInDoubtIsNotSentAgainWhileSomebodyIsWritingItsRow) {
    begin({.leads = 40, .rest = 1h, .new_leads = 1h, .patience = 1s});
    world().stop();
    insert_nameless_and_lose_the_answer();
    pqxx::connection other{world().url()};
    pqxx::work open{other};
    open.exec("SELECT FROM crm.leads WHERE first_name = 'Nameless' FOR UPDATE");
    const auto looks = world().requests("POST", "/leads/list");
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/list") >= looks + 3; }));
    open.abort();
    EXPECT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE first_name = 'Nameless'", "synced"));
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads").size(), 1U);
    EXPECT_EQ(count_there("first_name", "Nameless"), 1U);
}

/// One request a second: the turn that follows the look never comes in time.
TEST_F(Operations, ACreateLeavesHoweverSmallTheBudgetIs) {
    in_step({.leads = 40, .campaigns = 1, .rest = 1h, .new_leads = 1h, .look_keeps = 500ms});
    world().use_share(0.01);
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '"
                + world().any_campaign() + "')");
    world().start();
    EXPECT_TRUE(eventually(
        [&] { return world().value("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'") == "synced"; }));
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/add").size(), 1U);
    EXPECT_GT(world().bodies("POST", "/api/v2/leads/list").size(), 3U) << "it was looked at anew, a few times";
}

/// The connection is lost a second after the create was noted, when half of what reads may lag by is over.
TEST_F(Operations, ReadsMayLagBehindACreateFromItsEndOn) {
    begin({.leads = 40, .rest = 1h, .new_leads = 1h, .patience = 2s});
    world().instantly().set_switches({{"latency_ms", 1'000}});
    world().instantly().add_fault({{"kind", "reset"}, {"path", "/leads/add"}, {"count", 1}});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'once@acme.io', '"
                + world().any_campaign() + "')");
    ASSERT_TRUE(world().becomes("SELECT attempts FROM sync.queue", "1"));
    EXPECT_EQ(world().value("SELECT last_attempt_at - attempted_at >= interval '1 second' FROM sync.creates"), "t");
    world().instantly().set_switches({{"latency_ms", 0}});
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'once@acme.io'", "synced"));
    const auto sent = additions();
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_GE(sent.back() - sent.front(), 2'490ms) << "of the first, half a second was still to come";
    expect_in_step();
}

TEST_F(Operations, ReadsMayLagBehindACreateThatADeadProcessLeftFromTheNextStartOn) {
    in_step({.leads = 40, .rest = 1h, .new_leads = 1h, .patience = 2s});
    leave_a_create_behind("-1 minute");
    const auto started = std::chrono::steady_clock::now().time_since_epoch();
    world().start();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'left@acme.io'", "synced"));
    const auto sent = additions();
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_GE(sent.front() - started, 1'990ms);
    EXPECT_EQ(count_there("email", "left@acme.io"), 1U);
    expect_in_step();
}

TEST_F(Operations, ACreateInDoubtDoesNotWaitForAClockThatWasSetBack) {
    in_step({.leads = 40, .rest = 1h, .new_leads = 1h, .patience = 500ms});
    leave_a_create_behind("1 day");
    world().start();
    EXPECT_TRUE(world().becomes("SELECT sync_status FROM crm.leads WHERE email = 'left@acme.io'", "synced"));
    expect_in_step();
}

TEST(NotedCreates, MayMakeTheirLeadForAsLongAsTheirRequestMayBeUnderWay) {
    const auto turn_keeps = 1s;  // daemon/pace.cpp, departs_within
    EXPECT_GE(store::NotedCreate::under_way_max,
              PusherTiming{}.look_keeps + turn_keeps + instantly::TransportOptions{}.total_timeout);
}

TEST_F(Operations, ACreateThatIsRefusedIsToldOnItsRowAndTheOthersGoOn) {
    in_step({.leads = 40});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'lost@acme.io', '"
                + std::string{nowhere} + "'), ('acme', 'lost2@acme.io', '" + nowhere
                + "'), ('acme', 'found@acme.io', '" + world().any_campaign() + "')");
    sync_once();
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE email = 'found@acme.io'"), "synced");
    for (const auto* email : {"lost@acme.io", "lost2@acme.io"}) {
        const auto row = world().value(std::string{"SELECT sync_status || ': ' || sync_error FROM crm.leads WHERE "
                                                   "email = '"}
                                       + email + "'");
        EXPECT_TRUE(row.starts_with("error: ")) << row;
        EXPECT_NE(row.find("Campaign not found"), std::string::npos) << row;
    }
    world().sql("UPDATE crm.leads SET campaign = '" + world().any_campaign() + "' WHERE email = 'lost@acme.io'");
    sync_once();
    EXPECT_EQ(world().value("SELECT sync_status FROM crm.leads WHERE email = 'lost@acme.io'"), "synced")
        << "an edit revives it";
}

TEST_F(Operations, ARowDeletedBeforeItIsCreatedIsNotCreated) {
    in_step({.leads = 40});
    world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'never@acme.io', '"
                + world().any_campaign() + "')");
    world().sql("DELETE FROM crm.leads WHERE email = 'never@acme.io'");
    sync_once();
    EXPECT_EQ(count_there("email", "never@acme.io"), 0U);
    expect_in_step();
}

// --- UPDATE of profile fields and custom variables -----------------------------------------------------------------

std::string new_value(const sync::FieldSpec& line) {
    if (line.kind == sync::Kind::integer) return "2";
    return line.kind == sync::Kind::uuid ? user_one : "new " + std::string{line.name};
}

TEST_F(Operations, AnUpdateOfEveryColumnThatGoesBothWaysArrivesAndSoDoesItsClearing) {
    for (const auto* mode : whichever_mode) {
        in_step({.leads = 40, .switches = {{"custom_variables", mode}}});
        std::map<sync::Field, std::string> set;
        std::size_t lead = 0;
        for (const auto& line : sync::field_table()) {
            if (line.owner != sync::Owner::both_ways) continue;
            auto value = new_value(line);
            if (line.field == sync::Field::campaign) value = world().other_campaign(local(lead, "campaign"));
            if (line.field == sync::Field::list_id) value = world().any_list();
            edit(lead, std::string{line.name} + " = '" + value + "'");
            set[line.field] = value;
            ++lead;
        }
        sync_once();
        lead = 0;
        for (const auto& [field, value] : set) {
            const std::string name{sync::spec(field).name};
            EXPECT_EQ(remote_text(lead++, name), value) << name;
            EXPECT_EQ(
                world().value("SELECT count(*) FROM crm.history WHERE side = 'local' AND rule = 'edit' AND field "
                              "= '"
                              + name + "' AND new = '" + value + "'"),
                "1")
                << name;
        }
        expect_in_step();
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.conflicts"), "0");
        const auto patches = world().requests("PATCH", "/leads/");

        lead = 0;
        for (const auto& [field, value] : set) {
            const bool place = field == sync::Field::campaign || field == sync::Field::list_id;
            if (!place) edit(lead, std::string{sync::spec(field).name} + " = NULL");
            ++lead;
        }
        sync_once();
        lead = 0;
        for (const auto& [field, value] : set) {
            const bool place = field == sync::Field::campaign || field == sync::Field::list_id;
            const std::string name{sync::spec(field).name};
            EXPECT_EQ(remote_text(lead++, name), place ? value : "") << name;
        }
        expect_in_step();
        sync_once();
        EXPECT_EQ(world().requests("PATCH", "/leads/"), 2 * patches) << "nothing is sent again";
    }
}

TEST_F(Operations, SeveralFieldsOfALeadGoInOnePatch) {
    in_step({.leads = 40});
    edit(0, "first_name = 'Ada', phone = '+1', website = NULL, custom_variables = custom_variables || '{\"a\": 1}'");
    sync_once();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 1U);
    expect_in_step();
}

TEST_F(Operations, AnEditOfALeadThatListsHideIsPushedAllTheSame) {
    in_step({.leads = 40});
    world().instantly().set_switches({{"hidden_ids", {leads_[0]}}});
    edit(0, "phone = '+1 hidden', lt_interest_status = 1");
    sync_once();
    EXPECT_EQ(remote_text(0, "phone"), "+1 hidden");
    expect_in_step();
}

TEST_F(Operations, APageAskedForBeforeAWriteAndAnsweredAfterItUndoesNothing) {
    in_step({.leads = 40, .rest = 500ms, .new_leads = 1h});
    // The first list of leadsync's life is the sweep's: read a second from now, answered another second later.
    world().instantly().add_fault({{"kind", "hang"}, {"ms", 2000}, {"path", "/leads/list"}, {"count", 1}});
    world().start();
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/list") == 1; }));
    edit(0, "phone = '+1 new'");
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    ASSERT_EQ(world().value("SELECT count(*) FROM sync.sweeps"), "1") << "the page was there sooner";
    ASSERT_TRUE(world().is_swept());
    EXPECT_EQ(local(0, "phone"), "+1 new");
    EXPECT_EQ(remote_text(0, "phone"), "+1 new");
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 1U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE side = 'remote' AND field IS NOT NULL"), "0");
    expect_in_step();
}

TEST_F(Operations, AnEditMadeWhileTheOneBeforeIsBeingRefusedIsSent) {
    begin({.leads = 40, .switches = {{"latency_ms", 300}}});
    world().instantly().add_fault({{"kind", "status"}, {"status", 400}, {"method", "PATCH"}, {"count", 1}});
    edit(0, "phone = '+1 refused'");
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "verifying"));
    edit(0, "phone = '+1 accepted'");
    ASSERT_TRUE(eventually([&] { return remote_text(0, "phone") == "+1 accepted"; }));
    expect_in_step();
}

TEST_F(Operations, CustomVariablesAddedChangedAndRemovedArriveUnderEveryReadingOfTheApi) {
    for (const auto* mode : whichever_mode)
        for (const bool null_removes : {true, false})
            for (const bool empty_removes : {true, false})
                for (const bool as_text : {true, false}) {
                    in_step({.leads = 20,
                             .switches = {{"custom_variables", mode},
                                          {"null_removes", null_removes},
                                          {"empty_removes", empty_removes},
                                          {"numbers_as_text", as_text}}});
                    edit(0, R"(custom_variables = '{"kept": "1", "changed": 1, "dropped": "x", "nulled": true}')");
                    sync_once();
                    expect_in_step();
                    edit(0, R"(custom_variables = '{"kept": "1", "changed": 2.5, "added": false, "nulled": null}')");
                    // Another key, changed there meanwhile: the complete map that is sent must not undo it.
                    world().instantly().edit(leads_[0], {{"custom_variables", {{"theirs", "42"}}}});
                    sync_once();
                    expect_in_step();
                    const auto payload = remote(0).at("payload");
                    EXPECT_EQ(payload.at("kept"), "1");
                    EXPECT_EQ(payload.at("theirs"), "42");
                    EXPECT_EQ(payload.at("added"), false);
                    EXPECT_EQ(sync::text_of(payload.at("changed")), "2.5");
                    EXPECT_EQ(payload.value("dropped", ""), "");
                    EXPECT_EQ(sync::text_of(payload.value("nulled", json(""))).value_or(""), "");
                    EXPECT_EQ(local(0, "custom_variables ->> 'theirs'"), "42");
                    EXPECT_EQ(world().value("SELECT count(*) FROM crm.conflicts"), "0");
                    EXPECT_EQ(world().requests("PATCH", leads_[0]), 2U);
                }
}

TEST_F(Operations, WhatIsStillToBeCalledAfterASlowCallWaitsForANewLook) {
    in_step({.leads = 40});
    const auto target = world().other_campaign(local(1, "campaign"));
    world().instantly().add_fault({{"kind", "hang"}, {"ms", 2'500}, {"method", "PATCH"}, {"count", 2}});
    edit(0, "phone = '+1 slow', lt_interest_status = 2");
    edit(1, "phone = '+1 slow', campaign = '" + target + "'");
    world().start();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "verifying"));
    world().instantly().edit(leads_.at(0), {{"lt_interest_status", -1}});
    EXPECT_TRUE(world().settles());
    expect_in_step();
    EXPECT_EQ(remote(0).at("lt_interest_status"), 2);
    EXPECT_EQ(remote(1).at("campaign"), target);
    EXPECT_EQ(world().value("SELECT remote || ' ' || rule FROM crm.conflicts"), "-1 local")
        << "an edit made there while the first call was under way is not overwritten unseen";
    EXPECT_EQ(world().value("SELECT string_agg(field, ' ' ORDER BY field) FROM crm.history WHERE rule = 'put off'"),
              "campaign lt_interest_status");
    EXPECT_EQ(world().requests("POST", "/update-interest-status"), 1U);
    EXPECT_EQ(world().requests("POST", "/leads/move"), 1U);
}

/// What goes in a request with others leaves after the calls that leads have to themselves, one of which the server
/// has answered with 429 by then.
TEST_F(Operations, AnAssignmentAndAMoveThatWaitedLongForTheirTurnAreLookedAtAnew) {
    in_step({.leads = 40, .new_leads = 1h});
    const auto source = local(3, "campaign");
    const auto before = world().other_campaign(source);
    const auto target = world().value("SELECT id FROM crm.campaigns WHERE id NOT IN ('" + source + "', '" + before
                                      + "') ORDER BY id LIMIT 1");
    world().instantly().add_fault(
        {{"kind", "status"}, {"status", 429}, {"retry_after_s", 4}, {"method", "PATCH"}, {"count", 1}});
    world().sql(std::string{"UPDATE crm.leads SET assigned_to = '"} + user_one + "'" + where_first(3));
    edit(3, "campaign = '" + before + "'");
    edit(4, "phone = '+1 refused'");
    world().start();
    ASSERT_TRUE(eventually([&] { return world().requests("PATCH", leads_[4]) == 1; }));
    world().instantly().edit(leads_[0], {{"assigned_to", user_two}});
    edit(3, "campaign = '" + target + "'");
    edit(4, "phone = '+1 at last'");
    expect_in_step();
    EXPECT_EQ(world().value("SELECT remote || ' ' || rule FROM crm.conflicts"), std::string{user_two} + " local")
        << "an edit made there while the assignment waited is not overwritten unseen";
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(remote_text(i, "assigned_to"), user_one) << i;
    EXPECT_EQ(remote_text(3, "campaign"), target);
    EXPECT_EQ(world().requests("POST", "/leads/move"), 1U) << "it went where the row had said before";
    EXPECT_EQ(world().value("SELECT string_agg(field, ' ' ORDER BY field) FROM crm.history WHERE rule = 'put off'"),
              "assigned_to assigned_to assigned_to campaign");
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.attempts WHERE lead_id <> '" + local(4, "id") + "'"), "0");
}

TEST_F(Operations, WhatWaitsLongForItsTurnIsLookedAtAnew) {
    in_step({.leads = 40, .share = 0.05});
    world().sql("UPDATE crm.leads SET phone = '+1 here' WHERE id IN (SELECT id FROM crm.leads ORDER BY id LIMIT 20)");
    const auto last = world().value("SELECT instantly_id FROM crm.leads ORDER BY id LIMIT 1 OFFSET 19");
    world().instantly().reset_log();
    world().start();
    ASSERT_TRUE(eventually([&] { return world().requests("PATCH", "/leads") >= 4; }));
    world().instantly().edit(last.c_str(), {{"phone", "+1 there"}});
    EXPECT_TRUE(eventually([&] { return world().requests("PATCH", "/leads") >= 20; }, 30s));
    EXPECT_TRUE(world().settles());
    EXPECT_EQ(world().value("SELECT remote || ' ' || rule FROM crm.conflicts"), "+1 there local")
        << "the limit is five a second, and what was seen four seconds ago is not written on";
}

// --- UPDATE lt_interest_status -------------------------------------------------------------------------------------

TEST_F(Operations, AfterAnInterestIsSetOrClearedEveryLeadOfThatEmailIsLookedAt) {
    in_step({.leads = 40});
    const auto email = local(0, "email");
    const auto elsewhere = world().other_campaign(local(0, "campaign"));
    const std::string twin = world().instantly().add({{"email", email}, {"campaign", elsewhere}}).at("id");
    sync_once();
    world().start();
    for (const auto* interest : {"3", "NULL"}) {
        world().instantly().reset_log();
        edit(0, std::string{"lt_interest_status = "} + interest);
        ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
        EXPECT_TRUE(eventually([&] {
            for (const auto& body : world().bodies("POST", "/api/v2/leads/list"))
                if (body.value("ids", json::array()).dump().find(twin) != std::string::npos) return true;
            return false;
        })) << "a server that reads the scope otherwise would have changed it";
        EXPECT_FALSE(world().instantly().lead(twin)->contains("lt_interest_status"));
        expect_in_step();
    }
}

TEST_F(Operations, TheInterestOfAListLeadIsScopedToItsList) {
    in_step({.leads = 60});
    const auto id = world().value(
        "SELECT instantly_id FROM crm.leads WHERE list_id IS NOT NULL AND campaign IS NULL AND email IS NOT NULL "
        "LIMIT "
        "1");
    world().sql("UPDATE crm.leads SET lt_interest_status = -1 WHERE instantly_id = '" + id + "'");
    sync_once();
    EXPECT_EQ(world().instantly().lead(id)->at("lt_interest_status"), -1);
    const auto bodies = world().bodies("POST", "/api/v2/leads/update-interest-status");
    ASSERT_EQ(bodies.size(), 1U);
    EXPECT_EQ(bodies[0].at("list_id"), world().instantly().lead(id)->at("list_id"));
    EXPECT_FALSE(bodies[0].contains("campaign_id"));
    expect_in_step();
}

// --- UPDATE campaign, list_id --------------------------------------------------------------------------------------

TEST_F(Operations, ALeadMovesBetweenCampaignsAndListsInEveryDirection) {
    in_step({.leads = 40});
    const auto campaign = local(0, "campaign");
    const auto other = world().other_campaign(campaign);
    const auto list = world().any_list();
    const auto other_list = world().value("SELECT id FROM crm.lead_lists ORDER BY id DESC LIMIT 1");
    ASSERT_NE(list, other_list);
    const struct {
        std::string assignment;
        const char* column;
        std::string target;
    } moves[] = {{"campaign = '" + other + "'", "campaign", other},
                 {"list_id = '" + list + "', campaign = NULL", "list_id", list},
                 {"list_id = '" + other_list + "'", "list_id", other_list},
                 {"campaign = '" + campaign + "'", "campaign", campaign}};
    std::size_t jobs = 0;
    for (const auto& [assignment, column, target] : moves) {
        edit(0, assignment);
        sync_once();
        EXPECT_EQ(remote_text(0, column), target) << assignment;
        EXPECT_EQ(local(0, column), target) << assignment;
        expect_in_step();
        EXPECT_EQ(world().bodies("POST", "/api/v2/leads/move").size(), ++jobs);
    }
}

TEST_F(Operations, AMoveKeepsTheInterestThatWasSetWithIt) {
    in_step({.leads = 40});
    const auto target = world().other_campaign(local(0, "campaign"));
    edit(0, "lt_interest_status = 4, phone = '+1 moved', campaign = '" + target + "'");
    sync_once();
    EXPECT_EQ(remote(0).at("lt_interest_status"), 4);
    EXPECT_EQ(remote(0).at("campaign"), target);
    EXPECT_EQ(remote(0).at("phone"), "+1 moved");
    expect_in_step();
}

TEST_F(Operations, AMoveWhoseJobFailsIsTriedAgain) {
    begin({.leads = 40, .switches = {{"job_outcome", "failed"}}});
    const auto target = world().other_campaign(local(0, "campaign"));
    edit(0, "campaign = '" + target + "'");
    ASSERT_TRUE(eventually([&] { return world().bodies("POST", "/api/v2/leads/move").size() >= 2; }));
    EXPECT_NE(world().value("SELECT last_error FROM sync.queue").find("ended as failed"), std::string::npos);
    EXPECT_NE(local(0, "sync_status"), "error") << "a job that failed is no fault of the lead";
    world().instantly().set_switches({{"job_outcome", "success"}});
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    EXPECT_EQ(remote_text(0, "campaign"), target);
    expect_in_step();
}

TEST_F(Operations, AJobThatSucceededAndMovedNothingIsNotBelieved) {
    begin({.leads = 40, .switches = {{"job_outcome", "moved_nothing"}}, .patience = 400ms});
    const auto target = world().other_campaign(local(0, "campaign"));
    edit(0, "campaign = '" + target + "'");
    ASSERT_TRUE(eventually([&] { return world().bodies("POST", "/api/v2/leads/move").size() >= 2; }));
    EXPECT_EQ(local(0, "campaign"), target) << "the edit is not undone meanwhile";
    world().instantly().set_switches({{"job_outcome", "success"}});
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "synced"));
    EXPECT_EQ(remote_text(0, "campaign"), target);
    expect_in_step();
}

TEST_F(Operations, AMoveThatIsRefusedBecauseOfSomeOfItsLeadsMovesTheOthers) {
    in_step({.leads = 200, .campaigns = 2, .switches = {{"job_delay_ms", 0}}, .look_keeps = 20s});
    const auto source = local(0, "campaign");
    const auto target = world().other_campaign(source);
    const auto of_source = " FROM crm.leads WHERE campaign = '" + source + "'";
    ASSERT_GE(std::stoi(world().value("SELECT count(*)" + of_source)), 60) << "so few could go one by one";
    const auto last = world().value("SELECT instantly_id" + of_source + " ORDER BY instantly_id DESC LIMIT 1");
    world().instantly().set_switches({{"refused_ids", {leads_[0], last}}});
    world().sql("UPDATE crm.leads SET campaign = '" + target + "' WHERE campaign = '" + source + "'");
    sync_once();
    EXPECT_EQ(world().value("SELECT string_agg(instantly_id::text, ' ' ORDER BY instantly_id) FROM crm.leads "
                            "WHERE sync_status = 'error' AND sync_error LIKE 'POST /api/v2/leads/move: 400%'"),
              leads_[0] + " " + last);
    EXPECT_EQ(count_there("campaign", source), 2U);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.attempts"), "2") << "the others were not tried in vain";
    EXPECT_LE(world().requests("POST", "/leads/move"), 40U);

    world().instantly().set_switches({{"refused_ids", json::array()}});
    world().sql("UPDATE crm.leads SET phone = '+1 again' WHERE sync_status = 'error'");
    sync_once();
    EXPECT_EQ(count_there("campaign", source), 0U);
    expect_in_step();
}

/// The time that a job takes is none in which its part of the move has waited.
TEST_F(Operations, AMoveInPartsGoesOnHoweverLongItsJobsTake) {
    in_step({.leads = 60, .campaigns = 2, .switches = {{"job_delay_ms", 1'500}}, .look_keeps = 1'200ms});
    const auto source = local(0, "campaign");
    world().instantly().set_switches({{"refused_ids", {leads_[0]}}});
    world().sql("UPDATE crm.leads SET campaign = '" + world().other_campaign(source) + "' WHERE campaign = '" + source
                + "'");
    sync_once();
    EXPECT_EQ(count_there("campaign", source), 1U);
    EXPECT_LE(world().requests("POST", "/leads/move"), 16U);
}

TEST_F(Operations, AMoveToACampaignThatIsGoneIsGivenUpOnInAFewRequests) {
    in_step({.leads = 200, .campaigns = 2});
    const auto source = local(0, "campaign");
    const auto leads = world().value("SELECT count(*) FROM crm.leads WHERE campaign = '" + source + "'");
    ASSERT_GE(std::stoi(leads), 60);
    world().sql(std::string{"UPDATE crm.leads SET campaign = '"} + nowhere + "' WHERE campaign = '" + source + "'");
    sync_once();
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE sync_status = 'error' "
                            "AND sync_error LIKE '%Campaign not found%'"),
              leads);
    EXPECT_LE(world().requests("POST", "/leads/move"), 12U);
}

TEST_F(Operations, AMoveThatNeverHappensIsGivenUpOnWithWhatInstantlyShows) {
    begin({.leads = 40, .switches = {{"job_outcome", "moved_nothing"}}, .patience = 50ms});
    const auto source = local(0, "campaign");
    edit(0, "campaign = '" + world().other_campaign(source) + "'");
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "error"));
    EXPECT_NE(local(0, "sync_error").find("Instantly still shows \"" + source + "\""), std::string::npos)
        << local(0, "sync_error");
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/move").size(), 5U);
}

TEST_F(Operations, WhatAPartialMoveLeavesBehindIsMovedByAnother) {
    begin({.leads = 60, .switches = {{"job_outcome", "partial"}}, .patience = 400ms});
    const auto source = local(0, "campaign");
    const auto target = world().other_campaign(source);
    const auto leads = world().value("SELECT count(*) FROM crm.leads WHERE campaign = '" + source + "'");
    const auto there = world().value("SELECT count(*) FROM crm.leads WHERE campaign = '" + target + "'");
    ASSERT_GT(std::stoi(leads), 3);
    world().sql("UPDATE crm.leads SET campaign = '" + target + "' WHERE campaign = '" + source + "'");
    ASSERT_TRUE(eventually([&] { return world().bodies("POST", "/api/v2/leads/move").size() >= 2; }));
    world().instantly().set_switches({{"job_outcome", "success"}});
    expect_in_step();
    EXPECT_EQ(count_there("campaign", target), std::stoul(leads) + std::stoul(there));
    EXPECT_EQ(count_there("campaign", source), 0U);
}

TEST_F(Operations, MovesOfManyBatchesAreOneJobForEachSourceAndTarget) {
    begin({.leads = 900});
    const auto target = local(0, "campaign");
    const std::string elsewhere = " FROM crm.leads WHERE campaign <> '" + target + "'";
    const auto sources = std::stoul(world().value("SELECT count(DISTINCT campaign)" + elsewhere));
    ASSERT_GE(std::stoi(world().value("SELECT count(*)" + elsewhere)), 500) << "batches of a hundred";
    world().sql("UPDATE crm.leads SET campaign = '" + target + "', phone = '+1 555' WHERE campaign <> '" + target
                + "'");
    expect_in_step();
    EXPECT_EQ(world().value("SELECT count(*)" + elsewhere), "0");
    EXPECT_GE(sources, 2U);
    EXPECT_LE(world().requests("POST", "/leads/move"), 2 * sources) << "the last, smaller batch may go by itself";
}

TEST_F(Operations, LeadsThatAreOnlyToBeMovedAreGatheredAheadOfTheRest) {
    begin({.leads = 900, .share = 0.6});
    const auto target = local(0, "campaign");
    const auto to_move =
        std::stoi(world().value("SELECT count(*) FROM crm.leads WHERE campaign <> '" + target + "'"));
    ASSERT_GE(to_move, 400);
    world().sql(
        "UPDATE crm.leads SET phone = CASE WHEN campaign IS NULL THEN '+1 555' ELSE phone END, campaign = "
        "CASE WHEN campaign IS NOT NULL THEN '"
        + target + "'::uuid END");
    const std::string aside = "SELECT count(*) FROM sync.queue WHERE lease_until > now() AND due_at > now()";
    EXPECT_TRUE(world().becomes("SELECT (" + aside + ") > " + std::to_string(to_move - 100), "t"));
    EXPECT_LE(world().requests("PATCH", "/leads/"), 100U) << "as soon as there is more than a batch";
    expect_in_step();
    EXPECT_LE(world().requests("POST", "/leads/move"),
              std::stoul(world().value("SELECT count(*) FROM crm.campaigns")))
        << "one for each source";
}

TEST_F(Operations, MovesThatWaitForOthersAreInTheQueueWhenTheDaemonStops) {
    begin({.leads = 900});
    const auto target = local(0, "campaign");
    world().sql("UPDATE crm.leads SET campaign = '" + target + "', phone = '+1 555' WHERE campaign <> '" + target
                + "'");
    ASSERT_TRUE(eventually([&] { return world().requests("PATCH", "/leads/") >= 150; }));
    EXPECT_EQ(world().requests("POST", "/leads/move"), 0U);
    EXPECT_NE(world().value("SELECT count(*) FROM sync.queue WHERE lease_until > now() AND due_at > now()"), "0");
    world().stop();
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.queue WHERE lease_until > now()"), "0");
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.queue WHERE due_at > now() + interval '5 s'"), "0");
    sync_once();
    expect_in_step();
}

TEST_F(Operations, WhileAnotherJobHoldsTheCampaignAMoveAndADeleteWait) {
    in_step({.leads = 60, .switches = {{"job_delay_ms", 700}}, .deletes = {.local = sync::LocalDeletes::push}});
    const auto source = local(0, "campaign");
    const auto target = world().other_campaign(source);
    std::vector<std::size_t> neighbours;
    for (std::size_t i = 1; i < leads_.size(); ++i)
        if (local(i, "campaign") == source) neighbours.push_back(i);
    ASSERT_GE(neighbours.size(), 2U);
    sandbox::TestClient other_tool{world().port()};
    const auto held =
        other_tool.post("/api/v2/leads/move",
                        {{"campaign", source}, {"ids", {leads_[neighbours[0]]}}, {"to_list_id", world().any_list()}});
    ASSERT_EQ(held.status, 200U) << held.body;
    edit(0, "campaign = '" + target + "'");
    world().sql("DELETE FROM crm.leads" + where(neighbours[1]));
    sync_once();
    std::size_t refused = 0;
    for (const auto& request : world().instantly().requests("/leads/"))
        refused += request.at("status") == 409 ? 1U : 0U;
    EXPECT_GT(refused, 0U) << "nothing was in the way: the test shows nothing";
    EXPECT_EQ(remote_text(0, "campaign"), target);
    EXPECT_FALSE(world().instantly().lead(leads_[neighbours[1]]));
    sync_once();
    expect_in_step();
}

// --- UPDATE subsequence_id, assigned_to ----------------------------------------------------------------------------

TEST_F(Operations, ASubsequenceIsEnteredAndLeftByItsOwnCalls) {
    in_step({.leads = 40});
    edit(0, std::string{"subsequence_id = '"} + subsequence + "'");
    sync_once();
    EXPECT_EQ(remote_text(0, "subsequence_id"), subsequence);
    expect_in_step();
    edit(0, "subsequence_id = NULL");
    sync_once();
    EXPECT_FALSE(remote(0).contains("subsequence_id"));
    expect_in_step();
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/subsequence/move").size(), 1U);
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/subsequence/remove").size(), 1U);
    EXPECT_EQ(world().requests("PATCH", ""), 0U);
}

TEST_F(Operations, ManyLeadsAssignedToOneUserAreOneBulkAssignAndOneLeadIsAPatch) {
    in_step({.leads = 40});
    world().sql(std::string{"UPDATE crm.leads SET assigned_to = '"} + user_one + "'" + where_first(12));
    edit(12, std::string{"assigned_to = '"} + user_two + "'");
    edit(3, "phone = '+1 besides'");
    sync_once();
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(remote_text(i, "assigned_to"), user_one) << i;
    EXPECT_EQ(remote_text(12, "assigned_to"), user_two);
    EXPECT_EQ(remote_text(3, "phone"), "+1 besides");
    const auto bulk = world().bodies("POST", "/api/v2/leads/bulk-assign");
    ASSERT_EQ(bulk.size(), 1U);
    EXPECT_EQ(bulk[0].at("ids").size(), 12U);
    EXPECT_EQ(world().requests("PATCH", "/leads/"), 2U) << "one lead for one user, and the edit besides";
    expect_in_step();

    world().sql("UPDATE crm.leads SET assigned_to = NULL" + where_first(2));
    sync_once();
    EXPECT_EQ(remote_text(0, "assigned_to"), "");
    expect_in_step();
}

TEST_F(Operations, AnAssignmentThatIsAcceptedAndNeverStoredIsNotBelieved) {
    in_step({.leads = 40, .patience = 200ms});
    world().instantly().add_fault({{"kind", "ignored"}, {"path", "/bulk-assign"}, {"count", 1}});
    world().sql(std::string{"UPDATE crm.leads SET assigned_to = '"} + user_one + "'" + where_first(3));
    sync_once();
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(remote_text(i, "assigned_to"), user_one) << i;
    EXPECT_EQ(world().bodies("POST", "/api/v2/leads/bulk-assign").size(), 2U);
    expect_in_step();
}

TEST_F(Operations, AnAssignmentThatIsRefusedBecauseOfOneOfItsLeadsAssignsTheOthers) {
    in_step({.leads = 40});
    world().instantly().set_switches({{"refused_ids", {leads_[5]}}});
    world().sql(std::string{"UPDATE crm.leads SET assigned_to = '"} + user_one + "'" + where_first(12));
    sync_once();
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(remote_text(i, "assigned_to") == user_one, i != 5) << i;
    EXPECT_EQ(world().value("SELECT string_agg(instantly_id::text, ' ') FROM crm.leads WHERE sync_status = 'error' "
                            "AND sync_error LIKE 'POST /api/v2/leads/bulk-assign: 400%'"),
              leads_[5]);
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.attempts"), "1");
    EXPECT_EQ(world().requests("PATCH", ""), 0U);
}

// --- DELETE --------------------------------------------------------------------------------------------------------

TEST_F(Operations, ADeleteThatIsPushedDeletesTheLeadWhateverItsAnswer) {
    for (const auto* kind : {"none", "lost", "status", "reset"}) {
        in_step({.leads = 40, .deletes = {.local = sync::LocalDeletes::push}});
        if (std::string_view{kind} != "none")
            world().instantly().add_fault({{"kind", kind}, {"method", "DELETE"}, {"count", 1}});
        edit(0, "phone = '+1 pointless'");
        world().sql("DELETE FROM crm.leads" + where(0));
        sync_once();
        EXPECT_FALSE(world().instantly().lead(leads_[0])) << kind;
        EXPECT_EQ(world().requests("PATCH", ""), 0U);
        sync_once();
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads" + where(0)), "0") << kind;
        expect_in_step();
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.history WHERE rule = 'deleted' AND side = 'local'"), "1");
    }
}

TEST_F(Operations, ADeleteThatIsNotPushedOnlyStopsTheSync) {
    in_step({.leads = 40, .deletes = {.local = sync::LocalDeletes::ignore}});
    world().sql("DELETE FROM crm.leads" + where(0));
    world().instantly().edit(leads_[0], {{"phone", "+1 seen by every sweep"}});
    sync_once();
    sync_once();
    EXPECT_TRUE(world().instantly().lead(leads_[0]));
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads" + where(0)), "0");
    EXPECT_EQ(world().requests("DELETE", ""), 0U);
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.queue"), "0");
}

TEST_F(Operations, ALeadDeletedAndInsertedAgainIsALeadAgain) {
    in_step({.leads = 40, .deletes = {.local = sync::LocalDeletes::push}});
    const auto email = local(0, "email");
    const auto campaign = local(0, "campaign");
    world().sql("DELETE FROM crm.leads" + where(0));
    world().sql("INSERT INTO crm.leads (workspace, email, campaign, phone) VALUES ('acme', '" + email + "', '"
                + campaign + "', '+1 again')");
    sync_once();
    EXPECT_FALSE(world().instantly().lead(leads_[0]));
    EXPECT_EQ(lead_called(email).at("phone"), "+1 again");
    sync_once();
    expect_in_step();
}

/// Rows that are deleted and imported anew get other ids.
TEST_F(Operations, ARowInsertedForALeadThatIsNoLongerSyncedTakesIt) {
    in_step({.leads = 40, .deletes = {.local = sync::LocalDeletes::ignore}});
    const auto same = " WHERE email = '" + local(0, "email") + "' AND campaign = '" + local(0, "campaign") + "'";
    world().sql("CREATE TABLE kept AS SELECT * FROM crm.leads" + where(0));
    world().sql("DELETE FROM crm.leads" + where(0));
    sync_once();
    world().sql(
        "INSERT INTO crm.leads (workspace, email, campaign, phone) SELECT workspace, email, campaign, '+1 again' "
        "FROM kept");
    sync_once();
    EXPECT_EQ(world().value("SELECT sync_status || ' ' || instantly_id FROM crm.leads" + same),
              "synced " + leads_[0]);
    EXPECT_EQ(world().instantly().lead(leads_[0])->at("phone"), "+1 again");
    EXPECT_EQ(world().instantly().all_leads().size(), 40U);
    EXPECT_EQ(world().requests("POST", "/leads/add"), 0U);
    expect_in_step();
}

/// A CRM whose contacts' ids are those of the rows changes a contact's address.
TEST_F(Operations, AnotherPersonUnderTheIdOfADeletedRowIsAnotherLead) {
    for (const auto policy : {sync::LocalDeletes::push, sync::LocalDeletes::ignore}) {
        in_step({.leads = 40, .deletes = {.local = policy}});
        const auto before = *world().instantly().lead(leads_[0]);
        const auto id = local(0, "id");
        world().sql("BEGIN; DELETE FROM crm.leads" + where(0)
                    + "; INSERT INTO crm.leads (workspace, id, email, campaign, first_name) VALUES ('acme', '" + id
                    + "', 'another@acme.io', '" + local(1, "campaign") + "', 'Another'); COMMIT");
        sync_once();
        sync_once();
        EXPECT_EQ(lead_called("another@acme.io").at("first_name"), "Another");
        EXPECT_EQ(world().value("SELECT email || ' ' || sync_status FROM crm.leads WHERE id = '" + id + "'"),
                  "another@acme.io synced");
        const auto after = world().instantly().lead(leads_[0]);
        EXPECT_EQ(after.has_value(), policy == sync::LocalDeletes::ignore);
        if (after) {
            EXPECT_EQ(after->at("first_name"), before.at("first_name"));
        }
        world_.reset();
    }
}

}  // namespace
}  // namespace leadsync::daemon
