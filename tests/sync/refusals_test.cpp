#include "sync/refusals.hpp"

#include <array>

#include <gtest/gtest.h>

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;

/// Each step takes a second: what is accepted has left when the step before was over, unless it is told otherwise.
class RefusalsTest : public ::testing::Test {
protected:
    static constexpr std::size_t patch = 1'000'000;
    static constexpr std::size_t move = 2'000'000;

    int refused(std::size_t lead, std::size_t endpoint = patch) {
        now_ += 1s;
        const std::array leads{endpoint + lead};
        return refusals_.refused(endpoint, leads, now_);
    }
    void accepted(std::size_t lead, std::size_t endpoint = patch) { accepted_that_left(now_ + 1s, lead, endpoint); }
    void accepted_that_left(SteadyTime left_at, std::size_t lead, std::size_t endpoint = patch) {
        now_ += 2s;
        const std::array leads{endpoint + lead};
        refusals_.accepted(endpoint, leads, left_at);
    }

    Refusals refusals_;
    SteadyTime now_{1h};
};

TEST_F(RefusalsTest, AreTheWorkspacesAsLongAsNothingElseIsAccepted) {
    accepted(9);
    for (int times = 0; times < 3; ++times)
        for (const std::size_t lead : {1U, 2U}) EXPECT_EQ(refused(lead), 0) << lead;
    EXPECT_EQ(refused(3, move), 0);
}

TEST_F(RefusalsTest, AreALeadsOwnWhenOthersHaveBeenAcceptedSince) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(1), 1);
    EXPECT_EQ(refused(1), 2) << "the others need not be sent again and again for that";
    accepted(3);
    EXPECT_EQ(refused(1), 3);
}

TEST_F(RefusalsTest, AreTheWorkspacesAgainWhenTheLeadWasAcceptedMeanwhile) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(1), 1);
    accepted(1);
    EXPECT_EQ(refused(1), 0);
}

TEST_F(RefusalsTest, OfAnotherLeadAreTheWorkspacesAndMakeItDoubtfulThatItIsServed) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(3), 0) << "of PATCH others are accepted";
    EXPECT_EQ(refused(1), 0) << "the key may have lost its scope";
    accepted(2);
    EXPECT_EQ(refused(1), 1);
    EXPECT_EQ(refused(3), 1);
}

TEST_F(RefusalsTest, SayNothingOfTheKindOfCallWhenTheLeadIsKnownToBeRefused) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(1), 1);
    EXPECT_EQ(refused(4), 0) << "nobody knows of that one";
}

TEST_F(RefusalsTest, AreNoLeadsOwnForAWriteThatHadLeftBefore) {
    const auto before = now_;
    EXPECT_EQ(refused(1), 0);
    accepted_that_left(before, 2);
    EXPECT_EQ(refused(1), 0) << "the key may have been changed in between";
    accepted(2);
    EXPECT_EQ(refused(1), 1);
}

TEST_F(RefusalsTest, OfAKindOfCallAreItsOwnWhenOnlyOthersAreAccepted) {
    EXPECT_EQ(refused(1, move), 0);
    accepted(1, patch);
    for (const std::size_t lead : {1U, 2U, 3U}) EXPECT_EQ(refused(lead, move), 1) << lead;
    EXPECT_EQ(refused(2, move), 1) << "nothing is given up on for a scope that the key lacks";
    accepted(4, move);
    EXPECT_EQ(refused(2, move), 2);
    EXPECT_EQ(refused(5, move), 0) << "it is allowed after all";
}

TEST_F(RefusalsTest, OfSeveralLeadsCountAsThoseOfTheOneThatWasRefusedLeast) {
    EXPECT_EQ(refused(1), 0);
    accepted(9);
    EXPECT_EQ(refused(1), 1);
    EXPECT_EQ(refused(1), 2);
    const std::array both{patch + 1, patch + 2};
    EXPECT_EQ(refusals_.refused(patch, both, now_), 1);
    EXPECT_EQ(refused(1), 4);
    EXPECT_EQ(refused(2), 2) << "it was refused beside the other";
}

TEST_F(RefusalsTest, AreForgottenAfterAWhile) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(1), 1);
    now_ += Refusals::kept;
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    EXPECT_EQ(refused(1), 1) << "and counted anew";
}

TEST_F(RefusalsTest, AreNotRememberedWithoutEnd) {
    EXPECT_EQ(refused(1), 0);
    accepted(2);
    for (std::size_t lead = 10; lead < 10 + Refusals::most; ++lead) {
        const std::array leads{patch + lead};
        refusals_.refused(patch, leads, now_);
    }
    accepted(2);
    EXPECT_EQ(refused(1), 0) << "it is among the forgotten";
    EXPECT_EQ(refused(9 + Refusals::most), 0) << "and made that doubtful";
    accepted(2);
    EXPECT_EQ(refused(9 + Refusals::most), 1);
}

}  // namespace
}  // namespace leadsync::sync
