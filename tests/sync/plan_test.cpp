#include "sync/plan.hpp"

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

constexpr auto here = "11111111-1111-4111-8111-111111111111";
constexpr auto there = "22222222-2222-4222-8222-222222222222";

/// A lead in step in campaign `here`, with local edits on top.
MergeResult edited(const std::map<Field, Value>& edits,
                   const std::map<Field, Value>& held = {{Field::campaign, here}}) {
    Content instantly;
    instantly[Field::email] = "ada@acme.io";
    for (const auto& [field, value] : held) instantly[field] = value;
    Content local = instantly;
    for (const auto& [field, value] : edits) local[field] = value;
    return merge({instantly}, local, {.content = instantly}, {});
}

TEST(PlanPush, NothingEditedNothingSent) { EXPECT_TRUE(plan_push(edited({})).empty()); }

TEST(PlanPush, ProfileFieldsGoInOnePatch) {
    const auto plan =
        plan_push(edited({{Field::phone, "2"}, {Field::first_name, std::nullopt}, {Field::assigned_to, there}}));
    ASSERT_TRUE(plan.patch);
    EXPECT_EQ(plan.patch->fields, (std::vector{Field::phone, Field::assigned_to})) << "first_name was absent already";
    EXPECT_FALSE(plan.interest || plan.move || plan.subsequence);
}

TEST(PlanPush, InterestIsScopedToWhereTheLeadIs) {
    const auto in_campaign = plan_push(edited({{Field::lt_interest_status, "2"}}));
    ASSERT_TRUE(in_campaign.interest);
    EXPECT_EQ(in_campaign.interest->campaign, here);
    EXPECT_EQ(in_campaign.interest->interest, 2);

    const auto in_list = plan_push(edited({{Field::lt_interest_status, "0"}}, {{Field::list_id, here}}));
    ASSERT_TRUE(in_list.interest);
    EXPECT_EQ(in_list.interest->list, here);
    EXPECT_EQ(in_list.interest->campaign, std::nullopt);
}

TEST(PlanPush, InterestOfALeadWithoutAScopeGoesByPatchAndItsClearingIsRefused) {
    const auto set = plan_push(edited({{Field::lt_interest_status, "1"}}, {}));
    ASSERT_TRUE(set.patch);
    EXPECT_EQ(set.patch->fields, std::vector{Field::lt_interest_status});
    const auto cleared =
        plan_push(edited({{Field::lt_interest_status, std::nullopt}}, {{Field::lt_interest_status, "1"}}));
    EXPECT_TRUE(cleared.empty());
    EXPECT_EQ(cleared.refused.size(), 1U);
}

TEST(PlanPush, AMoveGoesFromWhereInstantlyHoldsTheLead) {
    const auto plan = plan_push(edited({{Field::campaign, there}}));
    ASSERT_TRUE(plan.move);
    EXPECT_EQ(*plan.move, (MoveIntent{.from_campaign = here, .to_campaign = there}));
}

TEST(PlanPush, AListLeadThatEntersACampaignIsAwaitedThereOnly) {
    const auto plan = plan_push(edited({{Field::campaign, there}}, {{Field::list_id, here}}));
    ASSERT_TRUE(plan.move);
    EXPECT_EQ(*plan.move, (MoveIntent{.from_list = here, .to_campaign = there}));
    EXPECT_EQ(expectations(*plan.move), (std::map<Key, Value>{{"campaign", there}}));
}

TEST(PlanPush, TheListLeftBehindIsTakenOverAndNotSentBack) {
    auto merged = edited({{Field::campaign, there}}, {{Field::list_id, here}});
    const auto plan = plan_push(merged);
    for (const auto& [key, value] : expectations(*plan.move)) merged.base.expected[key] = value;
    Content moved = merged.base.content;
    moved[Field::list_id] = std::nullopt;
    moved[Field::campaign] = there;
    const auto after = merge(merged.base, merged.local, {.content = moved}, {});
    EXPECT_EQ(after.local[Field::list_id], std::nullopt);
    EXPECT_TRUE(plan_push(after).empty());
    EXPECT_TRUE(plan_push(after).refused.empty());
}

TEST(PlanPush, LeavingACampaignForAListByBothColumnsIsAMove) {
    const auto plan = plan_push(edited({{Field::campaign, std::nullopt}, {Field::list_id, there}}));
    ASSERT_TRUE(plan.move);
    EXPECT_EQ(*plan.move, (MoveIntent{.from_campaign = here, .to_list = there}));
}

