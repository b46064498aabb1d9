#include <algorithm>

#include <gtest/gtest.h>

#include "tests/daemon/synced_world.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

/// Leads added on Instantly, found without a sweep, behind leads that were deleted there and are still known here.
class NewLeadsStory : public testing::TestWithParam<const char*> {
protected:
    /// Ids that say when they were made; a sweep knows all of them.
    void begin() {
        world_.emplace(WorldSettings{.leads = 400, .switches = {{"unknown_cursor", GetParam()}}, .rest = 1h});
        world().sweep();
        for (const auto& row : world().sql("SELECT instantly_id FROM crm.leads "
                                           "WHERE instantly_id::text LIKE '0%' AND instantly_id::text LIKE "
                                           "'______________7%' ORDER BY instantly_id"))
            ids_.emplace_back(row[0].c_str());
        ASSERT_GT(ids_.size(), 250U);
    }
    void remove_newest(std::size_t leads) {
        std::for_each(ids_.end() - static_cast<std::ptrdiff_t>(leads), ids_.end(),
                      [this](const std::string& id) { world().instantly().remove(id); });
    }
    void expect_new_lead_is_found() {
        world().instantly().add({{"email", "new@example.com"}, {"campaign", world().any_campaign()}});
        EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE email = 'new@example.com'", "1"));
    }
    SyncedWorld& world() { return *world_; }

private:
    std::optional<SyncedWorld> world_;
    std::vector<std::string> ids_;
};

TEST_P(NewLeadsStory, AreFoundBehindManyThatWereDeleted) {
    begin();
    remove_newest(200);
    world().start();
    expect_new_lead_is_found();
}

TEST_P(NewLeadsStory, AreFoundWhereTheLeadAtWhichTheyBeginWasDeleted) {
    begin();
    world().start();
    expect_new_lead_is_found();
    remove_newest(60);
    world().instantly().add({{"email", "later@example.com"}, {"campaign", world().any_campaign()}});
    EXPECT_TRUE(world().becomes("SELECT count(*) FROM crm.leads WHERE email = 'later@example.com'", "1"));
}

// Leads that are created from here, or that a sweep has shown, are known without a look, and can be newer than one
// that was added on Instantly since the last.
TEST(NewLeads, AreFoundBeforeManyNewerOnesThatAreKnown) {
    SyncedWorld world{{.leads = 400, .rest = 1h}};
    world.sweep();
    world.start();
    ASSERT_TRUE(world.becomes("SELECT count(*) FROM sync.new_leads", "1"));
    world.stop();
    const auto early = world.instantly().add({{"email", "early@example.com"}, {"campaign", world.any_campaign()}});
    for (int lead = 0; lead < 60; ++lead)
        world.instantly().add(
            {{"email", std::to_string(lead) + "@later.example"}, {"campaign", world.any_campaign()}});
    world.instantly().set_switches({{"hidden_ids", {early.at("id")}}});
    world.sweep();
    ASSERT_EQ(world.value("SELECT count(*) FROM crm.leads"), "460");
    world.instantly().set_switches({{"hidden_ids", nlohmann::json::array()}});
    world.start();
    EXPECT_TRUE(world.becomes("SELECT count(*) FROM crm.leads WHERE email = 'early@example.com'", "1"));
}

INSTANTIATE_TEST_SUITE_P(UnknownCursors, NewLeadsStory, testing::Values("accept", "400", "404", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

}  // namespace
}  // namespace leadsync::daemon
