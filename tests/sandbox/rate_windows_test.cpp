#include "tests/sandbox/rate_windows.hpp"

#include <gtest/gtest.h>

namespace leadsync::sandbox {
namespace {

using std::chrono::seconds;

constexpr RateWindows::Limits limits{3, 5};
const Tick start{seconds{1000}};

TEST(RateWindows, AllowTheLimitInASecondAndRefuseTheNext) {
    RateWindows windows;
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(windows.count(start + milliseconds{i}, limits));
    EXPECT_FALSE(windows.count(start + milliseconds{999}, limits));
    EXPECT_EQ(windows.max_per_second(), 4U);
    EXPECT_EQ(windows.refused(), 1U);
}

TEST(RateWindows, SlideInsteadOfRestartingEverySecond) {
    RateWindows windows;
    EXPECT_TRUE(windows.count(start + milliseconds{900}, limits));
    EXPECT_TRUE(windows.count(start + milliseconds{950}, limits));
    EXPECT_TRUE(windows.count(start + milliseconds{1100}, limits));
    EXPECT_FALSE(windows.count(start + milliseconds{1899}, limits)) << "the second that ends here holds four";
}

TEST(RateWindows, CountTheMinuteAsWell) {
    RateWindows windows;
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(windows.count(start + seconds{2 * i}, limits));
    EXPECT_FALSE(windows.count(start + seconds{20}, limits));
    EXPECT_TRUE(windows.count(start + seconds{63}, limits)) << "the first two have left the minute";
    EXPECT_EQ(windows.max_per_minute(), 6U);
}

TEST(RateWindows, TellHowLongToWait) {
    RateWindows windows;
    for (int i = 0; i < 3; ++i) windows.count(start + milliseconds{100 * i}, limits);
    EXPECT_EQ(windows.until_free(start + milliseconds{200}, limits), milliseconds{800});
    EXPECT_EQ(windows.until_free(start + milliseconds{1000}, limits), milliseconds{0});
    for (int i = 0; i < 2; ++i) windows.count(start + seconds{10 + i}, limits);
    EXPECT_EQ(windows.until_free(start + seconds{11}, limits), seconds{49});
}

TEST(RateWindows, ForgetTheirMaximaOnRequest) {
    RateWindows windows;
    for (int i = 0; i < 4; ++i) windows.count(start, limits);
    windows.reset_maxima();
    EXPECT_EQ(windows.max_per_second(), 0U);
    EXPECT_FALSE(windows.count(start, limits)) << "what was counted still counts";
}

}  // namespace
}  // namespace leadsync::sandbox
