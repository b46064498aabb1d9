#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using sync::Field;
using sync::Rule;

/// Who wins when both sides changed a field, and what a person may decide (DESIGN §1.2, §4).
class Policies : public Story {
protected:
    /// Both sides change the field while leadsync is away.
    void both_change(std::size_t lead, const std::string& field, const std::string& here, const json& there) {
        edit(lead, field + " = '" + here + "'");
        world().instantly().edit(leads_.at(lead), {{field, there}});
    }

    /// Every conflict as `field base/local/remote rule -> resolution`.
    std::string conflicts() {
        return world().value(
            "SELECT string_agg(format('%s %s/%s/%s %s -> %s', field, coalesce(base, '-'), coalesce(local, '-'), "
            "coalesce(remote, '-'), rule, coalesce(resolution, 'open')), '; ' ORDER BY id) FROM crm.conflicts");
    }
    std::string history(const std::string& field) {
        return world().value(
            "SELECT string_agg(format('%s -> %s %s %s', coalesce(old, '-'), coalesce(new, '-'), side, "
            "rule), '; ' ORDER BY id) FROM crm.history WHERE field = '"
            + field + "'");
    }
    void resolve(const std::string& side) {
        world().sql("UPDATE crm.conflicts SET resolution = '" + side + "' WHERE resolution IS NULL");
    }

    /// Says that the last local edit was made then, by the database's clock.
    void edited(std::size_t lead, const std::string& when) {
        world().sql("UPDATE sync.queue SET edited_at = " + when + " WHERE lead_id = (SELECT id FROM crm.leads"
                    + where(lead) + ")");
    }

    void expect_both(std::size_t lead, const std::string& field, const std::string& value) {
        EXPECT_EQ(local(lead, "coalesce(" + field + "::text, '')"), value);
        EXPECT_EQ(remote_text(lead, field), value);
        expect_in_step();
    }

    /// Both hold a value of their own, and wait.
    void expect_parked(std::size_t lead, const std::string& field, const std::string& here,
                       const std::string& there) {
        EXPECT_EQ(local(lead, field), here);
        EXPECT_EQ(remote_text(lead, field), there);
        EXPECT_EQ(local(lead, "sync_status"), "conflict");
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.queue"), "0") << "nothing is left to do but decide";
    }
};

const WorldSettings manual{.leads = 30, .conflicts = {.fallback = Rule::manual}};

// --- local, remote -------------------------------------------------------------------------------------------------

TEST_F(Policies, UnderTheRuleLocalTheLocalValueStandsAndTheOtherIsKept) {
    in_step({.leads = 30, .conflicts = {.fallback = Rule::local}});
    const auto before = local(0, "coalesce(phone, '-')");
    both_change(0, "phone", "+1 here", "+1 there");
    sync_once();
    expect_both(0, "phone", "+1 here");
    EXPECT_EQ(conflicts(), "phone " + before + "/+1 here/+1 there local -> local");
    EXPECT_EQ(history("phone"), "+1 there -> +1 here local edit");
    sync_once();
    EXPECT_EQ(world().requests("PATCH", ""), 1U);
}

TEST_F(Policies, UnderTheRuleRemoteTheRemoteValueStandsAndTheOtherIsKept) {
    in_step({.leads = 30, .conflicts = {.fallback = Rule::remote}});
    const auto before = local(0, "coalesce(phone, '-')");
    both_change(0, "phone", "+1 here", "+1 there");
    edit(0, "custom_variables = custom_variables || '{\"tier\": \"gold\"}'");
    world().instantly().edit(leads_[0], {{"custom_variables", {{"tier", "silver"}}}});
    sync_once();
    expect_both(0, "phone", "+1 there");
    EXPECT_EQ(local(0, "custom_variables ->> 'tier'"), "silver");
    EXPECT_EQ(conflicts(), "phone " + before
                               + "/+1 here/+1 there remote -> remote; custom_variables.tier -/gold/silver remote -> "
                                 "remote");
    EXPECT_EQ(history("phone"), "+1 here -> +1 there remote remote");
    EXPECT_EQ(world().requests("PATCH", ""), 0U);
}

TEST_F(Policies, AMoveOnBothSidesGoesByItsRuleToo) {
    for (const auto rule : {Rule::local, Rule::remote}) {
        in_step({.leads = 30, .conflicts = {.fallback = Rule::manual, .fields = {{Field::campaign, rule}}}});
        const auto from = local(0, "campaign");
        const auto campaigns =
            world().sql("SELECT id FROM crm.campaigns WHERE id <> '" + from + "' ORDER BY id LIMIT 2");
        const std::string here = campaigns[0][0].c_str();
        const std::string there = campaigns[1][0].c_str();
        edit(0, "campaign = '" + here + "'");
        world().instantly().move(leads_[0], {{"campaign", there}});
        sync_once();
        expect_both(0, "campaign", rule == Rule::local ? here : there);
    }
}

