#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Moving : public SandboxTest {
protected:
    TestJson start(TestJson body) {
        const auto answer = client.post("/api/v2/leads/move", body);
        EXPECT_EQ(answer.status, 200U) << answer.body;
        return answer.json();
    }

    TestJson finished(const TestJson& job) {
        TestJson last;
        EXPECT_TRUE(eventually([&] {
            last = client.get("/api/v2/background-jobs/" + job["id"].get<std::string>()).json();
            return last["status"] == "success" || last["status"] == "failed";
        }));
        return last;
    }

    TestJson example_to(const TestJson& options) {
        TestJson body{{"campaign", documented_campaign}, {"ids", {example}}};
        body.update(options);
        return body;
    }
};

TEST_F(Moving, KeepsTheIdAndLeavesTheListAndTheSequence) {
    const auto job = start(example_to({{"to_campaign_id", campaign(0)}, {"reset_interest_status", false}}));
    EXPECT_EQ(job["status"], "pending");
    EXPECT_EQ(job["id"].get<std::string>().size(), 24U);
    EXPECT_EQ(client.lead(example)["campaign"], std::string{documented_campaign}) << "not before the job is done";
    const auto done = finished(job);
    EXPECT_EQ(done["data"]["moved_leads"], 1);
    EXPECT_EQ(done["data"]["moved_lead_emails"], TestJson({"example@example.com"}));
    EXPECT_EQ(done["progress"], 100);
    const auto lead = client.lead(example);
    EXPECT_EQ(lead["campaign"], campaign(0));
    EXPECT_FALSE(lead.contains("list_id"));
    EXPECT_FALSE(lead.contains("last_step_id"));
    EXPECT_EQ(lead["lt_interest_status"], 1);
    EXPECT_EQ(lead["timestamp_created"], TestJson::parse(documented_lead)["timestamp_created"]);
}

TEST_F(Moving, ClearsTheInterestUnlessToldNotTo) {
    finished(start(example_to({{"to_list_id", list_of(0)}})));
    const auto lead = client.lead(example);
    EXPECT_EQ(lead["list_id"], list_of(0));
    EXPECT_FALSE(lead.contains("campaign"));
    EXPECT_FALSE(lead.contains("lt_interest_status"));
}

