#include "sync/rate_windows.hpp"

#include <map>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sync/lanes.hpp"

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

const SteadyTime start{std::chrono::hours{1}};

void send(RateWindows& windows, SteadyTime at) {
    windows.grant(at);
    windows.depart(at);
}

TEST(RateWindows, ABurstUpToTheLimitLeavesAtOnce) {
    RateWindows windows{{3, 1000, 1.0}, 0ms};
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(windows.next(start), start);
        send(windows, start);
    }
    EXPECT_EQ(windows.next(start), start + 1s);
}

TEST(RateWindows, TheMinuteBindsWhereTheSecondWouldNot) {
    RateWindows windows{{10, 5, 1.0}, 0ms};
    for (int i = 0; i < 5; ++i) send(windows, start + i * 2s);
    EXPECT_EQ(windows.next(start + 10s), start + 60s);
    EXPECT_EQ(windows.spent_in_minute(start + 10s), 5U);
    EXPECT_EQ(windows.spent_in_minute(start + 63s), 3U);
}

TEST(RateWindows, TheShareIsTakenOfBothLimitsAndNeverStops) {
    EXPECT_EQ((RateWindows{{1, 1, 0.01}}.next(start)), start) << "a tiny share still lets one through";
    RateWindows windows{{10, 600, 0.5}, 0ms};
    for (int i = 0; i < 5; ++i) send(windows, start);
    EXPECT_EQ(windows.next(start), start + 1s);
}

TEST(RateWindows, NothingLeavesWhileTheServerRefuses) {
    RateWindows windows{{100, 6000, 1.0}};
    windows.refused(start, start + 5s);
    windows.refused(start, start + 2s);
    EXPECT_EQ(windows.next(start), start + 5s);
}

TEST(RateWindows, WhatIsGrantedCountsAsLeavingAtAnyMoment) {
    RateWindows windows{{2, 1000, 1.0}, 0ms};
    windows.grant(start);
    windows.grant(start);
    EXPECT_EQ(windows.next(start + 10s), std::nullopt) << "neither has departed";
    windows.depart(start + 10s);
    EXPECT_EQ(windows.next(start + 10s), start + 11s) << "the other may leave any moment";
    windows.give_back(start + 10s);
    EXPECT_EQ(windows.next(start + 10s), start + 10s) << "it never left";
}

TEST(RateWindows, AnEvenPaceFillsTheTighterWindow) {
    RateWindows by_second{{100, 6000, 1.0}, 0ms};
    RateWindows by_minute{{200, 6000, 1.0}, 0ms};
    for (auto* windows : {&by_second, &by_minute}) {
        auto now = start;
        for (int i = 0; i < 500; ++i) {
            now = windows->next(now, 0).value();
            send(*windows, now);
        }
        EXPECT_EQ(now, start + 4990ms);
    }
}

TEST(RateWindows, WhoeverMayRunAheadOfTheEvenPaceDoesSoAsFarAsItMay) {
    RateWindows windows{{100, 6000, 1.0}, 0ms};
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(windows.next(start, 4), start);
        send(windows, start);
    }
    EXPECT_EQ(windows.next(start, 4), start + 10ms);
    EXPECT_EQ(windows.next(start, 0), start + 50ms) << "five are paid for";
    EXPECT_EQ(windows.next(start), start) << "but for those who wait for the limits alone";
    windows.grant(start);
    windows.give_back(start);
    EXPECT_EQ(windows.next(start, 4), start + 10ms) << "it never left";
    EXPECT_EQ(windows.next(start + 1min, 0), start + 1min);
}

TEST(RateWindows, AnEvenPaceIsSlowerAfterARefusal) {
    RateWindows windows{{100, 6000, 1.0}, 0ms};
    windows.refused(start, start);
    send(windows, start);
    EXPECT_EQ(windows.next(start, 0), start + 20ms);
}

TEST(RateWindows, AnEarlierProcessHasSpentToo) {
    RateWindows windows{{3, 5, 1.0}, 0ms};
    windows.remember(start - 30s, 3);
    windows.remember(start, 1);
    send(windows, start);
    EXPECT_EQ(windows.next(start), start + 30s) << "five in this minute";
    EXPECT_EQ(windows.spent_in_minute(start), 5U);
    RateWindows flooded{{3, 5, 1.0}, 0ms};
    flooded.remember(start, 1'000'000);
    EXPECT_EQ(flooded.next(start), start + 60s);
}