// --- newest --------------------------------------------------------------------------------------------------------

TEST_F(Policies, UnderTheRuleNewestTheLaterEditStands) {
    in_step({.leads = 30, .conflicts = {.fallback = Rule::newest}});
    for (std::size_t lead : {0U, 1U}) both_change(lead, "phone", "+1 here", "+1 there");
    edited(0, "now() + interval '1 minute'");
    edited(1, "now() - interval '1 minute'");
    sync_once();
    expect_both(0, "phone", "+1 here");
    expect_both(1, "phone", "+1 there");
    EXPECT_EQ(
        world().value("SELECT string_agg(rule || ' ' || resolution, '; ' ORDER BY resolution) FROM crm.conflicts"),
        "newest local; newest remote");
}

TEST_F(Policies, NewestGoesByInstantlysClockHoweverWrongOneOfThemIs) {
    for (const int ahead : {-3'600'000, 3'600'000}) {
        in_step({.leads = 30, .switches = {{"clock_ahead_ms", ahead}}, .conflicts = {.fallback = Rule::newest}});
        // The answer's `Date` is cut to seconds, so the edits are a minute apart.
        for (std::size_t lead : {0U, 1U}) both_change(lead, "phone", "+1 here", "+1 there");
        edited(0, "now() + interval '1 minute'");
        edited(1, "now() - interval '1 minute'");
        sync_once();
        expect_both(0, "phone", "+1 here");
        expect_both(1, "phone", "+1 there");
    }
}

TEST_F(Policies, TheInterestIsAsNewAsItsOwnLastChangeNotAsTheLeads) {
    in_step(
        {.leads = 30, .conflicts = {.fallback = Rule::local, .fields = {{Field::lt_interest_status, Rule::newest}}}});
    const auto two_hours_ago = world().value(
        R"(SELECT to_char((now() - interval '2 hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))");
    for (std::size_t lead : {0U, 1U}) {
        both_change(lead, "lt_interest_status", "2", -1);
        world().instantly().edit(leads_[lead],
                                 {{"job_title", "later"}, {"timestamp_last_interest_change", two_hours_ago}});
    }
    edited(0, "now() - interval '1 hour'");
    edited(1, "now() - interval '3 hours'");
    sync_once();
    expect_both(0, "lt_interest_status", "2");
    expect_both(1, "lt_interest_status", "-1");
    EXPECT_EQ(local(0, "job_title"), "later");
}

// --- manual --------------------------------------------------------------------------------------------------------

TEST_F(Policies, UnderTheRuleManualBothValuesStayUntilAPersonDecides) {
    for (const auto* side : {"local", "remote"}) {
        in_step(manual);
        const auto before = local(0, "coalesce(phone, '-')");
        both_change(0, "phone", "+1 here", "+1 there");
        edit(0, "job_title = 'besides'");
        sync_once();
        expect_parked(0, "phone", "+1 here", "+1 there");
        EXPECT_EQ(remote_text(0, "job_title"), "besides") << "the other fields go on";
        EXPECT_EQ(conflicts(), "phone " + before + "/+1 here/+1 there manual -> open");
        sync_once();
        expect_parked(0, "phone", "+1 here", "+1 there");

        resolve(side);
        sync_once();
        expect_both(0, "phone", std::string{"+1 "} + (std::string_view{side} == "local" ? "here" : "there"));
        EXPECT_EQ(conflicts(), "phone " + before + "/+1 here/+1 there manual -> " + side);
        EXPECT_EQ(world().value("SELECT resolved_at IS NOT NULL AND resolved_by = session_user FROM crm.conflicts"),
                  "t");
        EXPECT_EQ(history("phone"), std::string_view{side} == "local" ? "+1 there -> +1 here local edit"
                                                                      : "+1 here -> +1 there remote resolution");
    }
}

TEST_F(Policies, AResolutionIsCarriedOutAtOnceByALeadsyncThatRuns) {
    begin(manual);
    world().stop();
    both_change(0, "phone", "+1 here", "+1 there");
    world().start();
    ASSERT_TRUE(world().becomes("SELECT sync_status FROM crm.leads" + where(0), "conflict"));
    resolve("local");
    EXPECT_TRUE(test_support::eventually([&] { return remote_text(0, "phone") == "+1 here"; }));
    expect_in_step();
}

