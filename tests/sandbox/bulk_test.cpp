#include <algorithm>

#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Bulk : public SandboxTest {
protected:
    TestJson add(const TestJson& leads, TestJson body) {
        body["leads"] = leads;
        return client.post("/api/v2/leads/add", body).json();
    }
};

TEST_F(Bulk, AddCountsWhatItDidNotCreate) {
    const auto answer = add({{{"email", "a@example.com"}, {"first_name", "A"}},
                             {{"email", "A@Example.com"}},
                             {{"email", "not an email"}},
                             {{"first_name", "Nobody"}},
                             {{"email", "example@example.com"}},
                             {{"email", "b@example.com"}, {"custom_variables", {{"k", "v"}}}}},
                            {{"campaign_id", documented_campaign}});
    EXPECT_EQ(answer["total_sent"], 6);
    EXPECT_EQ(answer["leads_uploaded"], 2);
    EXPECT_EQ(answer["duplicate_email_count"], 1);
    EXPECT_EQ(answer["invalid_email_count"], 2);
    EXPECT_EQ(answer["duplicated_leads"], 1);
    EXPECT_TRUE(answer["remaining_in_plan"].is_number());
    ASSERT_EQ(answer["created_leads"].size(), 2U);
    EXPECT_EQ(answer["created_leads"][1]["index"], 5);
    const auto second = client.lead(answer["created_leads"][1]["id"]);
    EXPECT_EQ(second["email"], "b@example.com");
    EXPECT_EQ(second["payload"]["k"], "v");
    EXPECT_EQ(second["campaign"], std::string{documented_campaign});
}

TEST_F(Bulk, AddIsSafeToRepeat) {
    const TestJson leads{{{"email", "a@example.com"}}, {{"email", "b@example.com"}}};
    EXPECT_EQ(add(leads, {{"campaign_id", documented_campaign}})["leads_uploaded"], 2);
    const auto again = add(leads, {{"campaign_id", documented_campaign}});
    EXPECT_EQ(again["leads_uploaded"], 0);
    EXPECT_EQ(again["duplicated_leads"], 2);
    EXPECT_TRUE(again["created_leads"].empty());
    EXPECT_EQ(add(leads, {{"campaign_id", campaign(0)}})["leads_uploaded"], 2) << "another campaign is another lead";
    EXPECT_EQ(add(leads, {{"campaign_id", campaign(1)}, {"skip_if_in_workspace", true}})["skipped_count"], 2);
}

TEST_F(Bulk, AddTakesListLeadsWithoutEmailIfTheyHaveAName) {
    const auto answer = add({{{"first_name", "Ada"}}, {{"phone", "1"}}}, {{"list_id", list_of(0)}});
    EXPECT_EQ(answer["leads_uploaded"], 1);
    EXPECT_EQ(answer["incomplete_count"], 1);
    EXPECT_TRUE(answer["remaining_in_plan"].is_null());
}

TEST_F(Bulk, AddRefusesTooManyTooFewAndAnUnclearTarget) {
    const auto status = [&](const TestJson& body) { return client.post("/api/v2/leads/add", body).status; };
    const TestJson lead{{"email", "a@example.com"}};
    EXPECT_EQ(status({{"campaign_id", campaign(0)}, {"leads", TestJson::array()}}), 400U);
    EXPECT_EQ(status({{"campaign_id", campaign(0)}, {"leads", std::vector<TestJson>(1001, lead)}}), 400U);
    EXPECT_EQ(status({{"campaign_id", campaign(0)}, {"list_id", list_of(0)}, {"leads", {lead}}}), 400U);
    EXPECT_EQ(status({{"leads", {lead}}}), 400U);
    EXPECT_EQ(status({{"campaign_id", example}, {"leads", {lead}}}), 404U);
}

TEST_F(Bulk, AddIsRefusedBeyondThePlan) {
    control.set_switches({{"plan_limit", 251}});
    const TestJson two{{{"email", "a@example.com"}}, {{"email", "b@example.com"}}};
    const auto refused = client.post("/api/v2/leads/add", {{"campaign_id", campaign(0)}, {"leads", two}});
    EXPECT_EQ(refused.status, 403U);
    EXPECT_EQ(refused.json()["message"], "Lead limit reached. Remaining uploads: 1");
    EXPECT_EQ(control.counts()["leads"], 250);
}

TEST_F(Bulk, InterestChangesAfterTheAnswerAndOnlyInItsScope) {
    const auto elsewhere = control.add({{"campaign", campaign(0)}, {"email", "example@example.com"}})["id"];
    const auto answer = client.post(
        "/api/v2/leads/update-interest-status",
        {{"lead_email", "Example@Example.com"}, {"interest_value", 4}, {"campaign_id", documented_campaign}});
    EXPECT_EQ(answer.status, 202U);
    EXPECT_EQ(answer.json()["message"], "Lead interest status update background job submitted");
    EXPECT_TRUE(eventually([&] { return client.lead(example)["lt_interest_status"] == 4; }));
    EXPECT_FALSE(control.lead(elsewhere.get<std::string>())->contains("lt_interest_status"));
}

