#include <algorithm>
#include <set>

#include "tests/sandbox/test_client.hpp"

namespace leadsync::sandbox {
namespace {

class LeadListing : public SandboxTest {
protected:
    std::vector<TestJson> pages(TestJson body) {
        std::vector<TestJson> all;
        while (true) {
            const auto page = client.list(body);
            for (const auto& lead : page["items"]) all.push_back(lead);
            if (!page.contains("next_starting_after")) return all;
            EXPECT_EQ(page["next_starting_after"], page["items"].back()["id"]);
            body["starting_after"] = page["next_starting_after"];
        }
    }

    std::size_t count(const TestJson& body) {
        auto limited = body;
        limited["limit"] = 100;
        return pages(limited).size();
    }
};

TEST_F(LeadListing, ShowsEveryLeadOnceInTheOrderOfIds) {
    const auto all = pages({{"limit", 100}});
    ASSERT_EQ(all.size(), 250U);
    for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LT(all[i - 1]["id"], all[i]["id"]);
    const auto truth_of_all = control.all_leads();
    EXPECT_TRUE(std::ranges::equal(all, truth_of_all));
}

TEST_F(LeadListing, AnswersTenLeadsUnlessAskedForMore) {
    EXPECT_EQ(client.list(TestJson::object())["items"].size(), 10U);
    EXPECT_EQ(client.list({{"limit", 1}})["items"].size(), 1U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"limit", 0}}).status, 400U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"limit", "ten"}}).status, 400U);
}

TEST_F(LeadListing, EndsWithAnEmptyPageThatHasNoCursor) {
    const auto second = client.list({{"limit", 100}, {"starting_after", control.leads("", 200).back()["id"]}});
    EXPECT_EQ(second["items"].size(), 50U);
    ASSERT_TRUE(second.contains("next_starting_after")) << "a part-filled page still carries a cursor";
    const auto last = client.list({{"limit", 100}, {"starting_after", second["next_starting_after"]}});
    EXPECT_EQ(last, TestJson({{"items", TestJson::array()}}));
}

TEST_F(LeadListing, AnswersNothingOr400BeyondAHundred) {
    EXPECT_EQ(client.list({{"limit", 101}}), TestJson({{"items", TestJson::array()}}));
    control.set_switches({{"limit_over_100", "400"}});
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"limit", 101}}).status, 400U);
}

TEST_F(LeadListing, AcceptsAnUnknownCursorOrRefusesItAsSwitched) {
    const TestJson body{{"starting_after", "01999999-0000-7000-8000-000000000000"}};
    EXPECT_EQ(client.list(body)["items"].size(), 10U);
    control.set_switches({{"unknown_cursor", "400"}});
    EXPECT_EQ(client.post("/api/v2/leads/list", body).status, 400U);
    control.set_switches({{"unknown_cursor", "404"}});
    EXPECT_EQ(client.post("/api/v2/leads/list", body).status, 404U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"starting_after", example}}).status, 200U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"starting_after", "tomorrow"}}).status, 400U);
    control.set_switches({{"unknown_cursor", "ignore"}});
    EXPECT_EQ(client.list(body), client.list(TestJson::object()));
    control.set_switches({{"unknown_cursor", "empty"}});
    EXPECT_EQ(client.list(body), TestJson({{"items", TestJson::array()}}));
    EXPECT_EQ(client.list({{"starting_after", example}})["items"].size(), 10U);
}

TEST_F(LeadListing, KnowsNoCampaignAndNoListThatWasDeleted) {
    const auto campaign = client.get("/api/v2/campaigns").json()["items"][0]["id"];
    const auto list = client.get("/api/v2/lead-lists").json()["items"][0]["id"];
    control.set_switches({{"gone_places", {campaign, list}}});
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"campaign", campaign}}).status, 404U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"list_id", list}}).status, 404U);
    EXPECT_EQ(client.get("/api/v2/campaigns").json()["items"].size(), 4U);
    EXPECT_EQ(client.get("/api/v2/lead-lists").json()["items"].size(), 2U);
}

TEST_F(LeadListing, CanBeTurnedAround) {
    auto forward = pages({{"limit", 100}});
    control.set_switches({{"list_order", "id_descending"}});
    std::ranges::reverse(forward);
    EXPECT_EQ(pages({{"limit", 100}}), forward);
}

TEST_F(LeadListing, IsNarrowedByPlace) {
    const auto counts = control.counts();
    for (const auto& [id, expected] : counts["campaigns"].items()) EXPECT_EQ(count({{"campaign", id}}), expected);
    for (const auto& [id, expected] : counts["lists"].items()) EXPECT_EQ(count({{"list_id", id}}), expected);
    EXPECT_EQ(count({{"in_campaign", true}}) + count({{"in_campaign", false}}), 250U);
    EXPECT_EQ(count({{"in_list", true}}) + count({{"in_list", false}}), 250U);
    EXPECT_EQ(count({{"campaign", "nonsense"}}), 0U);
}

TEST_F(LeadListing, IgnoresAMisspeltKeyAndAnswersTheWrongLeads) {
    EXPECT_EQ(count({{"campaign_id", documented_campaign}}), 250U);
    EXPECT_EQ(count({{"email", "example@example.com"}}), 250U);
}