TEST(PlanPush, WhatNoCallCanDoIsRefusedInWords) {
    EXPECT_EQ(plan_push(edited({{Field::campaign, std::nullopt}})).refused.size(), 1U);
    EXPECT_EQ(plan_push(edited({{Field::campaign, there}, {Field::list_id, there}})).refused.size(), 1U);
    EXPECT_EQ(plan_push(edited({{Field::campaign, there}}, {})).refused.size(), 1U) << "no source to move from";
}

TEST(PlanPush, AMoveWaitsForTheInterestThatIsScopedToTheOldPlace) {
    auto merged = edited({{Field::campaign, there}, {Field::lt_interest_status, "2"}});
    const auto first = plan_push(merged);
    EXPECT_TRUE(first.interest);
    EXPECT_FALSE(first.move);
    for (const auto& [key, value] : expectations(*first.interest)) merged.base.expected[key] = value;
    merged = merge(merged.base, merged.local, {.content = merged.base.content}, {});
    EXPECT_FALSE(plan_push(merged).move) << "the interest is out, not shown yet";
}

TEST(PlanPush, TheCompleteVariableMapIsSentWithRemovedKeysEmptied) {
    Content instantly;
    instantly.custom_variables = {{"kept", 1}, {"removed", "x"}, {"changed", "a"}};
    Content local;
    local.custom_variables = {{"kept", 1}, {"changed", "b"}, {"added", true}};
    const auto plan = plan_push(merge({instantly}, local, {.content = instantly}, {}));
    ASSERT_TRUE(plan.patch && plan.patch->custom_variables);
    EXPECT_EQ(*plan.patch->custom_variables,
              (CustomVariables{{"kept", 1}, {"removed", ""}, {"changed", "b"}, {"added", true}}));
}

TEST(PlanPush, NoVariableIsSentWhileAWriteOfAnotherIsOut) {
    Content instantly;
    instantly.custom_variables = {{"a", "1"}, {"b", "1"}};
    Content local;
    local.custom_variables = {{"a", "2"}, {"b", "2"}};
    const auto merged =
        merge({.content = instantly, .expected = {{"custom_variables.a", "2"}}}, local, {.content = instantly}, {});
    EXPECT_TRUE(plan_push(merged).empty()) << "where PATCH replaces the map it would undo the write that is out";
}

TEST(PlanPush, TheCompleteMapLeavesWhatIsParkedAsInstantlyHoldsIt) {
    Content base;
    base.custom_variables = {{"parked", "1"}, {"gone_here", "1"}, {"gone_there", "1"}, {"edited", "1"}};
    Content local;
    local.custom_variables = {{"parked", "here"}, {"gone_there", "here"}, {"edited", "2"}};
    Content instantly;
    instantly.custom_variables = {{"parked", "there"}, {"gone_here", "there"}, {"edited", "1"}};
    const auto merged = merge({base}, local, {.content = instantly}, {.fallback = Rule::manual});
    ASSERT_EQ(merged.parked.size(), 3U);
    const auto plan = plan_push(merged);
    ASSERT_TRUE(plan.patch && plan.patch->custom_variables);
    EXPECT_EQ(*plan.patch->custom_variables,
              (CustomVariables{{"parked", "there"}, {"gone_here", "there"}, {"edited", "2"}}));
}

TEST(PlanPush, AParkedFieldIsInNoCall) {
    Content base;
    base[Field::campaign] = here;
    base[Field::phone] = "1";
    auto local = base;
    auto instantly = base;
    for (const auto field : {Field::phone, Field::lt_interest_status, Field::assigned_to, Field::subsequence_id}) {
        local[field] = "2";
        instantly[field] = "3";
    }
    local[Field::campaign] = there;
    instantly[Field::campaign] = "33333333-3333-4333-8333-333333333333";
    const auto plan = plan_push(merge({base}, local, {.content = instantly}, {.fallback = Rule::manual}));
    EXPECT_TRUE(plan.empty());
    EXPECT_TRUE(plan.refused.empty());
}

TEST(PlanPush, AMoveThatIsOutIsWaitedForByWhatIsScopedToThePlace) {
    auto merged = edited({{Field::lt_interest_status, "2"}, {Field::subsequence_id, there}, {Field::phone, "2"}});
    merged.awaited.emplace_back("campaign");
    const auto plan = plan_push(merged);
    EXPECT_FALSE(plan.interest || plan.subsequence || plan.move);
    ASSERT_TRUE(plan.patch);
    EXPECT_EQ(plan.patch->fields, std::vector{Field::phone}) << "the profile goes on";
}

}  // namespace
}  // namespace leadsync::sync
