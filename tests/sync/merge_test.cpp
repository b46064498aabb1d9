#include "sync/merge.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

Content content(const std::map<std::string, std::string>& fields, CustomVariables variables = {}) {
    Content result{.custom_variables = std::move(variables)};
    for (const auto& [name, value] : fields) result[field_named(name).value()] = value;
    return result;
}

RemoteLead remote(Content values) {
    return {.id = {"01959272-5d2b-7a87-a5d7-199e472e6366"}, .content = std::move(values)};
}

Base base(Content values, std::map<Key, Value> expected = {}, bool expired = false) {
    return {std::move(values), std::move(expected), expired};
}

const Instant noon{std::chrono::sys_days{std::chrono::year{2026} / 3 / 1} + std::chrono::hours{12}};

bool has(const std::vector<Key>& keys, const Key& key) { return std::ranges::count(keys, key) == 1; }

TEST(PlanKey, CoversEveryCase) {
    struct Case {
        const char* story;
        Value base, local, remote;
        std::optional<Value> expected;
        bool expired;
        Decision decision;
    };
    const Value none;
    const Case cases[] = {
        {"nothing changed", "1", "1", "1", {}, false, Decision::agreed},
        {"only the remote value changed", "1", "1", "2", {}, false, Decision::take_remote},
        {"only the local value changed", "1", "2", "1", {}, false, Decision::push_local},
        {"both changed alike", "1", "2", "2", {}, false, Decision::agreed},
        {"both changed, to different values", "1", "2", "3", {}, false, Decision::conflict},
        {"cleared on Instantly", "1", "1", none, {}, false, Decision::take_remote},
        {"cleared here", "1", none, "1", {}, false, Decision::push_local},
        {"empty text is no change from absence", none, "", none, {}, false, Decision::agreed},
        {"a write not shown yet", "1", "2", "1", Value{"2"}, false, Decision::await},
        {"a write not shown yet, edited here again", "1", "3", "1", Value{"2"}, false, Decision::await},
        {"a write not shown yet, undone here", "1", "1", "1", Value{"2"}, false, Decision::await},
        {"a write confirmed", "1", "2", "2", Value{"2"}, false, Decision::agreed},
        {"a write confirmed, edited here again", "1", "3", "2", Value{"2"}, false, Decision::push_local},
        {"a write normalised by the server", "1", " 2", "2", Value{" 2"}, false, Decision::take_remote},
        {"a write overtaken by a remote edit", "1", "2", "9", Value{"2"}, false, Decision::take_remote},
        {"overtaken, and edited here again", "1", "3", "9", Value{"2"}, false, Decision::conflict},
        {"a write that was not stored", "1", "2", "1", Value{"2"}, true, Decision::push_local},
        {"not stored, and undone here meanwhile", "1", "1", "1", Value{"2"}, true, Decision::agreed},
        {"a clearing not shown yet", "1", none, "1", Value{}, false, Decision::await},
        {"a clearing confirmed", "1", none, none, Value{}, false, Decision::agreed},
    };
    for (const auto& [story, base, local, remote, expected, expired, decision] : cases)
        EXPECT_EQ(name_of(plan_key(base, local, remote, expected, expired).decision), name_of(decision)) << story;
}

TEST(ThreeWayMerge, EditsToDifferentFieldsBothSurvive) {
    const auto merged =
        merge(base(content({{"phone", "1"}, {"job_title", "CTO"}})), content({{"phone", "2"}, {"job_title", "CTO"}}),
              remote(content({{"phone", "1"}, {"job_title", "CEO"}})), {});
    EXPECT_EQ(merged.local[Field::phone], "2");
    EXPECT_EQ(merged.local[Field::job_title], "CEO");
    EXPECT_EQ(merged.to_push, std::vector<Key>{"phone"});
    EXPECT_TRUE(merged.conflicts.empty());
}

TEST(ThreeWayMerge, EditsToDifferentCustomVariablesBothSurvive) {
    const auto merged =
        merge(base(content({}, {{"tier", "gold"}, {"score", 1}})), content({}, {{"tier", "platinum"}, {"score", 1}}),
              remote(content({}, {{"tier", "gold"}, {"score", 2}})), {});
    EXPECT_EQ(merged.local.custom_variables, (CustomVariables{{"tier", "platinum"}, {"score", 2}}));
    EXPECT_EQ(merged.to_push, std::vector<Key>{"custom_variables.tier"});
}

TEST(ThreeWayMerge, ANumberThatComesBackAsTextKeepsItsLocalType) {
    const auto merged = merge(base(content({}, {{"score", 42}})), content({}, {{"score", 42}}),
                              remote(content({}, {{"score", "42"}})), {});
    EXPECT_EQ(merged.local.custom_variables.at("score"), nlohmann::json(42));
    EXPECT_TRUE(merged.to_push.empty());
}

