#include "tests/sandbox/lead_store.hpp"

#include <gtest/gtest.h>

namespace leadsync::sandbox {
namespace {

using std::chrono::hours;

class Store : public testing::Test {
protected:
    std::vector<Uuid> walked(bool descending, Eyes eyes, std::optional<Uuid> from = {}) const {
        std::vector<Uuid> ids;
        store.walk(from, descending, eyes, [&](const LeadRef& ref) {
            ids.push_back(ref.id);
            return true;
        });
        return ids;
    }

    Json lead_named(const Uuid& id, const std::string& name) const {
        return {{"id", to_text(id)}, {"email", "new@example.com"}, {"first_name", name}};
    }

    Catalog catalog{{"acme", 3, 2, 2, false}};
    LeadStore store{{3, 100}, catalog};
    const std::vector<Uuid> pristine = walked(false, truth);
    const Tick now = std::chrono::steady_clock::now();
};

TEST_F(Store, WalksPristineAndEditedLeadsInOneOrderBothWays) {
    const auto added = uuid_v7(1'790'000'000'000, 0, 1);
    store.put(pristine[3], lead_named(pristine[3], "Edited"), now, now);
    store.put(added, lead_named(added, "Added"), now, now);
    store.erase(pristine[5], now, now);
    auto expected = pristine;
    expected.erase(expected.begin() + 5);
    expected.insert(std::ranges::lower_bound(expected, added), added);
    EXPECT_EQ(walked(false, truth), expected);
    std::ranges::reverse(expected);
    EXPECT_EQ(walked(true, truth), expected);
    EXPECT_EQ(store.size(), 100U);
}

TEST_F(Store, ResumesAfterAnyId) {
    store.put(pristine[4], lead_named(pristine[4], "Edited"), now, now);
    for (const std::size_t place : {0U, 3U, 4U, 50U, 99U}) {
        const auto offset = static_cast<std::ptrdiff_t>(place);
        EXPECT_EQ(walked(false, truth, pristine[place]), std::vector(pristine.begin() + offset + 1, pristine.end()));
        auto before = std::vector(pristine.begin(), pristine.begin() + offset);
        std::ranges::reverse(before);
        EXPECT_EQ(walked(true, truth, pristine[place]), before);
    }
    auto between = pristine[7];
    between.low += 1;
    EXPECT_EQ(walked(false, truth, between).front(), pristine[8]);
}

TEST_F(Store, ShowsClientsTheOldStateUntilTheLagIsOver) {
    const auto id = pristine[10];
    store.put(id, lead_named(id, "Edited"), now, now + hours{1});
    EXPECT_EQ(store.find(id, now)->edited, nullptr);
    EXPECT_EQ(store.first_name(*store.find(id, truth)), "Edited");
    EXPECT_EQ(store.first_name(*store.find(id, now + hours{2})), "Edited");
}

TEST_F(Store, ShowsEachOfSeveralWritesInTurn) {
    const auto id = pristine[10];
    store.put(id, lead_named(id, "First"), now, now + hours{1});
    store.put(id, lead_named(id, "Second"), now, now + hours{2});
    EXPECT_EQ(store.find(id, now)->edited, nullptr);
    EXPECT_EQ(store.first_name(*store.find(id, now + hours{1})), "First");
    EXPECT_EQ(store.first_name(*store.find(id, now + hours{2})), "Second");
}

TEST_F(Store, HidesAnAddedLeadAndShowsADeletedOneWhileItLags) {
    const auto added = uuid_v7(1'790'000'000'000, 0, 1);
    store.put(added, lead_named(added, "Added"), now, now + hours{1});
    store.erase(pristine[0], now, now + hours{1});
    EXPECT_FALSE(store.find(added, now));
    EXPECT_TRUE(store.with_email("new@example.com", now).empty());
    EXPECT_EQ(store.with_email("NEW@example.com", truth).size(), 1U);
    EXPECT_EQ(walked(false, now), pristine);
    EXPECT_FALSE(store.find(pristine[0], truth));
    EXPECT_EQ(store.size(), 100U);
}

}  // namespace
}  // namespace leadsync::sandbox
