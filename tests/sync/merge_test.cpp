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

}  // namespace
}  // namespace leadsync::sync
