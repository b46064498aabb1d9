#include "tests/sandbox/instant.hpp"
#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Leads : public SandboxTest {};

TEST_F(Leads, AnswerTheDocumentedLeadByItsId) {
    const auto answer = client.get("/api/v2/leads/" + example);
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.json(), TestJson::parse(documented_lead));
    EXPECT_EQ(client.get("/api/v2/leads/01959272-0000-7000-8000-000000000000").status, 404U);
    EXPECT_EQ(client.get("/api/v2/leads/no-uuid").status, 404U);
}

TEST_F(Leads, PatchAnswersTheFullLeadAndMovesItsTimestamp) {
    const auto before = client.lead(example);
    const auto answer = client.patch("/api/v2/leads/" + example, {{"first_name", "Jane"}, {"phone", nullptr}});
    ASSERT_EQ(answer.status, 200U);
    auto expected = before;
    expected["first_name"] = "Jane";
    expected.erase("phone");
    expected["timestamp_updated"] = answer.json().at("timestamp_updated");
    EXPECT_EQ(answer.json(), expected);
    EXPECT_GT(answer.json().at("timestamp_updated"), before.at("timestamp_updated"));
    EXPECT_EQ(client.lead(example), expected);
}

TEST_F(Leads, PatchIgnoresWhatItMayNotChange) {
    const auto answer = client.patch("/api/v2/leads/" + example,
                                     {{"email", "x@example.com"}, {"status", 3}, {"campaign", campaign(0)}});
    EXPECT_EQ(answer.status, 200U);
    EXPECT_EQ(answer.json().at("email"), "example@example.com");
    EXPECT_EQ(answer.json().at("status"), 1);
    EXPECT_EQ(answer.json().at("campaign"), std::string{documented_campaign});
}

TEST_F(Leads, PatchRefusesWhatIsNoFieldValue) {
    const auto path = "/api/v2/leads/" + example;
    EXPECT_EQ(client.patch(path, TestJson::object()).status, 400U);
    EXPECT_EQ(client.patch(path, {{"first_name", 5}}).status, 400U);
    EXPECT_EQ(client.patch(path, {{"lt_interest_status", "hot"}}).status, 400U);
    EXPECT_EQ(client.patch(path, {{"custom_variables", {{"a", {1, 2}}}}}).status, 400U);
    EXPECT_EQ(client.patch("/api/v2/leads/01959272-0000-7000-8000-000000000000", {{"phone", "1"}}).status, 404U);
}

TEST_F(Leads, PatchOfTheInterestMovesItsOwnTimestamp) {
    const auto before = client.lead(example);
    const auto same = client.patch("/api/v2/leads/" + example, {{"lt_interest_status", 1}}).json();
    EXPECT_EQ(same["timestamp_last_interest_change"], before["timestamp_last_interest_change"]);
    const auto changed = client.patch("/api/v2/leads/" + example, {{"lt_interest_status", 2}}).json();
    EXPECT_GT(changed["timestamp_last_interest_change"], before["timestamp_last_interest_change"]);
}

TEST_F(Leads, PatchMergesCustomVariablesOrReplacesThem) {
    const auto path = "/api/v2/leads/" + example;
    auto payload = client.patch(path, {{"custom_variables", {{"a", 1}, {"b", "x"}}}}).json()["payload"];
    EXPECT_EQ(payload["a"], 1);
    EXPECT_TRUE(payload.contains("property1"));
    control.set_switches({{"custom_variables", "replace"}});
    payload = client.patch(path, {{"custom_variables", {{"c", true}}}}).json()["payload"];
    EXPECT_FALSE(payload.contains("a"));
    EXPECT_FALSE(payload.contains("property1"));
    EXPECT_EQ(payload["c"], true);
    EXPECT_EQ(payload["firstName"], "John") << "mirrors are not variables";
}

