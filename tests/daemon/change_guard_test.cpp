#include "daemon/change_guard.hpp"

#include <optional>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "tests/simulation/virtual_time.hpp"

namespace leadsync::daemon {
namespace {

/// Answers that want their part of what may still change, on virtual time, which stands still: nobody is helped by
/// waiting.
class ChangeGuardTest : public testing::Test {
protected:
    /// The answer is written once `write()` is called, if it has its share by then.
    void answer(std::int64_t leads) {
        auto task = [](ChangeGuardTest* test, std::int64_t wanted) -> boost::asio::awaitable<void> {
            auto share = co_await test->guard_.reserve(wanted);
            ++test->being_written_;
            co_await test->written_.wait_for(test->time_, std::chrono::hours{1});
            --test->being_written_;
            ++test->done_;
        };
        boost::asio::co_spawn(io_, task(this, leads), boost::asio::detached);
        run();
    }
    void write() {
        written_.set();
        run();
    }
    /// An answer with edits of these leads comes and is written, while no other is. How many leads were left for it.
    std::optional<std::int64_t> bring(const std::vector<sync::InstantlyId>& edited) {
        std::optional<std::int64_t> left;
        auto task = [](ChangeGuard* guard, const std::vector<sync::InstantlyId>* leads,
                       std::optional<std::int64_t>* told) -> boost::asio::awaitable<void> {
            auto share = co_await guard->reserve(static_cast<std::int64_t>(leads->size()));
            *told = share.left();
            share.taken(*leads);
        };
        boost::asio::co_spawn(io_, task(&guard_, &edited, &left), boost::asio::detached);
        run();
        return left;
    }
    void run() {
        io_.restart();
        while (io_.poll_one() > 0) {
        }
    }

    simulation::VirtualTime time_;
    ChangeGuard guard_{time_, {.leads = 150}};
    Signal written_;
    int being_written_ = 0;
    int done_ = 0;
    boost::asio::io_context io_{1};  // goes first, and what waits in it
};

TEST_F(ChangeGuardTest, LetsThroughSideBySideWhatTogetherStaysWithinTheLimit) {
    guard_.begin(1000, 0);
    for (int i = 0; i < 3; ++i) answer(50);
    EXPECT_EQ(being_written_, 3);
    answer(50);
    EXPECT_EQ(being_written_, 3) << "it waits: those before it may leave nothing";
    write();
    EXPECT_EQ(being_written_, 3);
    EXPECT_EQ(done_, 1);
}

TEST_F(ChangeGuardTest, LeavesNobodyWaitingWhenAnAnswerIsWritten) {
    guard_.begin(1000, 0);
    answer(150);
    for (const auto leads : {0, 100, 0, 30, 0, 150, 0}) answer(leads);
    for (int written = 1; written <= 8; ++written) {
        EXPECT_GT(being_written_, 0) << "after " << done_;
        write();
        EXPECT_EQ(done_, written);
    }
}

TEST_F(ChangeGuardTest, HoldsUpNothingWhereNothingWasKnown) {
    guard_.begin(0, 0);
    for (int i = 0; i < 24; ++i) answer(100);
    EXPECT_EQ(being_written_, 24) << "a first backfill is not written page by page";
}

TEST_F(ChangeGuardTest, CountsALeadOnceHoweverOftenItIsEdited) {
    const sync::InstantlyId ada{"ada"};
    const sync::InstantlyId bob{"bob"};
    guard_.begin(1000, 0);
    EXPECT_EQ(bring({ada}), 150);
    EXPECT_EQ(bring({ada}), 149);
    EXPECT_EQ(bring({ada, bob}), 149);
    EXPECT_EQ(bring({}), 148);
    EXPECT_TRUE(guard_.has_let_in(ada));
    EXPECT_FALSE(guard_.has_let_in({"cid"}));
}

TEST_F(ChangeGuardTest, CountsAnewWithEachSweep) {
    const sync::InstantlyId ada{"ada"};
    guard_.begin(1000, 0);
    bring({ada});
    guard_.begin(1000, 0);
    EXPECT_FALSE(guard_.has_let_in(ada));
    EXPECT_EQ(bring({ada}), 150);
    EXPECT_EQ(bring({}), 149);
}

TEST_F(ChangeGuardTest, CountsWhatWasWrittenBeforeARestartByItsNumber) {
    const sync::InstantlyId ada{"ada"};
    guard_.begin(1000, 100);
    EXPECT_EQ(bring({ada}), 50);
    guard_.know(90);
    EXPECT_EQ(bring({}), 49) << "less is known durably than here";
    guard_.know(120);
    EXPECT_EQ(bring({}), 30);
}

TEST_F(ChangeGuardTest, DoesNotCountWhatWasNotWritten) {
    guard_.begin(1000, 0);
    answer(50);
    write();
    ASSERT_EQ(done_, 1);
    EXPECT_EQ(bring({}), 150);
}

TEST_F(ChangeGuardTest, RemembersNoLeadWhereAnyNumberMayChange) {
    const sync::InstantlyId ada{"ada"};
    guard_.begin(0, 0);
    EXPECT_EQ(bring({ada}), std::nullopt);
    EXPECT_FALSE(guard_.has_let_in(ada));
}

}  // namespace
}  // namespace leadsync::daemon