TEST(ThreeWayMerge, TheRuleDecidesAConflictAndTheOverruledValueIsKept) {
    const auto before = base(content({{"phone", "1"}}));
    const auto local = content({{"phone", "2"}});
    const auto seen = remote(content({{"phone", "3"}}));

    const auto local_wins = merge(before, local, seen, {.fallback = Rule::local});
    EXPECT_EQ(local_wins.local[Field::phone], "2");
    EXPECT_TRUE(has(local_wins.to_push, "phone"));
    EXPECT_EQ(local_wins.conflicts, (std::vector<Conflict>{{"phone", "1", "2", "3", Rule::local, Side::local}}));

    const auto remote_wins = merge(before, local, seen, {.fields = {{Field::phone, Rule::remote}}});
    EXPECT_EQ(remote_wins.local[Field::phone], "3");
    EXPECT_TRUE(remote_wins.to_push.empty());
    EXPECT_EQ(remote_wins.conflicts, (std::vector<Conflict>{{"phone", "1", "2", "3", Rule::remote, Side::remote}}));
}

TEST(ThreeWayMerge, AConflictIsToldOnce) {
    auto merged =
        merge(base(content({{"phone", "1"}})), content({{"phone", "2"}}), remote(content({{"phone", "3"}})), {});
    merged = merge(merged.base, merged.local, remote(content({{"phone", "3"}})), {});
    EXPECT_TRUE(merged.conflicts.empty());
    EXPECT_TRUE(has(merged.to_push, "phone")) << "what won is still to be sent";
}

TEST(ThreeWayMerge, AFieldThatCouldNotBeReadIsLeftAlone) {
    auto seen = remote(content({}));
    seen.unreadable.set(index(Field::lt_interest_status));
    const auto merged =
        merge(base(content({{"lt_interest_status", "1"}})), content({{"lt_interest_status", "1"}}), seen, {});
    EXPECT_EQ(merged.local[Field::lt_interest_status], "1");
    EXPECT_EQ(merged.base.content[Field::lt_interest_status], "1");
    EXPECT_TRUE(merged.to_push.empty());
}

TEST(ThreeWayMerge, APlaceThatCouldNotBeReadIsWhereItWas) {
    const std::string here = "aaaaaaaa-0000-4000-8000-000000000001";
    const std::string there = "bbbbbbbb-0000-4000-8000-000000000002";
    auto seen = remote(content({}));
    seen.unreadable.set(index(Field::campaign));
    const auto moved = merge(base(content({{"campaign", here}})), content({{"campaign", there}}), seen, {});
    EXPECT_TRUE(moved.conflicts.empty());
    EXPECT_EQ(moved.to_push, std::vector<Key>{"campaign"});
    const auto on_its_way =
        merge(base(content({{"campaign", here}}), {{"campaign", there}}), content({{"campaign", there}}), seen, {});
    EXPECT_EQ(on_its_way.awaited, std::vector<Key>{"campaign"}) << "nobody has overtaken it";
}

TEST(ThreeWayMerge, AnotherValueThanWasSentStandsAndLeavesOursReadable) {
    const auto seen_after = [](const char* sent, const char* seen) {
        return merge(base(content({{"company_name", "Acme"}}), {{"company_name", sent}}),
                     content({{"company_name", sent}}), remote(content({{"company_name", seen}})), {});
    };
    EXPECT_TRUE(seen_after("Acme Inc", " ACME, Inc.").conflicts.empty()) << "another form";
    const auto edited = seen_after("Acme Inc", "Globex");
    EXPECT_EQ(edited.local[Field::company_name], "Globex");
    ASSERT_EQ(edited.conflicts.size(), 1U);
    EXPECT_EQ(edited.conflicts[0].local, "Acme Inc");
    EXPECT_EQ(edited.conflicts[0].remote, "Globex");
    EXPECT_EQ(edited.conflicts[0].resolution, Side::remote);
}

TEST(ThreeWayMerge, WhatAMoveOfOursLeavesBehindIsNoEditThere) {
    const std::string campaign = "aaaaaaaa-0000-4000-8000-000000000001";
    const std::string list = "bbbbbbbb-0000-4000-8000-000000000002";
    const auto arrived = remote(content({{"list_id", list}}));
    const auto before = base(content({{"campaign", campaign}}), {{"list_id", list}});
    const auto stays = merge(before, content({{"list_id", list}}), arrived, {});
    EXPECT_TRUE(stays.changes.empty() && stays.to_push.empty() && stays.conflicts.empty());
    EXPECT_EQ(stays.local[Field::campaign], std::nullopt);
    const auto moved_back = merge(before, content({{"campaign", campaign}}), arrived, {});
    EXPECT_EQ(moved_back.local[Field::campaign], campaign) << "the later edit stands";
    EXPECT_EQ(moved_back.local[Field::list_id], std::nullopt);
    EXPECT_TRUE(has(moved_back.to_push, "campaign") && has(moved_back.to_push, "list_id"));
    EXPECT_TRUE(moved_back.changes.empty() && moved_back.conflicts.empty());
}

