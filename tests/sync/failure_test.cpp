#include "sync/failure.hpp"

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

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

TEST(Failure, TheServersRetryAfterIsNeverUndercut) {
    const auto verdict = after_failure({.kind = FailureKind::transient, .retry_after = 7s}, 1, 0.1, {});
    EXPECT_EQ(std::get<Retry>(verdict).after, 7s);
}

TEST(Failure, EachKindHasItsVerdict) {
    EXPECT_TRUE(std::holds_alternative<DeadLetter>(after_failure({.kind = FailureKind::lead}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<GiveBack>(after_failure({.kind = FailureKind::workspace}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<GiveBack>(after_failure({.kind = FailureKind::held_back}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<HoldCreates>(after_failure({.kind = FailureKind::plan}, 1, 0, {})));
    EXPECT_TRUE(std::holds_alternative<Retry>(after_failure({.kind = FailureKind::transient}, 1000, 0, {})))
        << "a transient failure is retried for as long as it takes";
}

}  // namespace
}  // namespace leadsync::sync