TEST_F(Bulk, InterestIsNotChangedBeforeItsDelay) {
    control.set_switches({{"interest_delay_ms", 600'000}});
    client.post("/api/v2/leads/update-interest-status",
                {{"lead_email", "example@example.com"}, {"interest_value", -1}});
    EXPECT_EQ(control.lead(example)->at("lt_interest_status"), 1);
}

TEST_F(Bulk, UnscopedInterestChangesEveryLeadOfTheEmailAndNullClearsIt) {
    const std::string other =
        control.add({{"list_id", list_of(0)}, {"email", "example@example.com"}, {"lt_interest_status", 3}})["id"];
    client.post("/api/v2/leads/update-interest-status",
                {{"lead_email", "example@example.com"}, {"interest_value", nullptr}});
    EXPECT_TRUE(eventually([&] { return !control.lead(example)->contains("lt_interest_status"); }));
    EXPECT_FALSE(control.lead(other)->contains("lt_interest_status"));
}

TEST_F(Bulk, InterestOfAnUnknownEmailIsAcceptedAndNonsenseRefusedInItsOwnShape) {
    const auto send = [&](const TestJson& body) { return client.post("/api/v2/leads/update-interest-status", body); };
    EXPECT_EQ(send({{"lead_email", "nobody@example.com"}, {"interest_value", 1}}).status, 202U);
    for (const auto& body : {TestJson{{"interest_value", 1}}, TestJson{{"lead_email", "a@example.com"}},
                             TestJson{{"lead_email", "a@example.com"}, {"interest_value", "hot"}}}) {
        const auto refused = send(body);
        EXPECT_EQ(refused.status, 400U);
        EXPECT_EQ(refused.json().size(), 1U);
        EXPECT_TRUE(refused.json().contains("error"));
    }
}

TEST_F(Bulk, AssignSpreadsTheLeadsOverTheUsersLater) {
    const auto ids = leads_in(campaign(0), 4);
    const TestJson users{documented_user, documented_assignee};
    const auto answer = client.post("/api/v2/leads/bulk-assign", {{"ids", ids}, {"organization_user_ids", users}});
    EXPECT_EQ(answer.status, 202U);
    EXPECT_EQ(answer.json()["status"], "accepted");
    EXPECT_TRUE(eventually([&] {
        return client.lead(ids[0]).value("assigned_to", "") == documented_user
               && client.lead(ids[1]).value("assigned_to", "") == documented_assignee
               && client.lead(ids[3]).value("assigned_to", "") == documented_assignee;
    }));
    const auto refused = client.post("/api/v2/leads/bulk-assign", {{"organization_user_ids", {"x"}}});
    EXPECT_EQ(refused.status, 400U);
    EXPECT_EQ(refused.json(), TestJson({{"message", "Invalid ID on `organization_user_ids` field"}}));
}

TEST_F(Bulk, AssignIsRefusedForAllOfItsLeadsWhenASwitchRefusesOne) {
    const auto ids = leads_in(campaign(0), 3);
    control.set_switches({{"refused_ids", {ids[1]}}, {"assign_delay_ms", 0}});
    TestJson body{{"ids", ids}, {"organization_user_ids", {documented_assignee}}};
    const auto refused = client.post("/api/v2/leads/bulk-assign", body);
    EXPECT_EQ(refused.status, 400U);
    EXPECT_EQ(refused.json(), TestJson({{"message", "Invalid ID on `ids` field"}}));
    body["ids"] = std::vector<std::string>{ids[0], ids[2]};
    EXPECT_EQ(client.post("/api/v2/leads/bulk-assign", body).status, 202U);
    EXPECT_TRUE(eventually([&] { return client.lead(ids[2]).value("assigned_to", "") == documented_assignee; }));
}

TEST_F(Bulk, DeleteWithoutIdsDeletesEverythingThatMatches) {
    const auto before = control.counts();
    const auto expected = before["campaigns"][campaign(0)];
    const auto answer =
        client.send_json("DELETE", "/api/v2/leads", {{"campaign_id", campaign(0)}, {"id", {example}}});
    EXPECT_EQ(answer.json(), TestJson({{"count", expected}})) << "the misspelt key is ignored";
    EXPECT_EQ(control.counts()["leads"], before["leads"].get<int>() - expected.get<int>());
}

TEST_F(Bulk, DeleteWithIdsStatusOrLimitDeletesOnlyThose) {
    const auto ids = leads_in(campaign(0), 3);
    const auto count = [&](TestJson body) {
        body["campaign_id"] = campaign(0);
        return client.send_json("DELETE", "/api/v2/leads", body).json()["count"];
    };
    EXPECT_EQ(count({{"ids", {ids[0], example}}}), 1) << "the example lead is in another campaign";
    EXPECT_TRUE(control.lead(example));
    EXPECT_EQ(count({{"limit", 2}}), 2);
    control.edit(leads_in(campaign(0), 1)[0], {{"status", 77}});
    EXPECT_EQ(count({{"status", 77}}), 1);
    EXPECT_EQ(client.send_json("DELETE", "/api/v2/leads", TestJson::object()).status, 400U);
}

}  // namespace
}  // namespace leadsync::sandbox
