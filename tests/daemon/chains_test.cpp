#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

constexpr Reading few_chains{
    .ranges_at_once = 8, .leads_per_range = 50, .ranges_max = 16, .cut_min = 20, .page_limit = 10};
constexpr std::uint32_t leads_max = 300;
constexpr std::size_t places = 9;  // six campaigns and three lists
constexpr int latency_ms = 60;

/// A first backfill of a workspace whose server takes no made-up cursors.
class FirstBackfill : public testing::Test {
protected:
    void begin(const nlohmann::json& switches = {{"unknown_cursor", "400"}}) {
        WorldSettings settings;
        settings.leads = leads_max;
        settings.campaigns = 6;
        settings.switches = switches;
        settings.switches.update({{"latency_ms", latency_ms}});
        settings.deletes.remote = sync::RemoteDeletes::remove;
        settings.new_leads = 1h;
        settings.reading = few_chains;
        world_.emplace(settings);
        for (std::size_t i = 0; i < leads_max; i += 29) unattach(leads().at(i));
    }
    SyncedWorld& world() { return *world_; }

    std::vector<nlohmann::json> leads() { return world().instantly().all_leads(); }
    void unattach(const nlohmann::json& lead) {
        const auto id = lead.at("id").get<std::string>();
        world().instantly().edit(id, {{"campaign", nullptr}, {"list_id", nullptr}});
    }

    /// Pages that the chains take from first to last: each ends with an empty one.
    std::size_t fewest_pages() {
        const auto counts = world().instantly().counts();
        std::size_t pages = 0;
        for (const auto* kind : {"campaigns", "lists"})
            for (const auto& [id, count] : counts.at(kind).items()) pages += (count.get<std::size_t>() + 9) / 10 + 1;
        return pages;
    }
    std::size_t pages_kept() { return std::stoul(world().value("SELECT coalesce(sum(pages), 0) FROM sync.ranges")); }
    /// Once so many pages of chains are committed.
    bool is_at_page(std::size_t page) {
        return eventually(
            [&] { return world().value("SELECT count(*) FROM sync.sweeps") == "0" && pages_kept() >= page; });
    }
    bool is_backfilled() {
        return world().becomes("SELECT backfilled_at IS NOT NULL AND state = 'following' FROM crm.workspaces", "t");
    }

    static std::string place_of(const nlohmann::json& request) {
        const auto body = nlohmann::json::parse(request.value("body", "{}"));
        return body.value("campaign", body.value("list_id", ""));
    }
    std::vector<nlohmann::json> chain_requests() {
        auto requests = world().instantly().requests("/leads/list");
        std::erase_if(requests, [](const auto& request) { return place_of(request).empty(); });
        return requests;
    }
    void expect_all() {
        EXPECT_EQ(world().value("SELECT count(*) FROM sync.ranges"), "0");
        EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads"),
                  std::to_string(world().instantly().counts().at("leads").get<int>()));
        world().expect_agreement();
    }

    std::optional<SyncedWorld> world_;
};

class FirstBackfillWithCursors : public FirstBackfill, public testing::WithParamInterface<const char*> {};

TEST_P(FirstBackfillWithCursors, ReadsCampaignsAndListsSideBySideThenTheWorkspace) {
    begin({{"unknown_cursor", GetParam()}});
    world().sweep();
    const auto requests = chain_requests();
    std::set<std::string> seen;
    for (const auto& request : requests) seen.insert(place_of(request));
    EXPECT_THAT(seen, testing::SizeIs(places));
    const bool has_to_ask_twice =
        GetParam() == std::string{"empty"};  // whether a chain ends there, or its lead is gone
    EXPECT_EQ(requests.size(), fewest_pages() + (has_to_ask_twice ? places : 0));
    EXPECT_GE(most_at_once(requests, latency_ms), 6U);
    EXPECT_LE(most_at_once(requests, latency_ms), few_chains.ranges_at_once);
    // Behind them the workspace is read in ranges: some pages more than it fills, and a few to try what it takes, by
    // the chains and once more where the last page is empty.
    constexpr std::size_t trial = 5;
    const auto all = world().instantly().requests("/leads/list");
    EXPECT_LE(all.size() - requests.size(), leads_max / 10 + 2 * few_chains.ranges_at_once + trial);
    expect_all();
    world().instantly().reset_log();
    world().sweep();
    EXPECT_THAT(chain_requests(), testing::IsEmpty()) << "only the first time";
}

