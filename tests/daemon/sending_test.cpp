#include "daemon/sending.hpp"

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
    sending.waits = true;
    EXPECT_FALSE(sending.sent_again()) << "five waits would be taken for five sendings, and the move given up on";
    sending.lost.emplace_back("phone");
    sending.accepted({{"phone", "1"}});
    EXPECT_TRUE(sending.sent_again()) << "the patch beside it has left";
}

}  // namespace
}  // namespace leadsync::daemon
