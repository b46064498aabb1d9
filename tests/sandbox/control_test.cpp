#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class ControlDoor : public SandboxTest {};

TEST_F(ControlDoor, EditsAsTheInstantlyUser) {
    const auto before = *control.lead(example);
    const auto lead = control.edit(example, {{"status", 3},
                                             {"lt_interest_status", 2},
                                             {"phone", nullptr},
                                             {"custom_variables", {{"new", 1}, {"property1", nullptr}}}});
    EXPECT_EQ(client.lead(example), lead);
    EXPECT_EQ(lead["status"], 3);
    EXPECT_FALSE(lead.contains("phone"));
    EXPECT_EQ(lead["payload"]["new"], 1);
    EXPECT_FALSE(lead["payload"].contains("property1"));
    EXPECT_GT(lead["timestamp_updated"], before["timestamp_updated"]);
    EXPECT_GT(lead["timestamp_last_interest_change"], before["timestamp_last_interest_change"]);
}

TEST_F(ControlDoor, AddsMovesAndRemoves) {
    const std::string id = control.add(
        {{"campaign", campaign(0)}, {"email", "New@Example.com"}, {"custom_variables", {{"a", 1}}}})["id"];
    EXPECT_EQ(client.lead(id)["email"], "New@Example.com");
    EXPECT_EQ(client.lead(id)["payload"]["a"], 1);
    EXPECT_EQ(control.move(id, {{"list_id", list_of(0)}})["list_id"], list_of(0));
    EXPECT_FALSE(client.lead(id).contains("campaign"));
    control.remove(id);
    EXPECT_EQ(client.get("/api/v2/leads/" + id).status, 404U);
    EXPECT_FALSE(control.lead(id));
    EXPECT_THROW(control.edit(id, {{"phone", "1"}}), std::runtime_error);
}

TEST_F(ControlDoor, AddsUnderAChosenId) {
    const std::string id = "ffff0c6e-1111-4222-8333-444455556666";
    control.add({{"id", id}, {"list_id", list_of(0)}, {"first_name", "Old"}});
    EXPECT_EQ(control.all_leads().back()["id"], id);
}

TEST_F(ControlDoor, LogsTheRequestsWithTheirBodies) {
    control.reset_log();
    client.patch("/api/v2/leads/" + example, {{"phone", "1"}});
    client.get("/api/v2/campaigns?limit=1");
    const auto logged = control.requests();
    ASSERT_EQ(logged.size(), 2U);
    EXPECT_EQ(logged[0]["method"], "PATCH");
    EXPECT_EQ(logged[0]["status"], 200);
    EXPECT_EQ(logged[0]["workspace"], "acme");
    EXPECT_EQ(logged[0]["body"], R"({"phone":"1"})");
    EXPECT_EQ(control.requests("campaigns").at(0)["path"], "/api/v2/campaigns?limit=1");
    const auto statistics = control.statistics();
    EXPECT_EQ(statistics["endpoints"]["PATCH /api/v2/leads/{id}"], 1);
    EXPECT_EQ(statistics["workspaces"]["acme"]["max_per_minute"], 2) << "the control door is not counted";
}

TEST_F(ControlDoor, TellsTheSwitchesInForce) {
    control.set_switches({{"job_outcome", "partial"}, {"hidden_ids", {example}}});
    const auto switches = control.switches();
    EXPECT_EQ(switches["job_outcome"], "partial");
    EXPECT_EQ(switches["hidden_ids"], TestJson({example}));
    control.reset_switches();
    EXPECT_EQ(control.switches()["job_outcome"], "success");
    EXPECT_EQ(control.switches()["rate_limit"], false) << "as the server was started";
}

TEST_F(ControlDoor, CountsTheLeadsByPlace) {
    const auto counts = control.counts();
    int sum = 0;
    for (const auto& place : {"campaigns", "lists"}) {
        for (const auto& [id, count] : counts[place].items()) sum += count.get<int>();
    }
    EXPECT_EQ(counts["leads"], 250);
    EXPECT_EQ(sum, 251) << "the documented lead is in a campaign and in a list";
}

TEST_F(ControlDoor, RefusesAnUnknownWorkspace) {
    ControlClient stranger{server.port(), "nobody"};
    EXPECT_THROW(stranger.counts(), std::runtime_error);
    EXPECT_THROW(control.add_workspace({{"name", "acme"}, {"api_key", "new"}}), std::runtime_error);
}

}  // namespace
}  // namespace leadsync::sandbox
