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

INSTANTIATE_TEST_SUITE_P(UnknownCursors, NewLeadsStory, testing::Values("accept", "400", "404", "ignore", "empty"),
                         [](const auto& choice) { return "Are" + std::string{choice.param}; });

}  // namespace
}  // namespace leadsync::daemon