TEST(ThreeWayMerge, APlaceThatBothSidesChangedIsNotTakenByHalf) {
    const std::string before = "aaaaaaaa-0000-4000-8000-000000000001";
    const std::string ours = "bbbbbbbb-0000-4000-8000-000000000002";
    const std::string theirs = "cccccccc-0000-4000-8000-000000000003";
    const auto seen = remote(content({{"list_id", theirs}}));
    const auto start = base(content({{"campaign", before}}));
    const auto row = content({{"campaign", ours}});

    const auto waits = merge(start, row, seen, {.fallback = Rule::manual});
    EXPECT_EQ(waits.local, row) << "what waits for a person stays as it is";
    EXPECT_EQ(waits.base.content, start.content);
    EXPECT_EQ(waits.parked, (std::vector<Key>{"campaign", "list_id"}));
    ASSERT_EQ(waits.conflicts.size(), 1U);

    const OpenConflict open{1, ours, std::nullopt, {}};
    for (const auto word : {std::optional<Side>{}, std::optional{Side::local}, std::optional{Side::remote}}) {
        Circumstances at;
        at.open.emplace("campaign", open).first->second.resolution = word;
        const auto merged = merge(waits.base, waits.local, seen, {.fallback = Rule::manual}, at);
        EXPECT_TRUE(merged.conflicts.empty());
        EXPECT_EQ(merged.local, word == Side::remote ? seen.content : row) << "by one word";
        EXPECT_EQ(merged.to_push, word == Side::local ? std::vector<Key>{"campaign"} : std::vector<Key>{});
        EXPECT_EQ(merged.parked.size(), word ? 0U : 2U);
    }

    const auto left = merge(base(content({{"campaign", before}, {"list_id", theirs}})),
                            content({{"campaign", ours}, {"list_id", theirs}}),
                            remote(content({{"campaign", theirs}})), {.fallback = Rule::local});
    EXPECT_EQ(left.local, row) << "the list was left there";
    EXPECT_EQ(left.to_push, std::vector<Key>{"campaign"});

    const auto overruled = merge(start, row, seen, {.fallback = Rule::remote});
    EXPECT_EQ(overruled.local, seen.content);
    const auto stands = merge(start, row, seen, {.fallback = Rule::local});
    EXPECT_EQ(stands.local, row);
    EXPECT_EQ(stands.to_push, std::vector<Key>{"campaign"});
    const auto arrived = merge(stands.base, stands.local, remote(row), {});
    EXPECT_EQ(arrived.local, row);
    EXPECT_TRUE(arrived.to_push.empty() && arrived.conflicts.empty());
}

TEST(ThreeWayMerge, AnEditOfAPlaceThatWaitsGoesByTheSameWord) {
    const std::string before = "aaaaaaaa-0000-4000-8000-000000000001";
    const std::string ours = "bbbbbbbb-0000-4000-8000-000000000002";
    const std::string theirs = "cccccccc-0000-4000-8000-000000000003";
    // The campaign waits, and is taken back here for a list.
    Circumstances at;
    at.open.emplace("campaign", OpenConflict{1, ours, theirs, Side::remote});
    const auto merged = merge(base(content({{"campaign", before}})), content({{"list_id", ours}}),
                              remote(content({{"campaign", theirs}})), {.fallback = Rule::manual}, at);
    EXPECT_EQ(merged.local, content({{"campaign", theirs}}));
    EXPECT_TRUE(merged.to_push.empty());
    ASSERT_EQ(merged.conflicts.size(), 1U) << "the list that is overruled stays readable";
    EXPECT_EQ(merged.conflicts[0].local, ours);
    EXPECT_EQ(merged.conflicts[0].resolution, Side::remote);
}

TEST(ThreeWayMerge, AnEditThereThatAWriteOfTheWholeMapOverranGoesOutAgain) {
    const Base sent =
        base(content({}, {{"score", "1"}}), {{"custom_variables.tier", "gold"}, {"custom_variables.score", "1"}});
    const auto row = content({}, {{"score", "1"}, {"tier", "gold"}});
    const auto late = merge(sent, row, remote(content({}, {{"score", "2"}})), {});
    EXPECT_EQ(late.local.custom_variables.at("score"), "2");
    EXPECT_EQ(late.awaited, std::vector<Key>{"custom_variables.tier"});
    EXPECT_TRUE(late.conflicts.empty());
    const auto shown = merge(late.base, late.local, remote(row), {});
    EXPECT_EQ(shown.local.custom_variables.at("score"), "2") << "nobody set it back";
    EXPECT_EQ(shown.to_push, std::vector<Key>{"custom_variables.score"});
    EXPECT_TRUE(shown.changes.empty() && shown.base.expected.empty());
    ASSERT_EQ(shown.conflicts.size(), 1U) << "somebody may have set that back all the same";
    EXPECT_EQ(shown.conflicts[0].rule, Rule::late_write);
    EXPECT_EQ(shown.conflicts[0].remote, "1");
}

