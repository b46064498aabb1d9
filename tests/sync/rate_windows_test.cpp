#include "sync/rate_windows.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

const SteadyTime start{std::chrono::hours{1}};

TEST(RateWindows, ABurstUpToTheLimitLeavesAtOnce) {
    RateWindows windows{3, 1000, 1.0, 0ms};
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(windows.next(start), start);
        windows.spend(start);
    }
    EXPECT_EQ(windows.next(start), start + 1s);
}

TEST(RateWindows, TheMinuteBindsWhereTheSecondWouldNot) {
    RateWindows windows{10, 5, 1.0, 0ms};
    for (int i = 0; i < 5; ++i) windows.spend(start + i * 2s);
    EXPECT_EQ(windows.next(start + 10s), start + 60s);
    EXPECT_EQ(windows.spent_in_minute(start + 10s), 5U);
    EXPECT_EQ(windows.spent_in_minute(start + 63s), 3U);
}

TEST(RateWindows, TheShareIsTakenOfBothLimitsAndNeverStops) {
    EXPECT_EQ((RateWindows{1, 1, 0.01}.next(start)), start) << "a tiny share still lets one through";
    RateWindows windows{10, 600, 0.5, 0ms};
    for (int i = 0; i < 5; ++i) windows.spend(start);
    EXPECT_EQ(windows.next(start), start + 1s);
}

TEST(RateWindows, NothingLeavesWhileTheServerRefuses) {
    RateWindows windows{100, 6000, 1.0};
    windows.hold_until(start + 5s);
    windows.hold_until(start + 2s);
    EXPECT_EQ(windows.next(start), start + 5s);
}

RC_GTEST_PROP(RateWindowsProperty, NoWindowEverHoldsMoreThanItsLimit, ()) {
    const int per_second = *rc::gen::inRange(1, 8);
    const int per_minute = *rc::gen::inRange(1, 40);
    RateWindows windows{per_second, per_minute, 1.0, 0ms};
    std::vector<SteadyTime> sent;
    auto now = start;
    for (int i = 0; i < 120; ++i) {
        now += std::chrono::milliseconds{*rc::gen::inRange(0, 700)};
        now = windows.next(now);
        windows.spend(now);
        sent.push_back(now);
    }
    const auto most = [&](std::chrono::seconds window) {
        std::ptrdiff_t worst = 0;
        for (const auto from : sent)
            worst = std::max(worst, std::count_if(sent.begin(), sent.end(),
                                                  [&](SteadyTime at) { return at >= from && at < from + window; }));
        return worst;
    };
    RC_ASSERT(most(1s) <= per_second);
    RC_ASSERT(most(60s) <= per_minute);
}

}  // namespace
}  // namespace leadsync::sync