TEST_F(Leads, RemoveAVariableByNullOrByEmptyTextAsSwitched) {
    const auto patched = [&](const TestJson& value) {
        client.patch("/api/v2/leads/" + example, {{"custom_variables", {{"a", "x"}}}});
        return client.patch("/api/v2/leads/" + example, {{"custom_variables", {{"a", value}}}}).json()["payload"];
    };
    EXPECT_FALSE(patched(nullptr).contains("a"));
    EXPECT_EQ(patched("")["a"], "");
    control.set_switches({{"null_removes", false}, {"empty_removes", true}});
    EXPECT_TRUE(patched(nullptr)["a"].is_null());
    EXPECT_FALSE(patched("").contains("a"));
}

TEST_F(Leads, NormaliseWhatIsWrittenAsSwitched) {
    control.set_switches({{"normalise_trim", true},
                          {"normalise_website", true},
                          {"normalise_phone", true},
                          {"numbers_as_text", true}});
    const auto lead = client
                          .patch("/api/v2/leads/" + example, {{"first_name", "  Jane \n"},
                                                              {"website", "HTTPS://Example.COM"},
                                                              {"phone", "+1 (555) 123-4567"},
                                                              {"custom_variables", {{"n", 42}, {"t", " x "}}}})
                          .json();
    EXPECT_EQ(lead["first_name"], "Jane");
    EXPECT_EQ(lead["website"], "https://example.com");
    EXPECT_EQ(lead["phone"], "+15551234567");
    EXPECT_EQ(lead["payload"]["n"], "42");
    EXPECT_EQ(lead["payload"]["t"], "x");
}

TEST_F(Leads, AnswerEveryNthPatchWithoutStoringIt) {
    control.set_switches({{"ignore_writes_every", 2}});
    const auto path = "/api/v2/leads/" + example;
    EXPECT_EQ(client.patch(path, {{"first_name", "One"}}).json()["first_name"], "One");
    EXPECT_EQ(client.patch(path, {{"first_name", "Two"}}).json()["first_name"], "Two");
    EXPECT_EQ(client.lead(example)["first_name"], "One");
}

TEST_F(Leads, CreateALeadWhoseIdSortsLastAmongTheNewOnes) {
    const auto lead = client
                          .post("/api/v2/leads", {{"campaign", campaign(0)},
                                                  {"email", "New@Example.com"},
                                                  {"first_name", "Neu"},
                                                  {"custom_variables", {{"k", 1}}}})
                          .json();
    EXPECT_EQ(lead["company_domain"], "example.com");
    EXPECT_EQ(lead["payload"], TestJson({{"firstName", "Neu"}, {"email", "New@Example.com"}, {"k", 1}}));
    EXPECT_EQ(lead["id"].get<std::string>()[14], '7');
    EXPECT_FALSE(lead.contains("lt_interest_status"));
    EXPECT_EQ(client.lead(lead["id"]), lead);
    const auto second =
        client.post("/api/v2/leads", {{"campaign", campaign(0)}, {"email", "new@example.com"}}).json();
    EXPECT_GT(second["id"], lead["id"]) << "without a flag the same email makes a second lead";
}

TEST_F(Leads, CreateAnswersTheExistingLeadUnderASkipFlag) {
    const auto again =
        client
            .post("/api/v2/leads",
                  {{"campaign", campaign(0)}, {"email", "EXAMPLE@example.com"}, {"skip_if_in_workspace", true}})
            .json();
    EXPECT_EQ(again["id"], example);
    EXPECT_EQ(client.lead(example), TestJson::parse(documented_lead));
}

TEST_F(Leads, CreateRefusesWhatHasNoPlaceOrNoEmail) {
    EXPECT_EQ(client.post("/api/v2/leads", {{"email", "a@example.com"}}).status, 400U);
    EXPECT_EQ(client.post("/api/v2/leads", {{"campaign", campaign(0)}}).status, 400U);
    EXPECT_EQ(client.post("/api/v2/leads", {{"campaign", example}, {"email", "a@example.com"}}).status, 404U);
    EXPECT_EQ(client.post("/api/v2/leads", {{"list_id", list_of(0)}, {"first_name", "A"}}).status, 200U);
}

