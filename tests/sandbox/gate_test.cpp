#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Gatekeeping : public SandboxTest {
protected:
    Answer current(const TestClient::Headers& headers) {
        return client.send("GET", "/api/v2/workspaces/current", "", headers);
    }

    TestJson error(unsigned status, const char* name, const char* message) {
        return {{"statusCode", status}, {"error", name}, {"message", message}};
    }
};

TEST_F(Gatekeeping, RefusesAMissingOrUnknownKey) {
    const auto missing = current({{"Authorization", ""}});
    EXPECT_EQ(missing.status, 401U);
    EXPECT_EQ(missing.json(), error(401, "Unauthorized", "Missing Authorization header"));
    EXPECT_EQ(current({{"Authorization", "Bearer wrong"}}).status, 401U);
    EXPECT_EQ(current({{"Authorization", "Basic " + WorkspaceSettings{}.api_key}}).status, 401U);
    EXPECT_EQ(control.statistics()["workspaces"]["acme"]["max_per_minute"], 0) << "no workspace's budget is spent";
}

TEST_F(Gatekeeping, StopsMissingAndDefaultUserAgentsLikeTheCdn) {
    for (const char* agent : {"", "Python-urllib/3.11", "Go-http-client/1.1", "Boost.Beast/347"}) {
        const auto answer = current({{"User-Agent", agent}});
        EXPECT_EQ(answer.status, 403U) << agent;
        EXPECT_EQ(answer.body, "error code: 1010");
        EXPECT_TRUE(answer.headers.at("content-type").starts_with("text/plain"));
    }
    control.set_switches({{"require_user_agent", false}});
    EXPECT_EQ(current({{"User-Agent", ""}}).status, 200U);
}

TEST_F(Gatekeeping, RefusesARevokedKeyAndAnUnpaidWorkspace) {
    control.set_switches({{"revoked", true}});
    EXPECT_EQ(current({}).status, 401U);
    control.set_switches({{"revoked", false}, {"unpaid", true}});
    EXPECT_EQ(current({}).json(), error(402, "Payment Required", "Workspace does not have an active paid plan"));
}

TEST_F(Gatekeeping, RefusesWhatTheKeysScopesDoNotCover) {
    control.set_switches({{"scopes", {"leads:read", "campaigns:all"}}});
    EXPECT_EQ(client.get("/api/v2/leads/" + example).status, 200U);
    EXPECT_EQ(client.get("/api/v2/campaigns").status, 200U);
    const auto refused = client.patch("/api/v2/leads/" + example, {{"phone", "1"}});
    EXPECT_EQ(refused.status, 403U);
    EXPECT_EQ(refused.json()["error"], "Forbidden");
    control.set_switches({{"scopes", {"all:update"}}});
    EXPECT_EQ(client.patch("/api/v2/leads/" + example, {{"phone", "1"}}).status, 200U);
}

TEST_F(Gatekeeping, AnswersUnknownPathsAndMethodsWith404) {
    EXPECT_EQ(client.get("/api/v2/nothing").json(), error(404, "Not Found", "Route GET:/api/v2/nothing not found"));
    EXPECT_EQ(client.send("PUT", "/api/v2/leads/" + example).status, 404U);
    EXPECT_EQ(client.get("/api/v2/leads/" + example + "/x").status, 404U);
    EXPECT_EQ(client.get("/").status, 404U);
}

TEST_F(Gatekeeping, RefusesBodiesThatAreNoJsonObject) {
    const auto post = [&](const std::string& body, const std::string& type) {
        return client.send("POST", "/api/v2/leads/list", body, {{"Content-Type", type}}).status;
    };
    EXPECT_EQ(post("{\"limit\":", "application/json"), 400U);
    EXPECT_EQ(post("[]", "application/json"), 400U);
    EXPECT_EQ(post("\"\xff\"", "application/json"), 400U);
    EXPECT_EQ(post("", "application/json"), 400U);
    EXPECT_EQ(post("{}", "text/html"), 415U);
    EXPECT_EQ(post("{}", "application/json; charset=utf-8"), 200U);
}

TEST_F(Gatekeeping, RefusesTheRequestBeyondTheLimitOfTheSecond) {
    control.set_switches({{"rate_limit", true}, {"per_second", 5}, {"per_minute", 1000}});
    ASSERT_TRUE(eventually([&] { return current({}).status == 429U; }));
    const auto refused = current({});
    EXPECT_EQ(refused.status, 429U);
    EXPECT_EQ(refused.json(), error(429, "Too Many Requests", "Rate limit exceeded"));
    EXPECT_FALSE(refused.headers.contains("retry-after"));
    const auto windows = control.statistics()["workspaces"]["acme"];
    EXPECT_GT(windows["max_per_second"], 5);
    EXPECT_GE(windows["refused"], 2);
}

TEST_F(Gatekeeping, TellsHowLongToWaitWhenSwitched) {
    control.set_switches({{"rate_limit", true}, {"per_second", 1000}, {"per_minute", 2}, {"retry_after", true}});
    Answer refused;
    ASSERT_TRUE(eventually([&] { return (refused = current({})).status == 429U; }));
    const auto wait = std::stoi(refused.headers.at("retry-after"));
    EXPECT_GT(wait, 30);
    EXPECT_LE(wait, 60);
}

TEST_F(Gatekeeping, CountsRequestsThatItRefusesForAnotherReason) {
    control.reset_log();
    client.get("/api/v2/nothing");
    control.set_switches({{"unpaid", true}});
    current({});
    EXPECT_EQ(control.statistics()["workspaces"]["acme"]["max_per_minute"], 2);
}

TEST_F(Gatekeeping, KeepsWorkspacesApart) {
    control.add_workspace({{"name", "globex"}, {"api_key", "other-key"}, {"leads", 20}, {"seed", 9}});
    TestClient other{server.port(), "other-key"};
    ControlClient other_control{server.port(), "globex"};
    EXPECT_EQ(other.get("/api/v2/leads/" + example).status, 404U);
    EXPECT_EQ(other_control.counts()["leads"], 20);
    other_control.set_switches({{"unpaid", true}});
    EXPECT_EQ(other.get("/api/v2/workspaces/current").status, 402U);
    EXPECT_EQ(current({}).status, 200U);
    const auto statistics = control.statistics()["workspaces"];
    EXPECT_EQ(statistics["globex"]["max_per_minute"], 2);
    EXPECT_EQ(statistics["acme"]["max_per_minute"], 1);
}

}  // namespace
}  // namespace leadsync::sandbox