INSTANTIATE_TEST_SUITE_P(UnknownCursors, FirstBackfillWithCursors, testing::Values("400", "404", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

TEST_F(FirstBackfill, NeedsNoChainsWhereTheServerTakesMadeUpCursors) {
    begin({{"unknown_cursor", "accept"}});
    world().sweep();
    EXPECT_THAT(chain_requests(), testing::IsEmpty());
    expect_all();
}

TEST_F(FirstBackfill, ResumesEachChainWhereItStood) {
    begin();
    const auto fewest = fewest_pages();
    for (const std::size_t page : {8U, 16U, 24U}) {
        world().start();
        ASSERT_TRUE(is_at_page(page));
        world().stop();
    }
    const auto kept = pages_kept();
    world().instantly().reset_log();
    world().sweep();
    EXPECT_LE(chain_requests().size(), fewest - kept + few_chains.ranges_at_once);
    expect_all();
}

TEST_F(FirstBackfill, LeavesADeletedCampaignToTheSweep) {
    begin();
    const auto campaign = leads().at(1).at("campaign").get<std::string>();
    world().start();
    ASSERT_TRUE(is_at_page(10));
    // All of it at once, for leadsync: the sweep that follows is not to be over before the last of them.
    world().stop();
    world().instantly().set_switches({{"gone_places", {campaign}}});
    for (const auto& lead : leads())
        if (lead.value("campaign", "") == campaign) unattach(lead);
    world().start();
    ASSERT_TRUE(is_backfilled());
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE campaign = '" + campaign + "'"), "0");
    expect_all();
}

TEST_F(FirstBackfill, SeesWhatIsMovedAddedAndDeletedMeanwhile) {
    begin();
    const auto before = leads();
    const auto campaigns = world().instantly().counts().at("campaigns");
    const auto first = campaigns.items().begin().key();
    const auto last = std::prev(campaigns.end()).key();
    // Rows of people, one of which is on Instantly already: nothing is made before all of the workspace is known.
    const auto known = std::ranges::find_if(before, [&](const auto& lead) {
        return lead.value("campaign", "") == last && !lead.value("email", "").empty();
    });
    ASSERT_NE(known, before.end());
    for (const auto& email : {known->at("email").get<std::string>(), std::string{"only.here@example.com"}})
        world().sql("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', '" + email + "', '" + last
                    + "')");
    world().start();
    ASSERT_TRUE(is_at_page(10));
    for (std::size_t i = 0; i < before.size(); i += 9) {
        const auto id = before[i].at("id").get<std::string>();
        if (id == known->at("id")) continue;
        if (i % 2 == 0)
            world().instantly().move(id, {{"campaign", i % 4 == 0 ? first : last}});
        else
            world().instantly().remove(id);
    }
    for (int i = 0; i < 10; ++i)
        world().instantly().add({{"email", "new" + std::to_string(i) + "@example.com"}, {"campaign", first}});
    EXPECT_EQ(world().value("SELECT count(*) FROM sync.sweeps"), "0") << "too late to be missed";
    EXPECT_EQ(world().requests("POST", "/leads/add"), 0U);
    ASSERT_TRUE(is_backfilled());
    EXPECT_TRUE(world().settles());
    EXPECT_EQ(world().value("SELECT count(*) FROM crm.leads WHERE email = 'only.here@example.com' AND instantly_id "
                            "IS NOT NULL"),
              "1");
    expect_all();
}

TEST_F(FirstBackfill, IsOneChainWhereTheKeyMayNotListCampaigns) {
    begin({{"unknown_cursor", "400"}, {"scopes", {"leads:all", "workspaces:read"}}});
    world().sweep();
    EXPECT_THAT(chain_requests(), testing::IsEmpty());
    expect_all();
}

TEST_F(FirstBackfill, TakesNoLeadOfAnotherCampaign) {
    begin();
    auto stray = leads().at(0);
    stray["id"] = "ffffffff-ffff-4fff-bfff-ffffffffffff";
    stray["campaign"] = "99999999-9999-4999-8999-999999999999";
    world().instantly().add_fault({{"kind", "garbage"},
                                   {"path", "/leads/list"},
                                   {"skip", 20},
                                   {"count", 30},
                                   {"body", nlohmann::json{{"items", {stray}}}.dump()}});
    world().sweep();
    const auto requests = chain_requests();
    EXPECT_GT(std::ranges::count_if(requests, [](const auto& request) { return request.contains("fault"); }), 10);
    expect_all();
}

class OutageOfFirstBackfill : public FirstBackfill, public testing::WithParamInterface<const char*> {};

TEST_P(OutageOfFirstBackfill, EndsNoChainAndMovesNoneBack) {
    begin();
    const auto fewest = fewest_pages();
    world().start();
    ASSERT_TRUE(is_at_page(15));
    world().instantly().add_fault({{"kind", GetParam()}, {"status", 400}, {"path", "/leads/list"}});
    world().instantly().reset_log();
    ASSERT_TRUE(eventually([&] { return world().requests("POST", "/leads/list") >= 150; }, 60s));
    const auto kept = pages_kept();
    EXPECT_LT(kept, 15 + 2 * few_chains.ranges_at_once);
    world().instantly().clear_faults();
    world().instantly().reset_log();
    ASSERT_TRUE(is_backfilled());
    const auto read = chain_requests().size();
    EXPECT_GE(read, fewest - kept) << "no chain was given up";
    EXPECT_LE(read, fewest - kept + few_chains.ranges_at_once);
    expect_all();
}

INSTANTIATE_TEST_SUITE_P(Kinds, OutageOfFirstBackfill, testing::Values("status", "garbage"),
                         [](const auto& choice) { return std::string{choice.param}; });

}  // namespace
}  // namespace leadsync::daemon