TEST_F(Leads, CreateIsRefusedBeyondThePlan) {
    control.set_switches({{"plan_limit", 251}});
    const TestJson lead{{"campaign", campaign(0)}, {"email", "a@example.com"}};
    EXPECT_EQ(client.post("/api/v2/leads", lead).status, 200U);
    const auto refused = client.post("/api/v2/leads", lead);
    EXPECT_EQ(refused.status, 403U);
    EXPECT_EQ(refused.json()["message"], "Lead limit reached. Remaining uploads: 0");
    EXPECT_EQ(client.patch("/api/v2/leads/" + example, {{"phone", "1"}}).status, 200U);
}

TEST_F(Leads, DeleteAnswersTheLeadAndThen404) {
    const auto lead = client.lead(example);
    EXPECT_EQ(client.remove("/api/v2/leads/" + example).json(), lead);
    EXPECT_EQ(client.remove("/api/v2/leads/" + example).status, 404U);
    EXPECT_EQ(client.get("/api/v2/leads/" + example).status, 404U);
    EXPECT_FALSE(control.lead(example));
}

TEST_F(Leads, DeleteWithAJsonContentTypeAndNoBodyIsRefused) {
    const auto answer = client.send("DELETE", "/api/v2/leads/" + example, "", {{"Content-Type", "application/json"}});
    EXPECT_EQ(answer.status, 400U);
    EXPECT_EQ(answer.json()["code"], "FST_ERR_CTP_EMPTY_JSON_BODY");
    EXPECT_TRUE(control.lead(example));
}

TEST_F(Leads, MergeFillsTheDestinationAndRemovesTheSource) {
    control.edit(example, {{"phone", nullptr}, {"custom_variables", {{"mine", 1}}}});
    const auto source = control.add({{"campaign", campaign(0)},
                                     {"email", "source@example.com"},
                                     {"phone", "+49"},
                                     {"custom_variables", {{"mine", 2}, {"theirs", 3}}}})["id"];
    const auto merged =
        client.post("/api/v2/leads/merge", {{"lead_id", source}, {"destination_lead_id", example}}).json();
    EXPECT_EQ(merged["id"], example);
    EXPECT_EQ(merged["email"], "example@example.com");
    EXPECT_EQ(merged["phone"], "+49");
    EXPECT_EQ(merged["payload"]["mine"], 1);
    EXPECT_EQ(merged["payload"]["theirs"], 3);
    EXPECT_EQ(client.get("/api/v2/leads/" + source.get<std::string>()).status, 404U);
}

TEST_F(Leads, EnterAndLeaveASubsequence) {
    const TestJson target{{"id", example}, {"subsequence_id", campaign(0)}};
    const auto inside = client.post("/api/v2/leads/subsequence/move", target).json();
    EXPECT_EQ(inside["subsequence_id"], campaign(0));
    const auto outside = client.post("/api/v2/leads/subsequence/remove", {{"id", example}}).json();
    EXPECT_FALSE(outside.contains("subsequence_id"));
    EXPECT_FALSE(outside.contains("timestamp_added_subsequence"));
    EXPECT_EQ(client.post("/api/v2/leads/subsequence/remove", TestJson::object()).status, 400U);
}

TEST_F(Leads, LagBehindWritesInReadsButNotInTheTruth) {
    control.set_switches({{"read_lag_ms", 600'000}});
    EXPECT_EQ(client.patch("/api/v2/leads/" + example, {{"first_name", "Jane"}}).json()["first_name"], "Jane");
    EXPECT_EQ(client.lead(example)["first_name"], "John");
    EXPECT_EQ(client.list({{"ids", {example}}})["items"][0]["first_name"], "John");
    EXPECT_EQ(control.lead(example)->at("first_name"), "Jane");
}

TEST_F(Leads, CatchUpWhenTheLagIsOver) {
    control.set_switches({{"read_lag_ms", 50}});
    client.patch("/api/v2/leads/" + example, {{"first_name", "Jane"}});
    EXPECT_TRUE(eventually([&] { return client.lead(example)["first_name"] == "Jane"; }));
}

}  // namespace
}  // namespace leadsync::sandbox
