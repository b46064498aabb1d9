#include "daemon/sending.hpp"

#include <algorithm>
#include <bit>
#include <exception>
#include <functional>
#include <limits>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "daemon/bulk_call.hpp"

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

/// One call for many leads, and a server that refuses it for some of them.
class BulkCalls : public testing::Test {
protected:
    /// Sends so many leads together.
    void send(std::size_t leads, const std::function<bool(std::size_t)>& is_refused) {
        sendings_ = std::vector<Sending>(leads);
        requests_ = 0;
        BulkCall::Leads all_of_them;
        for (auto& sending : sendings_) {
            sending.assignee = "a1a1a1a1-0000-4000-8000-000000000001";
            all_of_them.push_back(&sending);
        }
        auto make = [&](const BulkCall::Leads& some) -> asio::awaitable<void> {
            if (++requests_ > in_time_) throw TurnCameLate{};
            if (requests_ == fails_at_) throw instantly::ApiError{{.message = "503"}, 503, true};
            for (const auto* lead : some)
                if (is_refused(static_cast<std::size_t>(lead - sendings_.data())))
                    throw instantly::ApiError{{.kind = refusal_, .message = "refused"}, 400};
            co_return;
        };
        BulkCall call{sendings_.front().assignment(), make};
        asio::io_context io;
        std::exception_ptr failed;
        asio::co_spawn(io, call.send(all_of_them), [&](std::exception_ptr error) { failed = std::move(error); });
        io.run();
        EXPECT_TRUE(failed == nullptr);
    }

    std::vector<std::size_t> given_up() const {
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < sendings_.size(); ++i)
            if (sendings_[i].failure) found.push_back(i);
        return found;
    }
    std::ptrdiff_t went() const {
        return std::ranges::count_if(sendings_, [](const auto& sending) { return !sending.arrived.empty(); });
    }
    std::ptrdiff_t put_off() const {
        return std::ranges::count_if(sendings_, [](const auto& sending) { return !sending.put_off.empty(); });
    }

    std::vector<Sending> sendings_;
    std::size_t requests_ = 0;
    std::size_t in_time_ = std::numeric_limits<std::size_t>::max();  ///< requests whose turns come in time
    std::size_t fails_at_ = 0;                                       ///< a request that fails for a while
    sync::FailureKind refusal_ = sync::FailureKind::lead;
};

TEST_F(BulkCalls, ThatAreRefusedBecauseOfOneLeadCarryTheOthers) {
    for (const std::size_t leads : {1U, 2U, 3U, 4U, 7U, 100U, 500U})
        for (const std::size_t bad : {std::size_t{0}, leads / 3, leads / 2, leads - 1}) {
            send(leads, [bad](std::size_t lead) { return lead == bad; });
            EXPECT_EQ(given_up(), std::vector{bad}) << leads;
            EXPECT_EQ(went() + 1, std::ssize(sendings_)) << leads << " " << bad;
            EXPECT_LE(requests_, 2 + 2 * static_cast<std::size_t>(std::bit_width(leads))) << leads << " " << bad;
        }
}

TEST_F(BulkCalls, ThatAFirewallRefusesBecauseOfOneLeadCarryTheOthers) {
    refusal_ = sync::FailureKind::refused;
    send(100, [](std::size_t lead) { return lead == 33; });
    EXPECT_EQ(given_up(), std::vector<std::size_t>{33});
    EXPECT_EQ(went(), 99);
    refusal_ = sync::FailureKind::workspace;
    send(100, [](std::size_t lead) { return lead == 33; });
    EXPECT_EQ(requests_, 1U) << "none would be carried out";
    EXPECT_EQ(given_up().size(), 100U);
}

TEST_F(BulkCalls, ThatAreRefusedBecauseOfSomeLeadsCarryTheOthers) {
    std::vector<std::size_t> bad;
    for (std::size_t lead = 0; lead < 500; lead += 50) bad.push_back(lead);
    send(500, [&](std::size_t lead) { return std::ranges::count(bad, lead) > 0; });
    EXPECT_EQ(given_up(), bad);
    EXPECT_EQ(went(), 490);
    EXPECT_LE(requests_, 120U);
}

TEST_F(BulkCalls, ThatAreRefusedForEveryLeadEndSoon) {
    for (const std::size_t leads : {1U, 2U, 3U, 4U, 500U}) {
        send(leads, [](std::size_t /*lead*/) { return true; });
        EXPECT_EQ(given_up().size(), leads);
        EXPECT_LE(requests_, 4U) << leads;
    }
}

TEST_F(BulkCalls, WhoseTurnComesLateLeaveTheRestToTheNextLook) {
    in_time_ = 3;
    send(100, [](std::size_t lead) { return lead == 99; });
    EXPECT_EQ(requests_, 4U) << "no more turns are asked for";
    EXPECT_EQ(went(), 50);
    EXPECT_EQ(put_off(), 50);
    EXPECT_TRUE(given_up().empty());
    in_time_ = 0;
    send(100, [](std::size_t /*lead*/) { return false; });
    EXPECT_EQ(put_off(), 100);
}

TEST_F(BulkCalls, ThatFailForAWhileBetweenRefusalsLeaveTheRestToTheNextLook) {
    fails_at_ = 3;
    send(100, [](std::size_t lead) { return lead == 99; });
    EXPECT_EQ(requests_, 3U);
    EXPECT_EQ(went(), 1);
    EXPECT_EQ(given_up().size(), 49U) << "those are tried again, as an attempt";
    EXPECT_EQ(put_off(), 50);
}

}  // namespace
}  // namespace leadsync::daemon
