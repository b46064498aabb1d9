#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/sandbox/documented_lead.hpp"
#include "tests/sandbox/lead_store.hpp"
#include "tests/sandbox/workspace.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::uint32_t count = 20'000;

class Generator : public testing::Test {
protected:
    nlohmann::json lead(std::uint32_t rank) const {
        std::string text;
        population.append_json(rank, text);
        return nlohmann::json::parse(text);
    }

    Catalog catalog{{"acme", 7, 5, 3, true}};
    Population population{{7, count}, catalog};
};

TEST_F(Generator, MakesAsManyLeadsAsAskedWithUniqueSortedIds) {
    ASSERT_EQ(population.size(), count);
    for (std::uint32_t rank = 1; rank < count; ++rank) ASSERT_LT(population.id(rank - 1), population.id(rank));
}

TEST_F(Generator, MakesTheSameLeadsFromTheSameSeedAndOthersFromAnother) {
    const Population same{{7, count}, catalog};
    const Population other{{8, count}, catalog};
    for (std::uint32_t rank = 0; rank < count; rank += 997) {
        std::string mine;
        std::string twin;
        population.append_json(rank, mine);
        same.append_json(rank, twin);
        EXPECT_EQ(mine, twin);
        EXPECT_FALSE(other.rank_of(population.id(rank)));
    }
}

TEST_F(Generator, SortsNewIdsByCreationAndNearlyAllOldIdsAfterThem) {
    std::uint32_t old = 0;
    std::uint32_t old_before_new = 0;
    std::int64_t newest = 0;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
        const auto created = population.facts(rank).created;
        if (!is_v7(population.id(rank))) {
            ++old;
            if (newest == 0) ++old_before_new;
            continue;
        }
        EXPECT_GE(created, newest);
        newest = created;
    }
    EXPECT_EQ(old, count * 3 / 10);
    EXPECT_LT(old_before_new, old / 50);
}

TEST_F(Generator, RendersWhatItsFactsSay) {
    for (std::uint32_t rank = 0; rank < count; rank += 7) {
        const auto edited = make_lead(Json::parse(lead(rank).dump()));
        const auto facts = population.facts(rank);
        ASSERT_EQ(edited.facts.home, facts.home);
        ASSERT_EQ(edited.facts.status, facts.status);
        ASSERT_EQ(edited.facts.interest, facts.interest);
        ASSERT_EQ(edited.facts.created, facts.created);
        ASSERT_EQ(edited.facts.contacted, facts.contacted);
        ASSERT_EQ(edited.facts.replied, facts.replied);
        ASSERT_EQ(edited.facts.assigned_to, facts.assigned_to);
        ASSERT_EQ(edited.facts.in_subsequence, facts.in_subsequence);
        ASSERT_EQ(edited.email, population.email(rank));
        ASSERT_EQ(edited.first_name, population.first_name(rank));
        ASSERT_EQ(edited.last_name, population.last_name(rank));
    }
}

TEST_F(Generator, FindsEveryLeadOfAnEmail) {
    std::map<std::string, std::vector<std::uint32_t>> by_email;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
        if (const auto email = lower_case(population.email(rank)); !email.empty()) by_email[email].push_back(rank);
    }
    for (const auto& [email, ranks] : by_email) ASSERT_EQ(population.with_email(email), ranks) << email;
    EXPECT_TRUE(population.with_email("nobody@example.com").empty());
    EXPECT_TRUE(population.with_email("").empty());
}

TEST_F(Generator, GivesOneEmailToSeveralLeadsButNeverTwiceToOnePlace) {
    std::map<std::string, std::set<std::pair<Uuid, Uuid>>> places;
    std::size_t in_several = 0;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
        const auto email = lower_case(population.email(rank));
        const auto home = population.home(rank);
        if (email.empty()) continue;
        auto& seen = places[email];
        EXPECT_TRUE(seen.insert({home.campaign, home.list}).second) << email;
        if (seen.size() == 2) ++in_several;
    }
    EXPECT_GT(in_several, count / 50);
}