TEST(ThreeWayMerge, AVariableThatTheMapDoesNotKnowOfGoesOutAgainWhenTheMapHasWipedIt) {
    const Base sent = base({}, {{"custom_variables.tier", "gold"}});
    const auto row = content({}, {{"tier", "gold"}});
    const ConflictPolicy clearable{.custom_variables_clearable = true};
    const auto late = merge(sent, row, remote(content({}, {{"score", "2"}})), clearable);
    EXPECT_EQ(late.local.custom_variables.at("score"), "2");
    const auto shown = merge(late.base, late.local, remote(row), clearable);
    EXPECT_EQ(shown.local.custom_variables.at("score"), "2") << "nobody took it away";
    EXPECT_EQ(shown.to_push, std::vector<Key>{"custom_variables.score"});
}

TEST(ThreeWayMerge, AWriteThatComesThroughAfterAnEditThereWasSeenIsNoEditAndOverrunsNone) {
    const auto at = [](int second) { return Circumstances{.at = noon + std::chrono::seconds{second}}; };
    const auto interest = [](const char* value) { return content({{"lt_interest_status", value}}); };
    const Base sent = base({}, {{"lt_interest_status", "2"}});
    // Somebody sets 0 before the job of ours has run, and a look shows that.
    const auto overtaken = merge(sent, interest("2"), remote(interest("0")), {}, at(0));
    EXPECT_EQ(overtaken.local, interest("0"));
    EXPECT_TRUE(overtaken.awaited.empty()) << "nobody waits for it";
    EXPECT_EQ(overtaken.conflicts.size(), 1U);

    const auto shown = merge(overtaken.base, overtaken.local, remote(interest("2")), {}, at(3));
    EXPECT_EQ(shown.local, interest("0"));
    EXPECT_EQ(shown.to_push, std::vector<Key>{"lt_interest_status"});
    ASSERT_EQ(shown.conflicts.size(), 1U);
    EXPECT_EQ(shown.conflicts[0].rule, Rule::late_write);
    EXPECT_EQ(shown.conflicts[0].resolution, Side::local);

    // Nobody has looked for a while: it is still that write. Whoever has looked knows that it did not come.
    const auto later = merge(overtaken.base, overtaken.local, remote(interest("2")), {}, at(3000));
    EXPECT_EQ(later.to_push, shown.to_push);
    EXPECT_TRUE(later.base.late.empty());
    const auto early = merge(overtaken.base, overtaken.local, remote(interest("0")), {}, at(29));
    EXPECT_EQ(early.base.late, overtaken.base.late);
    const auto looked = merge(overtaken.base, overtaken.local, remote(interest("0")), {}, at(30));
    EXPECT_TRUE(looked.base.late.empty());
    const auto edited = merge(looked.base, looked.local, remote(interest("2")), {}, at(31));
    EXPECT_EQ(edited.local, interest("2")) << "an edit made there";
    EXPECT_TRUE(edited.to_push.empty());

    // A newer write of ours is out: what shows is the older one.
    auto newer = overtaken;
    newer.base.expected["lt_interest_status"] = "1";
    const auto between = merge(newer.base, interest("1"), remote(interest("2")), {}, at(3));
    EXPECT_EQ(between.local, interest("1"));
    EXPECT_EQ(between.awaited, std::vector<Key>{"lt_interest_status"});
    const auto arrived = merge(between.base, between.local, remote(interest("1")), {}, at(6));
    EXPECT_TRUE(arrived.awaited.empty() && arrived.to_push.empty() && arrived.conflicts.empty());
    // It was not stored: what stands there is ours too, and no edit.
    newer.base.expectations_expired = true;
    const auto lost = merge(newer.base, interest("1"), remote(interest("2")), {}, at(29));
    EXPECT_EQ(lost.lost, std::vector<Key>{"lt_interest_status"});
    EXPECT_EQ(lost.to_push, std::vector<Key>{"lt_interest_status"});
    EXPECT_EQ(lost.local, interest("1"));
}

