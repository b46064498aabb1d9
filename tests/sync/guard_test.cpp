#include "sync/guard.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace leadsync::sync {
namespace {

constexpr GuardLimit no_limit{};
constexpr GuardLimit leads(std::int64_t count) { return {.leads = count, .part = std::nullopt}; }
constexpr GuardLimit part(double share) { return {.leads = std::nullopt, .part = share}; }

TEST(GuardLimits, LetThroughANumberOrAPartOfTheWorkspaceOrAnything) {
    struct Case {
        const char* story;
        GuardLimit limit;
        std::int64_t in_workspace;
        std::optional<std::int64_t> allowed;
        std::optional<std::int64_t> allowed_deletes;
    };
    const Case cases[] = {
        {"no limit", no_limit, 1000, {}, {}},
        {"a number", leads(50), 1000, 50, 50},
        {"a number of none", leads(0), 1000, 0, 0},
        {"a number that would empty the workspace", leads(5000), 1000, 5000, 999},
        {"a part", part(0.05), 1000, 50, 50},
        {"a part, rounded down", part(0.25), 1001, 250, 250},
        {"a part of a few is never fewer than ten", part(0.05), 20, 10, 10},
        {"but one lead is left", part(0.05), 8, 10, 7},
        {"all of it, and one is left", part(1), 1000, 1000, 999},
        {"the only lead there is", part(1), 1, 10, 0},
        {"an empty workspace", part(0.5), 0, 10, 0},
    };
    for (const auto& [story, limit, in_workspace, plain, deletes] : cases) {
        EXPECT_EQ(allowed(limit, in_workspace), plain) << story;
        EXPECT_EQ(allowed_deletes(limit, in_workspace), deletes) << story;
    }
}

TEST(GuardLimits, AreAsTheConfigSaysUnlessItSaysOtherwise) {
    const Guard guard;
    EXPECT_EQ(allowed_deletes(guard.deletes, 1000), 50);
    EXPECT_EQ(allowed(guard.creates, 1000), 1000);
    EXPECT_EQ(allowed(guard.changes, 1000), 250);
}

RC_GTEST_PROP(GuardProperty, DeletionsNeverEmptyAWorkspaceAndAreNeverLooserThanTheLimit, ()) {
    const auto in_workspace = *rc::gen::inRange<std::int64_t>(1, 2'000'000);
    const auto limit = *rc::gen::arbitrary<bool>() ? leads(*rc::gen::inRange<std::int64_t>(0, 3'000'000))
                                                   : part(*rc::gen::inRange(0, 101) / 100.0);
    const auto deletes = allowed_deletes(limit, in_workspace);
    RC_ASSERT(deletes.has_value());
    RC_ASSERT(*deletes < in_workspace);
    RC_ASSERT(*deletes >= 0);
    RC_ASSERT(*deletes <= *allowed(limit, in_workspace));
}

RC_GTEST_PROP(GuardProperty, AGreaterWorkspaceNeverAllowsLess, ()) {
    const auto limit = part(*rc::gen::inRange(0, 101) / 100.0);
    const auto in_workspace = *rc::gen::inRange<std::int64_t>(0, 100'000);
    const auto more = in_workspace + *rc::gen::inRange<std::int64_t>(0, 100'000);
    RC_ASSERT(*allowed(limit, in_workspace) <= *allowed(limit, more));
    RC_ASSERT(*allowed_deletes(limit, in_workspace) <= *allowed_deletes(limit, more));
}

}  // namespace
}  // namespace leadsync::sync
