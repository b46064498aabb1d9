#include "sync/circuit_breaker.hpp"

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;
using State = CircuitBreaker::State;

class CircuitBreakerTest : public ::testing::Test {
protected:
    bool fail(std::size_t request, CallKind kind = CallKind::write) {
        return breaker.failed(kind, request, now, 0.5);
    }
    bool fail_all(CallKind kind = CallKind::write) {
        bool opened = false;
        for (std::size_t i = 0; i < CircuitBreaker::failures_to_open; ++i) opened = fail(i, kind);
        return opened;
    }
    void let_it_half_open() { now += breaker.open_for(now); }

    CircuitBreaker breaker{{8s, 60s}};
    SteadyTime now{1h};
};

TEST_F(CircuitBreakerTest, OpensAfterDifferentRequestsFailedInARow) {
    for (std::size_t i = 1; i < CircuitBreaker::failures_to_open; ++i) EXPECT_FALSE(fail(i));
    EXPECT_EQ(breaker.state(now), State::closed);
    EXPECT_TRUE(fail(0));
    EXPECT_EQ(breaker.state(now), State::open);
    EXPECT_EQ(breaker.open_for(now), 4s);
    EXPECT_EQ(breaker.open_for(now + 1s), 3s);
    EXPECT_FALSE(fail(99)) << "it had left before";
    EXPECT_EQ(breaker.open_for(now), 4s);
}

TEST_F(CircuitBreakerTest, OneRequestAloneNeverOpensIt) {
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(fail(7));
    EXPECT_EQ(breaker.state(now), State::closed);
}

TEST_F(CircuitBreakerTest, ASuccessOfTheSameKindStartsTheCountAnew) {
    for (std::size_t i = 1; i < CircuitBreaker::failures_to_open; ++i) fail(i);
    EXPECT_FALSE(breaker.succeeded(CallKind::read));
    EXPECT_TRUE(fail(0)) << "reading works, writing does not";
    breaker = CircuitBreaker{{8s, 60s}};
    for (std::size_t i = 1; i < CircuitBreaker::failures_to_open; ++i) fail(i);
    EXPECT_FALSE(breaker.succeeded(CallKind::write)) << "it was closed";
    EXPECT_FALSE(fail(0));
}

TEST_F(CircuitBreakerTest, ARefusalOfTheWorkspaceOpensItAtOnce) {
    EXPECT_TRUE(breaker.refused(CallKind::read, now, 0.0));
    EXPECT_EQ(breaker.open_for(now), CircuitBreaker::shortest_wait) << "never a busy loop";
    EXPECT_FALSE(breaker.refused(CallKind::write, now, 0.9)) << "it is open";
}

TEST_F(CircuitBreakerTest, HalfOpenAFailedProbeOpensItForLonger) {
    EXPECT_TRUE(fail_all());
    let_it_half_open();
    EXPECT_EQ(breaker.state(now), State::half_open);
    EXPECT_EQ(breaker.open_for(now), 0s);
    EXPECT_FALSE(fail(1)) << "another lead of the probe may succeed";
    EXPECT_TRUE(breaker.probe_ended(now, 0.5));
    EXPECT_EQ(breaker.open_for(now), 8s);
    let_it_half_open();
    EXPECT_TRUE(breaker.refused(CallKind::write, now, 0.5));
    EXPECT_EQ(breaker.open_for(now), 16s);
}

TEST_F(CircuitBreakerTest, HalfOpenOneSuccessCloses) {
    EXPECT_TRUE(fail_all());
    let_it_half_open();
    fail(1);
    EXPECT_TRUE(breaker.succeeded(CallKind::write));
    EXPECT_EQ(breaker.state(now), State::closed);
    EXPECT_FALSE(breaker.probe_ended(now, 0.5));
    EXPECT_TRUE(fail_all());
    EXPECT_EQ(breaker.open_for(now), 4s) << "the backoff begins anew";
}

TEST_F(CircuitBreakerTest, AProbeThatHadNothingToSendTellsNothing) {
    EXPECT_TRUE(fail_all());
    let_it_half_open();
    EXPECT_FALSE(breaker.probe_ended(now, 0.5));
    EXPECT_EQ(breaker.state(now), State::half_open);
}

TEST_F(CircuitBreakerTest, AReadDoesNotTellThatWritesAreServed) {
    EXPECT_TRUE(breaker.refused(CallKind::write, now, 0.5));
    let_it_half_open();
    EXPECT_FALSE(breaker.succeeded(CallKind::read));
    EXPECT_EQ(breaker.state(now), State::half_open);
    EXPECT_TRUE(breaker.succeeded(CallKind::write));
}

TEST_F(CircuitBreakerTest, AWriteTellsThatTheServerIsThere) {
    EXPECT_TRUE(fail_all(CallKind::read));
    let_it_half_open();
    EXPECT_TRUE(breaker.succeeded(CallKind::write));
}

}  // namespace
}  // namespace leadsync::sync