TEST(ThreeWayMerge, SoIsOneThatTheServerBringsIntoAnotherForm) {
    const auto at = [](int second) { return Circumstances{.at = noon + std::chrono::seconds{second}}; };
    const auto name = [](const char* value) { return content({{"first_name", value}}); };
    const auto overtaken =
        merge(base(name("Ada"), {{"first_name", "grace"}}), name("grace"), remote(name("Eve")), {}, at(0));
    EXPECT_EQ(overtaken.local, name("Eve"));
    const auto shown = merge(overtaken.base, overtaken.local, remote(name("Grace")), {}, at(3));
    EXPECT_EQ(shown.local, name("Eve"));
    EXPECT_EQ(shown.to_push, std::vector<Key>{"first_name"});
    ASSERT_EQ(shown.conflicts.size(), 1U);
    EXPECT_EQ(shown.conflicts[0].rule, Rule::late_write);

    const auto theirs = merge(overtaken.base, overtaken.local, remote(name("EVE")), {}, at(3));
    EXPECT_EQ(theirs.local, name("EVE")) << "the form of what stands there is not ours";
    const auto another = merge(overtaken.base, overtaken.local, remote(name("Mary")), {}, at(3));
    EXPECT_EQ(another.local, name("Mary"));

    // A newer write of ours that shows in another form is that one, and not the older one.
    auto newer = overtaken;
    newer.base.expected["first_name"] = "GRACE";
    const auto arrived = merge(newer.base, name("GRACE"), remote(name("Grace")), {}, at(3));
    EXPECT_TRUE(arrived.to_push.empty() && arrived.conflicts.empty() && arrived.awaited.empty());
}

TEST(ThreeWayMerge, SoIsAMoveThatComesThroughLate) {
    const std::string before = "aaaaaaaa-0000-4000-8000-000000000001";
    const std::string ours = "bbbbbbbb-0000-4000-8000-000000000002";
    const std::string theirs = "cccccccc-0000-4000-8000-000000000003";
    const auto at = [](int second) { return Circumstances{.at = noon + std::chrono::seconds{second}}; };
    const Base sent = base(content({{"campaign", before}}), {{"campaign", ours}});
    const auto overtaken = merge(sent, content({{"campaign", ours}}), remote(content({{"list_id", theirs}})),
                                 {.fallback = Rule::remote}, at(0));
    EXPECT_EQ(overtaken.local, content({{"list_id", theirs}}));
    const auto shown = merge(overtaken.base, overtaken.local, remote(content({{"campaign", ours}})), {}, at(3));
    EXPECT_EQ(shown.local, content({{"list_id", theirs}}));
    EXPECT_TRUE(has(shown.to_push, "list_id") && has(shown.to_push, "campaign"));
    EXPECT_EQ(shown.conflicts.size(), 1U);

    // A person is asked about the campaign: both columns wait for the word.
    auto asked = at(3);
    asked.open.emplace("campaign", OpenConflict{1, std::nullopt, before, std::nullopt});
    const auto parked = merge(overtaken.base, overtaken.local, remote(content({{"campaign", ours}})), {}, asked);
    EXPECT_TRUE(parked.to_push.empty());
    EXPECT_EQ(parked.local, overtaken.local);

    // The row is moved on meanwhile, and that move is out: all of the place waits for it.
    auto newer = overtaken;
    newer.base.expected["campaign"] = before;
    const auto between =
        merge(newer.base, content({{"campaign", before}}), remote(content({{"campaign", ours}})), {}, at(3));
    EXPECT_EQ(between.local, content({{"campaign", before}}));
    EXPECT_TRUE(between.to_push.empty() && between.conflicts.empty());
    EXPECT_TRUE(has(between.awaited, "campaign"));
}

TEST(ThreeWayMerge, AWriteSentManyTimesIsBelievedToStandThereInAnotherFormWhereItIsText) {
    const Circumstances sent_often{.form_is_believed = true};
    const auto outcome_of = [&](const char* field, const char* before, const char* sent) {
        return merge(base(content({{field, before}}), {{field, sent}}, true), content({{field, sent}}),
                     remote(content({{field, before}})), {}, sent_often);
    };
    const auto name = outcome_of("first_name", "ADA", "Ada");
    EXPECT_TRUE(name.lost.empty());
    EXPECT_EQ(name.local[Field::first_name], "ADA");
    const auto interest = outcome_of("lt_interest_status", "1", "-1");
    EXPECT_EQ(interest.lost, std::vector<Key>{"lt_interest_status"});
    EXPECT_EQ(interest.local[Field::lt_interest_status], "-1");
    const auto value = outcome_of("pl_value_lead", "15", "1.5");
    EXPECT_EQ(value.lost, std::vector<Key>{"pl_value_lead"});
}

TEST(ThreeWayMerge, InstantlysOwnFieldsAreTakenAsTheyCome) {
    const auto merged =
        merge({}, content({{"status", "1"}, {"email", "ada@acme.io"}}), remote(content({{"status", "0"}})), {});
    EXPECT_EQ(merged.local[Field::status], "0");
    EXPECT_EQ(merged.local[Field::email], "ada@acme.io") << "an answer without an email does not take it away";
}

TEST(ThreeWayMerge, AnOldValueSeenLateDoesNotUndoAWrite) {
    const auto before = base(content({{"phone", "1"}}), {{"phone", "2"}});
    const auto late = merge(before, content({{"phone", "2"}}), remote(content({{"phone", "1"}})), {});
    EXPECT_EQ(late.local[Field::phone], "2");
    EXPECT_TRUE(late.to_push.empty()) << "nothing more is sent while a write is out";
    EXPECT_EQ(late.awaited, std::vector<Key>{"phone"});

    const auto shown = merge(late.base, late.local, remote(content({{"phone", "2"}})), {});
    EXPECT_TRUE(shown.awaited.empty());
    EXPECT_TRUE(shown.base.expected.empty());
    EXPECT_EQ(shown.base.content[Field::phone], "2");
}

