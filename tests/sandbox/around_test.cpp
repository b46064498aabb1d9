#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Around : public SandboxTest {
protected:
    std::vector<TestJson> pages(const std::string& path) {
        std::vector<TestJson> all;
        std::string cursor;
        while (true) {
            const auto page = client.get(path + "?limit=2" + cursor).json();
            for (const auto& item : page["items"]) all.push_back(item);
            if (!page.contains("next_starting_after")) return all;
            cursor = "&starting_after=" + page["next_starting_after"].get<std::string>();
        }
    }
};

TEST_F(Around, ListsCampaignsByIdCursorAndOneById) {
    const auto all = pages("/api/v2/campaigns");
    ASSERT_EQ(all.size(), 5U);
    EXPECT_EQ(client.get("/api/v2/campaigns/" + all[3]["id"].get<std::string>()).json(), all[3]);
    EXPECT_EQ(client.get("/api/v2/campaigns/" + example).status, 404U);
    EXPECT_EQ(client.get("/api/v2/campaigns?search=CAMPAIGN%203").json()["items"].size(), 1U);
}

TEST_F(Around, ListsLeadListsNewestFirstByTimeCursor) {
    const auto all = pages("/api/v2/lead-lists");
    ASSERT_EQ(all.size(), 3U);
    EXPECT_GT(all[0]["timestamp_created"], all[1]["timestamp_created"]);
    EXPECT_EQ(client.get("/api/v2/lead-lists?limit=1").json()["next_starting_after"], all[0]["timestamp_created"]);
    EXPECT_EQ(client.get("/api/v2/lead-lists/" + all[2]["id"].get<std::string>()).json(), all[2]);
    EXPECT_EQ(client.get("/api/v2/lead-lists?starting_after=yesterday").status, 400U);
}

TEST_F(Around, ListsLabelsWithTheirInterestNumbers) {
    const auto all = pages("/api/v2/lead-labels");
    ASSERT_EQ(all.size(), 3U);
    EXPECT_TRUE(all[0]["interest_status"].is_number());
    EXPECT_EQ(client.get("/api/v2/lead-labels/" + all[1]["id"].get<std::string>()).json(), all[1]);
    EXPECT_EQ(client.get("/api/v2/lead-labels?interest_status=positive").json()["items"].size(), 1U);
}

TEST_F(Around, RefusesALimitAboveAHundred) {
    EXPECT_EQ(client.get("/api/v2/campaigns?limit=101").status, 400U);
    EXPECT_EQ(client.get("/api/v2/lead-lists?limit=0").status, 400U);
    EXPECT_EQ(client.get("/api/v2/background-jobs?limit=many").status, 400U);
}

TEST_F(Around, TellsWhoseKeyItIsAndHowMuchRoomThePlanHas) {
    const auto workspace = client.get("/api/v2/workspaces/current").json();
    EXPECT_EQ(workspace["id"], std::string{documented_organization});
    EXPECT_EQ(workspace["name"], "acme");
    control.set_switches({{"plan_limit", 300}});
    const auto plan = client.get("/api/v2/workspace-billing/plan-details").json()["subscriptions"]["outreach"];
    EXPECT_EQ(plan["total_lead_limit"], 300);
    EXPECT_EQ(plan["current_lead_count"], 250);
}

}  // namespace
}  // namespace leadsync::sandbox