TEST(RateWindows, ARefusalHalvesTheBudgetAndItComesBackSlowly) {
    RateWindows windows{{100, 6000, 1.0}, 0ms};
    windows.refused(start, start);
    windows.refused(start + 500ms, start);
    EXPECT_DOUBLE_EQ(windows.allowance(start + 600ms), 0.5 + 0.01) << "refusals of one moment are one";
    for (int i = 0; i < 51; ++i) send(windows, start + 600ms);
    EXPECT_GT(windows.next(start + 600ms), start + 600ms);
    windows.refused(start + 6s, start);
    EXPECT_DOUBLE_EQ(windows.allowance(start + 6s), 0.3);
    EXPECT_DOUBLE_EQ(windows.allowance(start + 5min), 1);
    for (int i = 0; i < 20; ++i) windows.refused(start + 5min + i * 2s, start);
    EXPECT_GE(windows.allowance(start + 5min + 38s), RateWindows::floor);
    EXPECT_LE(windows.allowance(start + 5min + 38s), 3 * RateWindows::floor);
}

TEST(Lanes, TheMostUrgentGoesFirstAndThoseBelowItKeepATenth) {
    LaneOrder order;
    EXPECT_EQ(order.take({0, 0, 0, 0, 0}), std::nullopt);
    EXPECT_EQ(order.take({0, 2, 0, 0, 9}), Lane::push);
    std::map<Lane, int> turns;
    for (int i = 0; i < 100; ++i) ++turns[order.take({0, 9, 0, 0, 9}).value()];
    EXPECT_EQ(turns[Lane::push], 90);
    EXPECT_EQ(turns[Lane::rest], 10);
    EXPECT_EQ(order.take({0, 0, 0, 0, 1}), Lane::rest);
    turns.clear();
    for (int i = 0; i < 100; ++i) ++turns[order.take({0, 1, 1, 0, 0}).value()];
    EXPECT_EQ(turns[Lane::fresh], 10) << "whichever waits";
}

/// A mass edit beside a sweep, with new and active leads to read.
TEST(Lanes, TheTenthGoesRoundTheLanesThatWaitBelowTheFirst) {
    LaneOrder order;
    const auto turns_below = [&order](Lane first, const std::array<std::size_t, lane_count>& waiting) {
        std::vector<Lane> below;
        for (int i = 0; i < 60; ++i)
            if (const auto lane = order.take(waiting).value(); lane != first) below.push_back(lane);
        return below;
    };
    using enum Lane;
    EXPECT_EQ(turns_below(push, {0, 900, 1, 10, 99}), (std::vector{fresh, active, rest, fresh, active, rest}));
    EXPECT_EQ(turns_below(push, {0, 900, 1, 0, 99}), (std::vector{fresh, rest, fresh, rest, fresh, rest}));
    EXPECT_EQ(turns_below(safety, {5, 900, 0, 0, 99}), (std::vector{push, rest, push, rest, push, rest}));
}

TEST(Lanes, APushNowAndThenPassesASweepEveryTime) {
    LaneOrder order;
    for (int i = 0; i < 30; ++i) {
        EXPECT_EQ(order.take({0, 1, 0, 0, 9}), Lane::push);
        EXPECT_EQ(order.take({0, 0, 0, 0, 9}), Lane::rest);
    }
}

RC_GTEST_PROP(RateWindowsProperty, NoWindowEverHoldsMoreThanItsLimit, ()) {
    const int per_second = *rc::gen::inRange(1, 8);
    const int per_minute = *rc::gen::inRange(1, 40);
    RateWindows windows{{per_second, per_minute, 1.0}, 0ms};
    std::vector<SteadyTime> sent;
    auto now = start;
    for (int i = 0; i < 120; ++i) {
        now += std::chrono::milliseconds{*rc::gen::inRange(0, 700)};
        now = windows.next(now).value();
        send(windows, now);
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