TEST(ThreeWayMerge, AWriteThatWasNotStoredIsSentAgain) {
    const auto before = base(content({{"phone", "1"}}), {{"phone", "2"}}, true);
    const auto merged = merge(before, content({{"phone", "2"}}), remote(content({{"phone", "1"}})), {});
    EXPECT_TRUE(has(merged.to_push, "phone"));
    EXPECT_EQ(merged.lost, std::vector<Key>{"phone"});
}

TEST(ThreeWayMerge, ARemovedCustomVariableIsConfirmedByAbsenceAndByEmptyText) {
    for (const auto& seen : {CustomVariables{}, CustomVariables{{"tier", ""}}, CustomVariables{{"tier", nullptr}}}) {
        const auto before = base(content({}, {{"tier", "gold"}}), {{"custom_variables.tier", ""}});
        const auto merged = merge(before, content({}), remote(content({}, seen)), {});
        EXPECT_TRUE(merged.awaited.empty());
        EXPECT_TRUE(merged.to_push.empty());
        EXPECT_TRUE(merged.base.expected.empty());
    }
}

// --- rules ---------------------------------------------------------------------------------------------------------

Content updated(Content values, const char* at) {
    values[Field::timestamp_updated] = at;
    return values;
}

TEST(Rules, NewestIsTheLaterEditAndTheLocalOneWhereATimeIsNotKnown) {
    struct Case {
        const char* story;
        std::optional<Instant> here;
        const char* there;
        Side winner;
    };
    const Case cases[] = {
        {"there later", noon, "2026-03-01T12:00:00.001Z", Side::remote},
        {"here later", noon, "2026-03-01T11:59:59.999Z", Side::local},
        {"at the same instant", noon, "2026-03-01T12:00:00.000Z", Side::local},
        {"here not known", {}, "2026-03-01T12:00:00.001Z", Side::local},
        {"there not known", noon, nullptr, Side::local},
    };
    for (const auto& [story, here, there, winner] : cases) {
        auto values = content({{"phone", "3"}}, {{"tier", "c"}});
        if (there != nullptr) values = updated(values, there);
        const auto merged =
            merge(base(content({{"phone", "1"}}, {{"tier", "a"}})), content({{"phone", "2"}}, {{"tier", "b"}}),
                  remote(values), {.fallback = Rule::newest}, {.at = noon, .local_edited_at = here});
        EXPECT_EQ(merged.local[Field::phone], winner == Side::local ? "2" : "3") << story;
        EXPECT_EQ(merged.local.custom_variables.at("tier"), winner == Side::local ? "b" : "c") << story;
        EXPECT_EQ(merged.to_push.size(), winner == Side::local ? 2U : 0U) << story;
        ASSERT_EQ(merged.conflicts.size(), 2U) << story;
        EXPECT_EQ(merged.conflicts[0].resolution, winner) << story;
    }
}

TEST(Rules, TheInterestHasATimeOfItsOwn) {
    auto values = updated(content({{"lt_interest_status", "1"}}), "2026-03-01T15:00:00.000Z");
    const auto winner = [&] {
        return merge(base(content({})), content({{"lt_interest_status", "2"}}), remote(values),
                     {.fallback = Rule::newest}, {.at = noon, .local_edited_at = noon})
            .conflicts.at(0)
            .resolution;
    };
    EXPECT_EQ(winner(), Side::remote) << "without one the lead's counts";
    values[Field::timestamp_last_interest_change] = "2026-03-01T11:00:00.000Z";
    EXPECT_EQ(winner(), Side::local);
    values[Field::timestamp_last_interest_change] = "2026-03-01T13:00:00.000Z";
    EXPECT_EQ(winner(), Side::remote);
}

TEST(Rules, ManualLeavesBothValuesAndNothingIsSent) {
    const auto merged =
        merge(base(content({{"phone", "1"}, {"job_title", "a"}})), content({{"phone", "2"}, {"job_title", "b"}}),
              remote(content({{"phone", "3"}, {"job_title", "a"}})), {.fallback = Rule::manual});
    EXPECT_EQ(merged.local[Field::phone], "2");
    EXPECT_EQ(merged.remote[Field::phone], "3");
    EXPECT_EQ(merged.base.content[Field::phone], "1") << "they have agreed on nothing";
    EXPECT_EQ(merged.parked, std::vector<Key>{"phone"});
    EXPECT_EQ(merged.to_push, std::vector<Key>{"job_title"});
    EXPECT_EQ(merged.conflicts, (std::vector<Conflict>{{"phone", "1", "2", "3", Rule::manual, std::nullopt}}));
}

