#include "daemon/change_guard.hpp"

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

}  // namespace
}  // namespace leadsync::daemon
