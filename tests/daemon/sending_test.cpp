#include "daemon/sending.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace leadsync::daemon {
namespace {

TEST(Sending, CountsALostWriteAsSentAgainWhenItWasSent) {
    Sending sending;
    EXPECT_FALSE(sending.sent_again());
    sending.lost = {"phone"};
    EXPECT_TRUE(sending.sent_again());
}

TEST(Sending, DoesNotCountALostMoveThatWaitsForItsCampaign) {
    Sending sending;
    sending.lost = {"campaign"};
    sending.waits_for.emplace();
    EXPECT_FALSE(sending.sent_again()) << "five waits would be taken for five sendings, and the move given up on";
    sending.lost.emplace_back("phone");
    sending.accepted({{"phone", "1"}});
    EXPECT_TRUE(sending.sent_again()) << "the patch beside it has left";
}

TEST(Sending, GoesOnAwaitingWhatOneCallLeftInDoubtWhenAnotherFails) {
    Sending sending;
    sending.plan.patch = sync::PatchIntent{.fields = {sync::Field::website}};
    sending.plan.move = sync::MoveIntent{.from_campaign = "a", .to_list = "b"};
    const auto patched = sync::expectations(*sending.plan.patch, sending.local);
    const auto moved = sync::expectations(*sending.plan.move);
    const instantly::ApiError no_answer{{.message = "no answer"}, 0, true};
    sending.failed(patched, no_answer);
    sending.failed(moved, no_answer);
    EXPECT_TRUE(sending.unsent.empty()) << "both may have been carried out";
    Sending refused;
    refused.plan = sending.plan;
    const instantly::ApiError bad_request{{.kind = sync::FailureKind::lead, .message = "400"}, 400};
    refused.failed(patched, no_answer);
    refused.failed(moved, bad_request);
    EXPECT_EQ(std::ranges::count(refused.unsent, "website"), 0);
    EXPECT_EQ(refused.unsent.size(), moved.size()) << "the move was not carried out";
}

TEST(Sending, KeepsAnAssignmentInDoubtAmongItsCallsWhenTheRestIsPutOff) {
    Sending sending;
    sending.assignee = "a1a1a1a1-0000-4000-8000-000000000001";
    sending.plan.move = sync::MoveIntent{.from_campaign = "a", .to_list = "b"};
    const auto assigned = sending.assignment();
    Sending refused = sending;
    sending.failed(assigned, instantly::ApiError{{.message = "no answer"}, 0, true});
    sending.put_off_the_rest();
    EXPECT_EQ(sending.expected(), assigned) << "it may have been carried out; the move did not leave";
    refused.failed(assigned, instantly::ApiError{{.kind = sync::FailureKind::lead, .message = "400"}, 400});
    refused.put_off_the_rest();
    EXPECT_TRUE(refused.calls().empty());
}

}  // namespace
}  // namespace leadsync::daemon