TEST(Rules, AnEmptyRemoteValueIsKeptOutUnlessItMayClear) {
    struct Case {
        const char* story;
        ConflictPolicy policy;
        const char* here;
        bool kept;
    };
    const Case cases[] = {
        {"only it changed", {}, "1", true},
        {"both changed, remote wins", {.fallback = Rule::remote}, "2", true},
        {"both changed, newest wins", {.fallback = Rule::newest}, "2", true},
        {"it may clear", {.clearable = {Field::phone}}, "1", false},
        {"it may clear, both changed, remote wins",
         {.fallback = Rule::remote, .clearable = {Field::phone}},
         "2",
         false},
        {"another field may clear", {.clearable = {Field::website}}, "1", true},
    };
    for (const auto& empty : {Value{}, Value{""}})
        for (const auto& [story, policy, here, kept] : cases) {
            Content there;
            there[Field::phone] = empty;
            const auto merged =
                merge(base(content({{"phone", "1"}})), content({{"phone", here}}), remote(there), policy);
            EXPECT_EQ(merged.local[Field::phone].value_or(""), kept ? here : "") << story;
            EXPECT_EQ(has(merged.to_push, "phone"), kept) << story << ": it is brought back there";
            if (kept) {
                EXPECT_EQ(merged.conflicts.at(0).rule, Rule::keep_value) << story;
            }
        }
}

TEST(Rules, UnderTheRuleManualAPersonDecidesOnAnEmptyValueToo) {
    const auto merged = merge(base(content({{"phone", "1"}})), content({{"phone", "2"}}), remote(content({})),
                              {.fallback = Rule::manual});
    EXPECT_EQ(merged.conflicts.at(0).rule, Rule::manual);
    EXPECT_EQ(merged.parked, std::vector<Key>{"phone"});
}

TEST(Rules, AbsenceIsAValueWhereThereIsNoText) {
    for (const auto* field : {"lt_interest_status", "assigned_to", "subsequence_id"}) {
        const auto before = content({{field, "1"}});
        const auto merged = merge(base(before), before, remote(content({})), {});
        EXPECT_EQ(merged.local[field_named(field).value()], std::nullopt) << field;
        EXPECT_TRUE(merged.conflicts.empty()) << field;
    }
}

TEST(Rules, CustomVariablesMayBeClearableAsAWhole) {
    const auto before = content({}, {{"tier", "gold"}});
    EXPECT_TRUE(has(merge(base(before), before, remote(content({})), {}).to_push, "custom_variables.tier"));
    const auto cleared = merge(base(before), before, remote(content({})), {.custom_variables_clearable = true});
    EXPECT_TRUE(cleared.local.custom_variables.empty());
    EXPECT_TRUE(cleared.to_push.empty());
}

TEST(Rules, WhatTheServerMakesOfAValueIsItsWordAlsoWhenItIsNothing) {
    const auto before = base(content({{"first_name", "Ada"}}), {{"first_name", "   "}});
    const auto merged = merge(before, content({{"first_name", "   "}}), remote(content({})), {});
    EXPECT_EQ(merged.local[Field::first_name], std::nullopt);
    EXPECT_TRUE(merged.to_push.empty());
    EXPECT_TRUE(merged.conflicts.empty());
    EXPECT_EQ(merged.changes, (std::vector<Change>{{"first_name", "   ", std::nullopt, "normalised"}}));
}

// --- open conflicts ------------------------------------------------------------------------------------------------

using Outcome = ConflictUpdate::Outcome;

TEST(OpenConflicts, AreLeftAsTheyAreSettledOrFoundInAgreement) {
    struct Case {
        const char* story;
        std::optional<Side> resolution;
        const char *local, *remote;
        const char* row;
        bool pushed, parked;
        std::optional<Outcome> outcome;
    };
    const Case cases[] = {
        {"nobody decided, nothing new", {}, "2", "3", "2", false, true, {}},
        {"edited here meanwhile", {}, "4", "3", "4", false, true, Outcome::still_open},
        {"edited there meanwhile", {}, "2", "4", "2", false, true, Outcome::still_open},
        {"undone here: both have been told, and it stays open", {}, "1", "3", "1", false, true, Outcome::still_open},
        {"they came to agree", {}, "3", "3", "3", false, false, Outcome::agreed},
        {"decided for local", Side::local, "2", "3", "2", true, false, Outcome::settled},
        {"decided for local, edited since", Side::local, "4", "3", "4", true, false, Outcome::settled},
        {"decided for remote", Side::remote, "2", "3", "3", false, false, Outcome::settled},
        {"decided for remote, edited since", Side::remote, "2", "4", "4", false, false, Outcome::settled},
        {"decided, and in agreement by then", Side::local, "3", "3", "3", false, false, Outcome::agreed},
    };
    for (const auto& [story, resolution, local, there, row, pushed, parked, outcome] : cases) {
        const auto merged =
            merge(base(content({{"phone", "1"}})), content({{"phone", local}}), remote(content({{"phone", there}})),
                  {}, {.at = noon, .local_edited_at = {}, .open = {{"phone", {7, "2", "3", resolution}}}});
        EXPECT_EQ(merged.local[Field::phone], row) << story;
        EXPECT_EQ(has(merged.to_push, "phone"), pushed) << story;
        EXPECT_EQ(has(merged.parked, "phone"), parked) << story;
        EXPECT_TRUE(merged.conflicts.empty()) << story << ": it is one conflict, not two";
        ASSERT_EQ(merged.conflict_updates.size(), outcome ? 1U : 0U) << story;
        if (outcome) {
            EXPECT_EQ(merged.conflict_updates[0], (ConflictUpdate{7, local, there, *outcome})) << story;
        }
    }
}

