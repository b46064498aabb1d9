#include "sync/id_space.hpp"

#include <gtest/gtest.h>

#include "sync/lead.hpp"

namespace leadsync::sync {
namespace {

const std::string early = "0199e000-0000-7000-8000-000000000000";
const std::string later = "0199e000-1000-7000-8000-000000000000";

Stretch stretch_between(const std::string& first, const std::string& last, std::size_t leads) {
    return {place_of(first), place_of(last), leads};
}

TEST(IdSpace, PlacesAreInTheOrderOfIds) {
    EXPECT_EQ(place_of("0199e000-1234-7abc-8000-000000000001"), 0x0199e00012347abcU);
    EXPECT_LT(place_of(early), place_of(later));
    EXPECT_EQ(place_of("ffffffff-ffff-ffff-ffff-ffffffffffff"), ~std::uint64_t{0});
    for (const auto* bad :
         {"", "tomorrow", "0199e000-1234-7abc-8000-00000000000", "zzzzzzzz-1234-7abc-8000-000000000001"})
        EXPECT_EQ(place_of(bad), 0U) << bad;
}

TEST(IdSpace, MakesUpWellFormedIds) {
    EXPECT_EQ(id_at(0x0199e00012347abcU), "0199e000-1234-7abc-8000-000000000000");
    EXPECT_EQ(id_at(0x0199e00012344abcU), "0199e000-1234-7abc-8000-000000000000") << "as a UUIDv7";
    EXPECT_TRUE(is_time_ordered({id_at(42)}));
}

TEST(IdSpace, MakesAnotherIdOfAnId) {
    const auto other = id_made_of(early);
    EXPECT_EQ(canonical(Kind::uuid, other), other);
    EXPECT_EQ(other[14], '8');
    EXPECT_EQ(id_made_of(early), other);
    EXPECT_NE(id_made_of(later), other);
    EXPECT_NE(id_made_of(other), early);
}

TEST(IdSpace, ReckonsWhatIsLeftFromHowCloseLeadsLie) {
    const auto stretch = stretch_between(early, later, 101);
    const std::string end = "0199e000-5000-7000-8000-000000000000";
    EXPECT_NEAR(leads_between(later, end, stretch), 400, 1);
    EXPECT_GT(leads_between(later, std::nullopt, stretch), 1e9);
    EXPECT_EQ(leads_between(end, later, stretch), 0) << "it is behind the end";
    EXPECT_GT(leads_between(early, later, stretch_between(early, early, 1)), 1e8) << "one lead says nothing";
}

TEST(IdSpace, CutsInTheMiddleButNotTooFarAhead) {
    const auto stretch = stretch_between(early, later, 101);
    const std::string end = "0199e000-5000-7000-8000-000000000000";
    EXPECT_EQ(cut_between(later, end, stretch, 100, 1e6), "0199e000-3000-7000-8000-000000000000");
    EXPECT_EQ(cut_between(later, end, stretch, 100, 100), "0199e000-2000-7000-8000-000000000000");
    EXPECT_EQ(cut_between(later, std::nullopt, stretch, 100, 200), "0199e000-3000-7000-8000-000000000000");
    EXPECT_EQ(cut_between(later, end, stretch, 300, 1e6), std::nullopt) << "no part with fewer than 300";
    EXPECT_EQ(cut_between(end, later, stretch, 1, 1e6), std::nullopt);
}

TEST(IdSpace, ACutLiesBetweenCursorAndEndOrIsNone) {
    // Random ids, whose version digit is another than the one made up.
    const std::string cursor = "3f2a0000-0000-4fff-8000-000000000000";
    for (const auto* end : {"3f2a0000-0000-4fff-8000-000000000001", "3f2a0000-0001-4000-8000-000000000000",
                            "3f2a0000-0010-4000-8000-000000000000", "ffffffff-ffff-4fff-bfff-ffffffffffff"}) {
        const auto cut = cut_between(cursor, end, {0, 1, 2}, 1, 1e18);
        if (!cut) continue;
        EXPECT_GT(*cut, cursor);
        EXPECT_LT(*cut, end);
    }
}

}  // namespace
}  // namespace leadsync::sync