TEST_F(LeadListing, RereadsLeadsByIdAndByEmail) {
    auto ids = TestJson::array();
    for (const auto& lead : control.leads("", 100)) ids.push_back(lead["id"]);
    ids.push_back("01999999-0000-7000-8000-000000000000");
    ids.push_back("no uuid");
    const auto found = client.list({{"ids", ids}, {"limit", 100}});
    ASSERT_EQ(found["items"].size(), 100U);
    EXPECT_EQ(found["items"][99]["id"], ids[99]);
    const auto by_email = client.list({{"contacts", {"EXAMPLE@example.com", "nobody@example.com"}}});
    ASSERT_EQ(by_email["items"].size(), 1U);
    EXPECT_EQ(by_email["items"][0]["id"], example);
}

TEST_F(LeadListing, FindsEveryLeadOfAnEmailUnlessACampaignNarrowsIt) {
    const auto copy = control.add({{"campaign", campaign(0)}, {"email", "Example@Example.com"}})["id"];
    const TestJson contacts{{"contacts", {"example@example.com"}}};
    EXPECT_EQ(client.list(contacts)["items"].size(), 2U);
    auto narrowed = contacts;
    narrowed["campaign"] = campaign(0);
    ASSERT_EQ(client.list(narrowed)["items"].size(), 1U);
    EXPECT_EQ(client.list(narrowed)["items"][0]["id"], copy);
}

TEST_F(LeadListing, LeavesOutExcludedAndHiddenLeads) {
    EXPECT_EQ(count({{"excluded_ids", {example}}}), 249U);
    control.set_switches({{"hidden_ids", {example}}});
    EXPECT_EQ(count(TestJson::object()), 249U);
    EXPECT_EQ(client.list({{"ids", {example}}})["items"].size(), 0U);
    EXPECT_EQ(client.get("/api/v2/leads/" + example).status, 200U);
    control.set_switches({{"hidden_ids", TestJson::array()}, {"hidden_share", 0.5}});
    EXPECT_NEAR(static_cast<double>(count(TestJson::object())), 125, 50);
}

TEST_F(LeadListing, SearchesNamesAndEmails) {
    EXPECT_EQ(client.list({{"search", "john doe"}})["items"][0]["id"], example);
    EXPECT_EQ(client.list({{"search", "EXAMPLE@exam"}})["items"][0]["id"], example);
    EXPECT_EQ(count({{"search", "no such person"}}), 0U);
}

TEST_F(LeadListing, FiltersByWhatTheLeadsSay) {
    const auto all = control.all_leads();
    const auto expected = [&](auto test) { return static_cast<std::size_t>(std::ranges::count_if(all, test)); };
    EXPECT_EQ(count({{"filter", "FILTER_VAL_CONTACTED"}}),
              expected([](const TestJson& lead) { return lead.contains("timestamp_last_contact"); }));
    EXPECT_EQ(count({{"filter", "FILTER_VAL_BOUNCED"}}),
              expected([](const TestJson& l) { return l["status"] == -1; }));
    EXPECT_EQ(count({{"filter", "FILTER_LEAD_INTERESTED"}}),
              expected([](const TestJson& lead) { return lead.value("lt_interest_status", 99) == 1; }));
    EXPECT_EQ(count({{"is_website_visitor", true}}),
              expected([](const TestJson& lead) { return lead.value("is_website_visitor", false); }));
    const std::string user = all[0]["uploaded_by_user"];
    EXPECT_EQ(count({{"organization_user_ids", {user}}}),
              expected([&](const TestJson& lead) { return lead.value("assigned_to", "") == user; }));
    EXPECT_EQ(count({{"filter", "FILTER_THAT_NOBODY_KNOWS"}}), 250U);
}

TEST_F(LeadListing, QueriesByRecentEvents) {
    const auto query = [](const char* action) {
        return TestJson{{"queries", {{{"actionType", action}, {"values", {{"occurrence-days", 1}}}}}}};
    };
    EXPECT_EQ(count(query("reply")), 0U);
    control.edit(example, {{"timestamp_last_reply",
                            client.patch("/api/v2/leads/" + example, {{"phone", "1"}}).json()["timestamp_updated"]}});
    EXPECT_EQ(count(query("reply")), 1U);
    EXPECT_EQ(client.post("/api/v2/leads/list", {{"queries", {{{"actionType", "reply"}}}}}).status, 400U);
}

TEST_F(LeadListing, ShowsEachContactOnceInTheOrderOfEmails) {
    control.add({{"campaign", campaign(0)}, {"email", "EXAMPLE@example.com"}});
    TestJson body{{"distinct_contacts", true}, {"limit", 100}};
    const auto all = pages(body);
    std::set<std::string> emails;
    std::string last;
    for (const auto& lead : all) {
        const auto email = lower_case(lead["email"].get<std::string>());
        EXPECT_LT(last, email);
        last = email;
    }
    for (const auto& lead : control.all_leads()) {
        if (lead.contains("email")) emails.insert(lower_case(lead["email"].get<std::string>()));
    }
    EXPECT_EQ(all.size(), emails.size());
}

}  // namespace
}  // namespace leadsync::sandbox
