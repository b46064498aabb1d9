#include <boost/system/system_error.hpp>

#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class Faulty : public SandboxTest {
protected:
    Answer patch() { return client.patch("/api/v2/leads/" + example, {{"first_name", "Jane"}}); }
    std::string stored() { return control.lead(example)->at("first_name"); }
    bool connection_lost() {
        try {
            patch();
            return false;
        } catch (const boost::system::system_error&) {
            return true;
        }
    }
};

TEST_F(Faulty, AnswersAnErrorTheNextNTimesWithoutActing) {
    control.add_fault({{"kind", "status"}, {"status", 503}, {"count", 2}});
    EXPECT_EQ(patch().status, 503U);
    EXPECT_EQ(patch().json()["error"], "Service Unavailable");
    EXPECT_EQ(stored(), "John");
    EXPECT_EQ(patch().status, 200U);
    EXPECT_EQ(stored(), "Jane");
}

TEST_F(Faulty, SendsARetryAfterWhenTold) {
    control.add_fault({{"kind", "status"}, {"status", 429}, {"retry_after_s", 7}, {"count", 1}});
    EXPECT_EQ(patch().headers.at("retry-after"), "7");
    EXPECT_FALSE(patch().headers.contains("retry-after"));
}

TEST_F(Faulty, AnswersAnErrorAfterActing) {
    control.add_fault({{"kind", "status"}, {"status", 500}, {"acted", true}});
    EXPECT_EQ(patch().status, 500U);
    EXPECT_EQ(stored(), "Jane");
}

TEST_F(Faulty, HitsOnlyThePathsAndMethodsItIsMeantFor) {
    control.add_fault({{"kind", "status"}, {"path", "/leads/list"}});
    control.add_fault({{"kind", "status"}, {"method", "GET"}, {"skip", 1}});
    EXPECT_EQ(patch().status, 200U);
    EXPECT_EQ(client.post("/api/v2/leads/list", TestJson::object()).status, 503U);
    EXPECT_EQ(client.get("/api/v2/leads/" + example).status, 200U);
    EXPECT_EQ(client.get("/api/v2/leads/" + example).status, 503U);
}

TEST_F(Faulty, HitsWithItsProbability) {
    control.add_fault({{"kind", "status"}, {"status", 429}, {"probability", 0.3}});
    int hits = 0;
    for (int i = 0; i < 500; ++i) hits += client.get("/api/v2/workspaces/current").status == 429 ? 1 : 0;
    EXPECT_NEAR(hits, 150, 50);
}

TEST_F(Faulty, ResetsTheConnectionWithoutActing) {
    control.add_fault({{"kind", "reset"}, {"count", 1}});
    EXPECT_TRUE(connection_lost());
    EXPECT_EQ(stored(), "John");
    EXPECT_EQ(control.requests(example).back()["status"], 0);
    EXPECT_EQ(control.requests(example).back()["fault"], "reset");
}

TEST_F(Faulty, LosesTheAnswerAfterActing) {
    control.add_fault({{"kind", "lost"}, {"count", 1}});
    EXPECT_TRUE(connection_lost());
    EXPECT_EQ(stored(), "Jane");
}

TEST_F(Faulty, CutsTheBody) {
    control.add_fault({{"kind", "cut"}, {"bytes", 50}, {"count", 1}});
    EXPECT_TRUE(connection_lost());
    EXPECT_EQ(stored(), "Jane");
    EXPECT_EQ(patch().status, 200U);
}

TEST_F(Faulty, AnswersGarbageAndCdnText) {
    control.add_fault({{"kind", "garbage"}, {"body", "<html>"}, {"count", 1}});
    control.add_fault({{"kind", "cdn"}, {"count", 1}});
    const auto garbage = patch();
    EXPECT_EQ(garbage.status, 200U);
    EXPECT_EQ(garbage.body, "<html>");
    const auto cdn = patch();
    EXPECT_EQ(cdn.status, 403U);
    EXPECT_EQ(cdn.body, "error code: 1010");
}

TEST_F(Faulty, AnswersEmptyLists) {
    control.add_fault({{"kind", "empty"}, {"count", 1}});
    EXPECT_TRUE(client.list(TestJson::object())["items"].empty());
    EXPECT_FALSE(client.list(TestJson::object())["items"].empty());
    control.set_switches({{"empty_lists", true}});
    EXPECT_TRUE(client.list(TestJson::object())["items"].empty());
}

TEST_F(Faulty, IgnoresWritesThatItAnswers) {
    control.add_fault({{"kind", "ignored"}});
    EXPECT_EQ(patch().json()["first_name"], "Jane");
    EXPECT_EQ(stored(), "John");
    EXPECT_EQ(client.remove("/api/v2/leads/" + example).status, 200U);
    EXPECT_TRUE(control.lead(example));
}

TEST_F(Faulty, KeepsTheClientWaiting) {
    using clock = std::chrono::steady_clock;
    control.add_fault({{"kind", "hang"}, {"ms", 60}, {"count", 1}});
    const auto begin = clock::now();
    EXPECT_EQ(patch().status, 200U);
    EXPECT_GE(clock::now() - begin, std::chrono::milliseconds{60});
    control.set_switches({{"latency_ms", 30}, {"latency_spread_ms", 5}});
    const auto second = clock::now();
    patch();
    EXPECT_GE(clock::now() - second, std::chrono::milliseconds{30});
}

TEST_F(Faulty, BreaksSingleLeads) {
    const auto body_with = [&](const char* kind) {
        control.set_switches({{"broken_leads", {{example, kind}}}});
        return client.post("/api/v2/leads/list", {{"ids", {example}}}).body;
    };
    EXPECT_FALSE(TestJson::accept(body_with("invalid_utf8")));
    EXPECT_FALSE(TestJson::accept(body_with("lone_surrogate")));
    EXPECT_NE(body_with("nul_character").find("\\u0000"), std::string::npos);
    EXPECT_GT(body_with("oversize").size(), 5'000'000U);
    const auto incomplete = TestJson::parse(body_with("missing_required"))["items"][0];
    EXPECT_FALSE(incomplete.contains("timestamp_updated"));
    EXPECT_TRUE(incomplete.contains("email"));
    EXPECT_TRUE(TestJson::parse(body_with("payload_list"))["items"][0]["payload"].is_array());
}

TEST_F(Faulty, EndsWithAReset) {
    control.add_fault({{"kind", "status"}});
    control.set_switches({{"unpaid", true}});
    control.reset_switches();
    EXPECT_EQ(patch().status, 200U);
}

TEST_F(Faulty, RefusesWhatItDoesNotKnow) {
    EXPECT_THROW(control.add_fault({{"kind", "earthquake"}}), std::runtime_error);
    EXPECT_THROW(control.add_fault({{"kind", "reset"}, {"often", 1}}), std::runtime_error);
    EXPECT_THROW(control.set_switches({{"unknown", 1}}), std::runtime_error);
    EXPECT_THROW(control.set_switches({{"job_outcome", "maybe"}}), std::runtime_error);
    EXPECT_THROW(control.set_switches({{"latency_ms", "long"}}), std::runtime_error);
    EXPECT_THROW(control.set_switches({{"broken_leads", {{example, "slightly"}}}}), std::runtime_error);
}

}  // namespace
}  // namespace leadsync::sandbox
