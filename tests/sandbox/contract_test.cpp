#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/sandbox/api.hpp"
#include "tests/sandbox/schema_check.hpp"
#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

ServerSettings documented_server() {
    auto settings = small_server();
    settings.workspaces[0].odd_share = 0;  // what nobody has documented cannot fit the document
    return settings;
}

/// The vendor's own description of the API lies beside the project and not in it.
class Contract : public testing::Test {
protected:
    static constexpr const char* project = LEADSYNC_SOURCE_DIR;

    void SetUp() override {
        const auto path = std::filesystem::path{project} / "../shared/api/openapi.lead-sync.json";
        if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
        document = TestJson::parse(std::ifstream{path});
    }

    void expect_fits(const std::string& method, const std::string& route, const Answer& answer) {
        const auto& responses = document["paths"][route][lower_case(method)]["responses"];
        const auto status = std::to_string(answer.status);
        ASSERT_TRUE(responses.contains(status)) << method << ' ' << route << ' ' << status << ' ' << answer.body;
        const auto& schema = responses[status]["content"]["application/json"]["schema"];
        const auto errors = schema_errors(document, schema, answer.json());
        EXPECT_TRUE(errors.empty()) << method << ' ' << route << ": " << testing::PrintToString(errors);
    }

    void check_get(const std::string& route, const std::string& path) { expect_fits("GET", route, client.get(path)); }
    void check_post(const std::string& route, const TestJson& body) {
        expect_fits("POST", route, client.post(route, body));
    }

    TestJson document;
    Server server{documented_server()};
    TestClient client{server.port()};
    ControlClient control{server.port()};
    const std::string lead{documented_lead_id};
    const std::string lead_path = "/api/v2/leads/" + lead;
    const std::string campaign{documented_campaign};
};

TEST_F(Contract, EveryRouteIsDocumented) {
    for (const auto& route : routes()) {
        const auto& path = document["paths"][std::string{route.path}];
        EXPECT_TRUE(path.contains(lower_case(route.method))) << route.method << ' ' << route.path;
    }
}

TEST_F(Contract, EveryGeneratedLeadFitsTheSchema) {
    const auto& schema = document["components"]["schemas"]["Lead"];
    auto labels_allowed = schema;
    labels_allowed["properties"]["lt_interest_status"].erase("enum");  // custom labels have numbers of their own
    for (const auto& one : control.all_leads()) {
        if (one["id"] == lead) continue;  // the example's mirrors are null, which the newer document does not allow
        const auto errors = schema_errors(document, labels_allowed, one, one["id"]);
        EXPECT_TRUE(errors.empty()) << testing::PrintToString(errors);
    }
}

TEST_F(Contract, LeadEndpointsAnswerAsDocumented) {
    check_get("/api/v2/leads/{id}", lead_path);
    expect_fits("PATCH", "/api/v2/leads/{id}", client.patch(lead_path, {{"first_name", "Jane"}}));
    check_post("/api/v2/leads/list", {{"ids", {lead}}});
    check_post("/api/v2/leads/list", {{"starting_after", "ffffffff-ffff-4fff-bfff-ffffffffffff"}});
    check_post("/api/v2/leads", {{"campaign", campaign}, {"email", "new@example.com"}});
    const TestJson leads{{{"email", "a@example.com"}, {"phone", "1"}}, {{"email", "b@example.com"}}};
    check_post("/api/v2/leads/add", {{"campaign_id", campaign}, {"leads", leads}});
    check_post("/api/v2/leads/subsequence/move", {{"id", lead}, {"subsequence_id", campaign}});
    check_post("/api/v2/leads/subsequence/remove", {{"id", lead}});
    const auto source = client.list({{"contacts", {"a@example.com"}}})["items"][0]["id"];
    check_post("/api/v2/leads/merge", {{"lead_id", source}, {"destination_lead_id", lead}});
    expect_fits("DELETE", "/api/v2/leads/{id}", client.remove(lead_path));
    expect_fits("DELETE", "/api/v2/leads",
                client.send_json("DELETE", "/api/v2/leads", {{"campaign_id", campaign}, {"limit", 1}}));
}

TEST_F(Contract, AsynchronousEndpointsAnswerAsDocumented) {
    check_post("/api/v2/leads/update-interest-status", {{"lead_email", "a@example.com"}, {"interest_value", 1}});
    check_post("/api/v2/leads/update-interest-status", TestJson::object());
    check_post("/api/v2/leads/bulk-assign", {{"ids", {lead}}, {"organization_user_ids", {lead}}});
    check_post("/api/v2/leads/bulk-assign", TestJson::object());
    const TestJson move{{"campaign", campaign}, {"ids", {lead}}, {"to_list_id", documented_list}};
    check_post("/api/v2/leads/move", move);
    const std::string job = client.get("/api/v2/background-jobs").json()["items"][0]["id"];
    check_get("/api/v2/background-jobs", "/api/v2/background-jobs");
    EXPECT_TRUE(eventually([&] { return client.get("/api/v2/background-jobs/" + job).json()["progress"] == 100; }));
    check_get("/api/v2/background-jobs/{id}", "/api/v2/background-jobs/" + job);
}

TEST_F(Contract, WhatSurroundsLeadsIsAnsweredAsDocumented) {
    for (const std::string route : {"/api/v2/campaigns", "/api/v2/lead-lists", "/api/v2/lead-labels"}) {
        check_get(route, route);
        const std::string first = client.get(route).json()["items"][0]["id"];
        check_get(route + "/{id}", route + '/' + first);
    }
    check_get("/api/v2/workspaces/current", "/api/v2/workspaces/current");
    check_get("/api/v2/workspace-billing/plan-details", "/api/v2/workspace-billing/plan-details");
}

TEST_F(Contract, RefusalsAreAnsweredAsDocumented) {
    check_get("/api/v2/leads/{id}", "/api/v2/leads/01999999-0000-7000-8000-000000000000");
    check_post("/api/v2/leads", TestJson::object());
    expect_fits("GET", "/api/v2/leads/{id}", client.send("GET", lead_path, "", {{"Authorization", "Bearer no"}}));
    control.set_switches({{"unpaid", true}});
    check_get("/api/v2/leads/{id}", lead_path);
    control.set_switches({{"rate_limit", true}, {"per_minute", 1}});
    check_get("/api/v2/leads/{id}", lead_path);
}

TEST(Documentation, HoldsTheLeadThatTheSandboxServes) {
    const auto seeds = std::filesystem::path{LEADSYNC_SOURCE_DIR} / "../shared/seeds";
    if (!std::filesystem::exists(seeds)) GTEST_SKIP() << "no " << seeds;
    bool found = false;
    for (const auto& file : std::filesystem::directory_iterator{seeds}) {
        std::ifstream lines{file.path()};
        for (std::string line; std::getline(lines, line) && !found;) {
            if (!line.starts_with("{ \"id\": \"" + std::string{documented_lead_id})) continue;
            found = true;
            EXPECT_EQ(TestJson::parse(line), TestJson::parse(documented_lead));
        }
    }
    EXPECT_TRUE(found);
}

}  // namespace
}  // namespace leadsync::sandbox