TEST_F(Policies, WhileAConflictIsOpenBothSidesEditOnAndItShowsWhatTheyHold) {
    in_step(manual);
    both_change(0, "phone", "+1 here", "+1 there");
    sync_once();
    edit(0, "phone = '+2 here'");
    sync_once();
    expect_parked(0, "phone", "+2 here", "+1 there");
    world().instantly().edit(leads_[0], {{"phone", "+3 there"}, {"job_title", "edited there"}});
    sync_once();
    expect_parked(0, "phone", "+2 here", "+3 there");
    EXPECT_EQ(local(0, "job_title"), "edited there");
    EXPECT_EQ(world().value("SELECT local || remote FROM crm.conflicts"), "+2 here+3 there") << "one row, moving on";

    resolve("local");
    edit(0, "phone = '+4 here'");  // what is pushed is what the row says by then
    sync_once();
    expect_both(0, "phone", "+4 here");
}

TEST_F(Policies, AConflictThatTheSidesComeToAgreeOnClosesByItself) {
    in_step(manual);
    for (std::size_t lead : {0U, 1U}) both_change(lead, "phone", "+1 here", "+1 there");
    sync_once();
    edit(0, "phone = '+1 there'");
    world().instantly().edit(leads_[1], {{"phone", "+1 here"}});
    sync_once();
    expect_both(0, "phone", "+1 there");
    expect_both(1, "phone", "+1 here");
    EXPECT_EQ(world().value("SELECT string_agg(resolution, ' ') FROM crm.conflicts WHERE resolved_at IS NOT NULL"),
              "agreed agreed");
    EXPECT_EQ(world().requests("PATCH", ""), 0U);
}

TEST_F(Policies, AParkedVariableIsNotOverwrittenByTheCompleteMapOfAnotherEdit) {
    for (const auto* mode : {"merge", "replace"}) {
        auto settings = manual;
        settings.switches = {{"custom_variables", mode}};
        in_step(settings);
        edit(0, R"(custom_variables = '{"tier": "gold", "score": 1, "gone": "x"}')");
        sync_once();
        edit(0, R"(custom_variables = '{"tier": "here", "score": 1}')");
        world().instantly().edit(leads_[0], {{"custom_variables", {{"tier", "there"}, {"gone", "kept there"}}}});
        sync_once();
        edit(0, R"(custom_variables = custom_variables || '{"score": 2}')");
        sync_once();
        const auto payload = remote(0).at("payload");
        EXPECT_EQ(payload.at("tier"), "there") << mode;
        EXPECT_EQ(payload.at("gone"), "kept there") << mode;
        EXPECT_EQ(sync::text_of(payload.at("score")), "2");
        EXPECT_EQ(local(0, "custom_variables ->> 'tier'"), "here");
        EXPECT_EQ(local(0, "custom_variables ->> 'gone'"), "null");
        EXPECT_EQ(local(0, "sync_status"), "conflict");
        resolve("local");
        sync_once();
        EXPECT_EQ(remote(0).at("payload").at("tier"), "here");
        EXPECT_EQ(remote(0).at("payload").value("gone", ""), "");
        expect_in_step();
    }
}

TEST_F(Policies, ADecidedConflictWhosePushFailsIsPushedLater) {
    auto settings = manual;
    settings.patience = 200ms;
    in_step(settings);
    both_change(0, "phone", "+1 here", "+1 there");
    sync_once();
    world().instantly().add_fault({{"kind", "status"}, {"method", "PATCH"}, {"count", 2}});
    resolve("local");
    sync_once();
    expect_both(0, "phone", "+1 here");
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 3U);
}

// --- keep_value ----------------------------------------------------------------------------------------------------

TEST_F(Policies, AnEmptyRemoteValueDoesNotOverwriteUnlessTheFieldIsClearable) {
    in_step({.leads = 30, .conflicts = {.fallback = Rule::remote, .clearable = {Field::job_title}}});
    edit(0, R"(phone = '+1', job_title = 'CTO', lt_interest_status = 1, custom_variables = '{"tier": "gold"}')");
    sync_once();
    world().instantly().edit(leads_[0], {{"phone", nullptr},
                                         {"job_title", ""},
                                         {"lt_interest_status", nullptr},
                                         {"custom_variables", {{"tier", nullptr}}}});
    sync_once();
    expect_both(0, "phone", "+1");
    expect_both(0, "job_title", "");
    expect_both(0, "lt_interest_status", "");
    EXPECT_EQ(remote(0).at("payload").at("tier"), "gold");
    EXPECT_EQ(conflicts(),
              "phone +1/+1/- keep_value -> local; custom_variables.tier gold/gold/- keep_value -> local");
}