TEST(OpenConflicts, OfAVariableThatNeitherSideHoldsAnyMoreClose) {
    const auto merged =
        merge(base(content({})), content({}), remote(content({})), {},
              {.at = noon, .local_edited_at = {}, .open = {{"custom_variables.tier", {7, "a", "b", {}}}}});
    ASSERT_EQ(merged.conflict_updates.size(), 1U);
    EXPECT_EQ(merged.conflict_updates[0].outcome, Outcome::agreed);
}

// --- flips ---------------------------------------------------------------------------------------------------------

/// Two automations, each of which sets a value of its own: what one merge after the other makes of it.
class Duel {
public:
    MergeResult here(const char* value) {
        local_[Field::phone] = value;
        return sync();
    }
    MergeResult there(const char* value) {
        remote_[Field::phone] = value;
        return sync();
    }
    Instant now = noon;

private:
    MergeResult sync() {
        auto merged = merge(base_, local_, remote(remote_), {}, {.at = now, .local_edited_at = {}, .open = {}});
        if (has(merged.to_push, "phone")) remote_[Field::phone] = merged.local[Field::phone];
        local_ = merged.local;
        base_ = merged.base;
        base_.content[Field::phone] = remote_[Field::phone];
        return merged;
    }
    Content local_ = content({{"phone", "0"}});
    Content remote_ = local_;
    Base base_ = base(local_);
};

TEST(Flips, TheSixthChangeOfSideWithinAnHourIsParked) {
    Duel duel;
    for (int round = 0; round < 3; ++round) {
        EXPECT_TRUE(duel.here("1").conflicts.empty()) << round;
        if (round < 2) {
            EXPECT_TRUE(duel.there("2").conflicts.empty()) << round;
        }
    }
    EXPECT_TRUE(duel.there("2").conflicts.empty()) << "the fifth";
    const auto parked = duel.here("1");
    ASSERT_EQ(parked.conflicts.size(), 1U) << "the sixth";
    EXPECT_EQ(parked.conflicts[0].rule, Rule::flip_flop);
    EXPECT_EQ(parked.conflicts[0].resolution, std::nullopt);
    EXPECT_TRUE(parked.to_push.empty());
    EXPECT_TRUE(parked.base.flips.empty()) << "counted anew once a person has decided";
}

TEST(Flips, ManyEditsOfOneSideAreNone) {
    for (const bool local_side : {true, false}) {
        Duel duel;
        for (int edit = 1; edit < 50; ++edit) {
            const auto value = std::to_string(edit);
            const auto merged = local_side ? duel.here(value.c_str()) : duel.there(value.c_str());
            EXPECT_TRUE(merged.conflicts.empty()) << edit;
        }
    }
}

TEST(Flips, AreForgottenAfterAnHour) {
    Duel duel;
    for (int round = 0; round < 50; ++round) {
        EXPECT_TRUE(duel.here("1").conflicts.empty()) << round;
        EXPECT_TRUE(duel.there("2").conflicts.empty()) << round;
        duel.now += std::chrono::minutes{30};
    }
}

TEST(Flips, AnAutomationThatKeepsEmptyingAFieldIsParkedToo) {
    Duel duel;
    std::size_t sent = 0;
    for (int round = 0; round < 10; ++round) {
        const auto merged = duel.there("");
        sent += merged.to_push.size();
        if (!merged.conflicts.empty() && merged.conflicts[0].rule == Rule::flip_flop) break;
    }
    EXPECT_EQ(sent, 3U);
}

TEST(Flips, OfAResolvedKeyAreCountedAnew) {
    for (const auto side : {Side::local, Side::remote}) {
        auto before = base(content({{"phone", "1"}}));
        before.flips["phone"] = {Side::local, 5, noon};
        const auto merged = merge(before, content({{"phone", "2"}}), remote(content({{"phone", "3"}})), {},
                                  {.at = noon, .local_edited_at = {}, .open = {{"phone", {7, "2", "3", side}}}});
        EXPECT_TRUE(merged.base.flips.empty());
    }
}

}  // namespace
}  // namespace leadsync::sync