TEST_F(Generator, SpreadsLeadsEvenlyAndAFifthIntoLists) {
    std::map<Uuid, std::uint32_t> places;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
        const auto home = population.home(rank);
        ++places[home.campaign.nil() ? home.list : home.campaign];
    }
    ASSERT_EQ(places.size(), 8U);
    for (const auto& campaign : catalog.campaigns) EXPECT_NEAR(places[campaign.id], count * 0.8 / 5, count * 0.01);
    for (const auto& list : catalog.lists) EXPECT_NEAR(places[list.id], count * 0.2 / 3, count * 0.01);
}

TEST_F(Generator, HoldsWhatRealDataHolds) {
    std::set<std::string> seen;
    const auto note = [&](bool found, const char* what) {
        if (found) seen.insert(what);
    };
    std::size_t bytes = 0;
    for (std::uint32_t rank = 0; rank < count; ++rank) {
        const auto json = lead(rank);
        bytes += json.dump().size();
        const auto email = json.value("email", "");
        note(email.empty() && json.contains("list_id"), "list lead without email");
        note(email != lower_case(email), "capitals in an email");
        note(email.find('+') != email.npos, "plus tag");
        note(json.value("first_name", "") == "İpek", "unicode");
        note(json.value("company_name", "x").empty(), "empty string");
        note(json["status"] == 0, "undocumented status");
        note(json.contains("lead_temperature"), "undocumented key");
        note(!json.contains("lt_interest_status"), "no interest");
        note(json.value("lt_interest_status", 99) == 0, "out of office");
        const auto& payload = json["payload"];
        note(payload.value("firstName", "") != json.value("first_name", ""), "stale mirror");
        note(payload.contains("score") && payload["score"] == 42, "number 42");
        note(payload.contains("score_text") && payload["score_text"] == "42", "text 42");
        note(payload.contains("nothing") && payload["nothing"].is_null(), "null");
        note(payload.contains("past_customer") && payload["past_customer"].is_boolean(), "boolean");
        note(payload.contains("emoji 🎯"), "emoji key");
        for (const auto& [key, value] : json.items()) EXPECT_FALSE(value.is_null()) << key;
    }
    EXPECT_EQ(seen.size(), 15U) << testing::PrintToString(seen);
    EXPECT_NEAR(static_cast<double>(bytes) / count, 2370, 150) << "a page of 100 leads is about 236 KB";
}

TEST(Workspace, HasTheDocumentedLeadWordForWord) {
    const Workspace workspace{WorkspaceSettings{}};
    const auto lead = workspace.lead(*parse_uuid(documented_lead_id));
    ASSERT_TRUE(lead);
    EXPECT_EQ(nlohmann::json::parse(lead->dump()), nlohmann::json::parse(documented_lead));
    EXPECT_EQ(workspace.leads.size(), WorkspaceSettings{}.leads);
    EXPECT_TRUE(workspace.catalog.has_campaign(*parse_uuid(documented_campaign)));
    EXPECT_TRUE(workspace.catalog.has_list(*parse_uuid(documented_list)));
    EXPECT_EQ(workspace.leads.with_email("Example@example.com", truth).size(), 1U);
}

TEST(Workspace, MayBeEmpty) {
    WorkspaceSettings settings;
    settings.leads = 0;
    const Workspace workspace{settings};
    EXPECT_EQ(workspace.leads.size(), 0U);
}

TEST(Workspace, MakesIdsThatSortAfterAllBefore) {
    Workspace workspace{WorkspaceSettings{}};
    const auto now = Moment::now();
    auto last = workspace.next_lead_id(now);
    for (int i = 0; i < 10'000; ++i) {
        const auto next = workspace.next_lead_id(now);
        ASSERT_LT(last, next);
        ASSERT_TRUE(is_v7(next));
        last = next;
    }
}

}  // namespace
}  // namespace leadsync::sandbox