TEST_F(Moving, HoldsItsCampaignsAgainstOtherWrites) {
    control.set_switches({{"job_delay_ms", 600'000}});
    start(example_to({{"to_campaign_id", campaign(0)}}));
    const auto refused = client.post("/api/v2/leads/move", example_to({{"to_campaign_id", campaign(1)}}));
    EXPECT_EQ(refused.status, 409U);
    EXPECT_EQ(refused.json()["error"], "Conflict");
    const TestJson lead{{"email", "a@example.com"}};
    EXPECT_EQ(client.post("/api/v2/leads/add", {{"campaign_id", campaign(0)}, {"leads", {lead}}}).status, 409U);
    EXPECT_EQ(client.post("/api/v2/leads", {{"campaign", campaign(0)}, {"email", "a@example.com"}}).status, 409U);
    EXPECT_EQ(client.remove("/api/v2/leads/" + example).status, 409U);
    EXPECT_EQ(client.send_json("DELETE", "/api/v2/leads", {{"campaign_id", campaign(0)}}).status, 409U);
    EXPECT_EQ(client.post("/api/v2/leads/add", {{"campaign_id", campaign(1)}, {"leads", {lead}}}).status, 200U);
    EXPECT_EQ(client.patch("/api/v2/leads/" + example, {{"phone", "1"}}).status, 200U);
}

TEST_F(Moving, ReleasesItsCampaignsWhenItEnds) {
    finished(start(example_to({{"to_campaign_id", campaign(0)}})));
    EXPECT_EQ(client.remove("/api/v2/leads/" + example).status, 200U);
}

TEST_F(Moving, NeedsASourceAndATarget) {
    const auto status = [&](const TestJson& body) { return client.post("/api/v2/leads/move", body).status; };
    EXPECT_EQ(status({{"ids", {example}}, {"to_campaign_id", campaign(0)}}), 400U);
    EXPECT_EQ(status(example_to(TestJson::object())), 400U);
    EXPECT_EQ(status(example_to({{"to_campaign_id", campaign(0)}, {"to_list_id", list_of(0)}})), 400U);
    EXPECT_EQ(status(example_to({{"to_campaign_id", example}})), 404U);
}

TEST_F(Moving, MovesOnlyLeadsThatAreInTheSource) {
    const auto done =
        finished(start({{"campaign", campaign(0)}, {"ids", {example}}, {"to_campaign_id", campaign(1)}}));
    EXPECT_EQ(done["status"], "success");
    EXPECT_EQ(done["data"]["moved_leads"], 0);
    EXPECT_EQ(client.lead(example)["campaign"], std::string{documented_campaign});
}

TEST_F(Moving, CopiesUnderNewIds) {
    finished(start(example_to({{"to_campaign_id", campaign(0)}, {"copy_leads", true}})));
    EXPECT_EQ(client.lead(example)["campaign"], std::string{documented_campaign});
    const auto copies = client.list({{"contacts", {"example@example.com"}}, {"campaign", campaign(0)}})["items"];
    ASSERT_EQ(copies.size(), 1U);
    EXPECT_NE(copies[0]["id"], example);
}

TEST_F(Moving, SkipsDuplicatesWhenAsked) {
    control.add({{"campaign", campaign(0)}, {"email", "example@example.com"}});
    const TestJson target{{"to_campaign_id", campaign(0)}, {"check_duplicates", true}};
    EXPECT_EQ(finished(start(example_to(target)))["data"]["moved_leads"], 0);
    EXPECT_EQ(finished(start(example_to({{"to_campaign_id", campaign(0)}})))["data"]["moved_leads"], 1);
}

TEST_F(Moving, FailsMovesNothingOrPartOfItAsSwitched) {
    const auto ids = leads_in(campaign(0), 4);
    const TestJson body{{"campaign", campaign(0)}, {"ids", ids}, {"to_campaign_id", campaign(1)}};
    control.set_switches({{"job_outcome", "failed"}});
    EXPECT_EQ(finished(start(body))["status"], "failed");
    control.set_switches({{"job_outcome", "moved_nothing"}});
    const auto nothing = finished(start(body));
    EXPECT_EQ(nothing["status"], "success");
    EXPECT_EQ(nothing["data"]["moved_leads"], 0);
    EXPECT_EQ(leads_in(campaign(0), 4), ids);
    control.set_switches({{"job_outcome", "partial"}});
    EXPECT_EQ(finished(start(body))["data"]["moved_leads"], 2);
    EXPECT_EQ(client.lead(ids[1])["campaign"], campaign(1));
    EXPECT_EQ(client.lead(ids[2])["campaign"], campaign(0));
}

TEST_F(Moving, IsRefusedForAllOfItsLeadsWhenASwitchRefusesOne) {
    const auto ids = leads_in(campaign(0), 3);
    control.set_switches({{"refused_ids", {ids[1]}}});
    TestJson body{{"campaign", campaign(0)}, {"ids", ids}, {"to_campaign_id", campaign(1)}};
    const auto refused = client.post("/api/v2/leads/move", body);
    EXPECT_EQ(refused.status, 400U);
    EXPECT_EQ(refused.json()["message"], "Invalid ID on `ids` field");
    EXPECT_TRUE(client.get("/api/v2/background-jobs").json()["items"].empty());
    body["ids"] = std::vector<std::string>{ids[0], ids[2]};
    EXPECT_EQ(finished(start(body))["data"]["moved_leads"], 2);
}

TEST_F(Moving, ListsItsJobsNewestFirst) {
    const auto first = finished(start(example_to({{"to_campaign_id", campaign(0)}})));
    const auto second =
        finished(start({{"campaign", campaign(0)}, {"ids", {example}}, {"to_campaign_id", documented_campaign}}));
    const auto page = client.get("/api/v2/background-jobs?limit=1").json();
    EXPECT_EQ(page["items"], TestJson::array({second}));
    const auto next = client.get("/api/v2/background-jobs?starting_after=" + second["id"].get<std::string>()).json();
    EXPECT_EQ(next["items"], TestJson::array({first}));
    EXPECT_EQ(client.get("/api/v2/background-jobs/675266e304a8e55b17f0228b").status, 404U);
}

}  // namespace
}  // namespace leadsync::sandbox
