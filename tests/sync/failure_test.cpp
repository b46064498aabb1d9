#include "sync/failure.hpp"

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

TEST(Failure, StatusSaysWhoseTheFailureIs) {
    struct Case {
        int status;
        const char* body;
        FailureKind kind;
    };
    const Case cases[] = {
        {400, R"({"error":"Bad Request"})", FailureKind::lead},
        {401, "", FailureKind::workspace},
        {402, "", FailureKind::workspace},
        {403, R"({"message":"Lead limit reached. Remaining uploads: 0"})", FailureKind::plan},
        {403, R"({"message":"missing scope leads:update"})", FailureKind::workspace},
        {403, "error code: 1010", FailureKind::workspace},
        {404, "", FailureKind::lead},
        {408, "", FailureKind::transient},
        {409, "", FailureKind::transient},
        {422, "", FailureKind::lead},
        {429, "", FailureKind::transient},
        {500, "", FailureKind::transient},
        {503, "", FailureKind::transient},
        {302, "", FailureKind::transient},
    };
    for (const auto& [status, body, kind] : cases)
        EXPECT_EQ(kind_of_status(status, body), kind) << status << " " << body;
}

TEST(Failure, BackoffDoublesUpToItsCeilingAndIsFullyJittered) {
    const Backoff backoff{500ms, 60s};
    EXPECT_EQ(backoff_delay(backoff, 1, 0.0), 0ms);
    EXPECT_EQ(backoff_delay(backoff, 1, 0.5), 250ms);
    EXPECT_EQ(backoff_delay(backoff, 3, 0.5), 1000ms);
    EXPECT_EQ(backoff_delay(backoff, 8, 0.5), 30s);
    EXPECT_EQ(backoff_delay(backoff, 1'000'000, 0.5), 30s) << "a shift out of range";
}

TEST(Failure, OnlyARateLimitIsWaitedOutBeyondTheBackoffsCeiling) {
    struct Case {
        std::optional<milliseconds> asked;
        bool rate_limited;
        milliseconds wait;
    };
    const Case cases[] = {
        {std::nullopt, false, 250ms},
        {std::nullopt, true, 250ms},
        {100ms, false, 250ms},
        {7s, false, 7s},
        {7s, true, 7s},
        {24h, false, 60s},
        {24h, true, 24h},
    };
    const Backoff backoff{500ms, 60s};
    for (const auto& [asked, rate_limited, wait] : cases) {
        const Failure failure{.kind = FailureKind::transient, .retry_after = asked, .rate_limited = rate_limited};
        EXPECT_EQ(retry_delay(failure, 1, 0.5, backoff), wait) << wait.count() << " " << rate_limited;
        EXPECT_EQ(std::get<Retry>(after_failure(failure, 1, 0.5, backoff)).after, wait) << "so does a push";
    }
}

TEST(Failure, EachKindHasItsVerdict) {
    EXPECT_TRUE(std::holds_alternative<DeadLetter>(after_failure({.kind = FailureKind::lead}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<GiveBack>(after_failure({.kind = FailureKind::workspace}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<GiveBack>(after_failure({.kind = FailureKind::held_back}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<HoldCreates>(after_failure({.kind = FailureKind::plan}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<Retry>(after_failure({.kind = FailureKind::transient}, 1000, 0, {})))
        << "a transient failure is retried for as long as it takes";
}

TEST(Failure, WhatIsRefusedOnItsOwnAccountIsGivenUpOnAfterSomeAttempts) {
    const auto is_given_up = [](int attempt, int refusals) {
        const Failure failure{.kind = FailureKind::refused, .message = "403", .refusals = refusals};
        return std::holds_alternative<DeadLetter>(after_failure(failure, attempt, 0.5, {}));
    };
    for (int times = 1; times < refusals_max; ++times) EXPECT_FALSE(is_given_up(times, times)) << times;
    EXPECT_TRUE(is_given_up(refusals_max, refusals_max));
    EXPECT_FALSE(is_given_up(100, 1)) << "what failed before was an outage";
    EXPECT_FALSE(is_given_up(1, 100)) << "an edit begins anew";
    const Failure failure{.kind = FailureKind::refused, .message = "403", .refusals = 1};
    EXPECT_EQ(std::get<Retry>(after_failure(failure, 3, 0.5, {500ms, 60s})).after, 1000ms) << "with backoff";
}

}  // namespace
}  // namespace leadsync::sync