TEST_F(Policies, ClearableCustomVariablesAreTakenAwayByInstantly) {
    in_step({.leads = 30, .conflicts = {.custom_variables_clearable = true}});
    edit(0, R"(custom_variables = '{"tier": "gold"}')");
    sync_once();
    world().instantly().edit(leads_[0], {{"custom_variables", {{"tier", nullptr}}}});
    sync_once();
    EXPECT_EQ(local(0, "custom_variables ? 'tier'"), "f");
    EXPECT_EQ(conflicts(), "null");
    expect_in_step();
}

TEST_F(Policies, AServerThatNormalisesAValueAwayIsBelievedAndNotArguedWith) {
    in_step({.leads = 30, .switches = {{"normalise_trim", true}}});
    edit(0, "first_name = 'Ada'");
    sync_once();
    edit(0, "first_name = '   '");
    sync_once();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), 2U);
    expect_both(0, "first_name", "");
}

TEST_F(Policies, AnAutomationThatKeepsEmptyingAFieldIsNotArguedWithForEver) {
    in_step({.leads = 30});
    edit(0, "phone = '+1'");
    sync_once();
    for (int round = 0; round < 8; ++round) {
        world().instantly().edit(leads_[0], {{"phone", nullptr}});
        sync_once();
    }
    EXPECT_EQ(local(0, "sync_status"), "conflict");
    EXPECT_EQ(world().value("SELECT rule FROM crm.conflicts WHERE resolution IS NULL"), "flip_flop");
    EXPECT_LE(world().requests("PATCH", leads_[0]), 5U);
}

// --- flip_flop -----------------------------------------------------------------------------------------------------

TEST_F(Policies, TwoAutomationsThatUndoEachOthersWorkAreParkedForAPerson) {
    in_step({.leads = 30});
    std::size_t rounds = 0;
    for (; rounds < 10 && world().value("SELECT count(*) FROM crm.conflicts") == "0"; ++rounds) {
        edit(0, "phone = '+1 here'");
        sync_once();
        world().instantly().edit(leads_[0], {{"phone", "+1 there"}});
        sync_once();
    }
    EXPECT_EQ(rounds, 4U) << "the sixth change of side within the hour is one too many";
    EXPECT_EQ(local(0, "sync_status"), "conflict");
    EXPECT_EQ(conflicts(), "phone +1 there/+1 here/+1 there flip_flop -> open");
    const auto patches = world().requests("PATCH", leads_[0]);
    edit(0, "phone = '+2 here'");
    sync_once();
    EXPECT_EQ(world().requests("PATCH", leads_[0]), patches) << "parked";
    resolve("local");
    sync_once();
    expect_both(0, "phone", "+2 here");
}

TEST_F(Policies, ChangesOfSideAreForgottenAfterAnHour) {
    in_step({.leads = 30});
    for (int round = 0; round < 6; ++round) {
        edit(0, "phone = '+1 here'");
        sync_once();
        world().instantly().edit(leads_[0], {{"phone", "+1 there"}});
        sync_once();
        world().sql(
            "UPDATE sync.base SET flips = jsonb_set(flips, '{phone,2}', to_jsonb((flips -> 'phone' ->> "
            "2)::int8 - 1201000000)) WHERE flips ? 'phone'");  // twenty minutes pass
    }
    EXPECT_EQ(conflicts(), "null");
    expect_both(0, "phone", "+1 there");
}

// --- history -------------------------------------------------------------------------------------------------------

TEST_F(Policies, TheHistoryTellsWhoChangedWhatByWhichRuleAndRequest) {
    in_step({.leads = 30, .switches = {{"normalise_trim", true}}});
    edit(0, "phone = ' +1 ', custom_variables = '{\"seats\": 3}'");
    const auto before = local(0, "campaign");
    const auto target = world().other_campaign(before);
    edit(1, "campaign = '" + target + "', lt_interest_status = 1");
    world().instantly().edit(leads_[2], {{"job_title", "edited there"}});
    sync_once();
    expect_in_step();
    const auto told = [&](const std::string& field, const std::string& columns) {
        return world().value("SELECT string_agg(format('" + columns + "), ' | ' ORDER BY id) FROM crm.history WHERE field "
                             "= '" + field + "'");
    };
    EXPECT_EQ(told("phone", "%s %s %s %s', new, side, rule, request"),
              " +1  local edit PATCH /leads/{id} | +1 remote normalised POST /leads/list");
    EXPECT_EQ(told("custom_variables.seats", "%s %s %s', new, side, rule"), "3 local edit");
    EXPECT_EQ(told("lt_interest_status", "%s %s', new, request"), "1 POST /leads/update-interest-status");
    EXPECT_EQ(told("campaign", "%s %s', new, request"), target + " POST /leads/move");
    EXPECT_EQ(told("job_title", "%s %s %s', new, side, rule"), "edited there remote edit");
}

}  // namespace
}  // namespace leadsync::daemon
