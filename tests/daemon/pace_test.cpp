#include "daemon/pace.hpp"

#include <map>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "daemon/late_turn.hpp"
#include "tests/simulation/model_store.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using sync::Lane;
using sync::SteadyTime;

/// Requests that wait for their turn, on virtual time: what is told here is exact.
class PaceTest : public testing::Test {
protected:
    struct Request {
        Lane lane;
        SteadyTime departed;
        std::string failure;
        boost::asio::cancellation_signal cancel;
        std::unique_ptr<instantly::Turn> turn;
    };

    void make(sync::RateLimits limits) { pace_.emplace(time_, limits, nullptr); }
    void make_recorded(sync::RateLimits limits) { pace_.emplace(time_, limits, &store_); }

    /// One request in that lane; it departs `delay` after its turn came (never: it keeps its turn).
    std::shared_ptr<Request> ask(Lane lane, std::optional<std::chrono::milliseconds> delay = 0ms) {
        auto request = std::make_shared<Request>();
        request->lane = lane;
        auto task = [](PaceTest* test, std::shared_ptr<Request> mine,
                       std::optional<std::chrono::milliseconds> after) -> boost::asio::awaitable<void> {
            mine->turn = co_await test->pace_->lane(mine->lane)();
            if (!after) co_return;
            if (*after > 0ms) co_await test->time_.sleep_for(*after);
            EXPECT_TRUE(mine->turn->departs());
            mine->departed = test->time_.now();
            test->departures_.emplace_back(mine->lane, mine->departed);
        };
        boost::asio::co_spawn(
            *io_, task(this, request, delay),
            boost::asio::bind_cancellation_slot(request->cancel.slot(), [request](const std::exception_ptr& error) {
                try {
                    if (error) std::rethrow_exception(error);
                } catch (const std::exception& failed) {
                    request->failure = failed.what();
                }
            }));
        return request;
    }

    /// As by kill -9: what waits goes, and what the Pace knew.
    void die() {
        io_.reset();
        io_ = std::make_unique<boost::asio::io_context>(1);
        pace_.reset();
    }

    void let(std::chrono::milliseconds duration) {
        const auto end = time_.now() + duration;
        for (bool more = true; more;) {
            io_->restart();
            while (io_->poll_one() > 0) {
            }
            more = time_.advance(end);
        }
    }

    /// The most that depart within any window of that length.
    std::size_t most_within(std::chrono::seconds window) const {
        std::size_t most = 0;
        std::size_t first = 0;
        for (std::size_t last = 0; last < departures_.size(); ++last) {
            while (departures_[last].second - departures_[first].second >= window) ++first;
            most = std::max(most, last - first + 1);
        }
        return most;
    }

    static simulation::ModelSurroundings surroundings(simulation::VirtualTime& time, bool& fails) {
        simulation::ModelSurroundings result;
        result.now = [&time] { return time.wall(); };
        result.fails = [&fails] { return fails ? simulation::StoreFailure::before : simulation::StoreFailure::no; };
        return result;
    }

    simulation::VirtualTime time_;
    bool store_fails_ = false;
    simulation::ModelStore store_{surroundings(time_, store_fails_)};
    std::optional<Pace> pace_;
    std::vector<std::pair<Lane, SteadyTime>> departures_;
    std::unique_ptr<boost::asio::io_context> io_ =
        std::make_unique<boost::asio::io_context>(1);  // goes first, and what waits in it
};

TEST_F(PaceTest, WithWorkWaitingItUsesTheBudgetAndNeverMore) {
    for (const double share : {1.0, 0.8}) {
        departures_.clear();
        make({100, 6000, share});
        const auto limit = static_cast<std::size_t>(100 * share);
        for (int i = 0; i < 10'000; ++i) ask(Lane::push);
        let(90s);
        EXPECT_LE(most_within(1s), limit);
        EXPECT_LE(most_within(60s), 60 * limit);
        EXPECT_GE(most_within(60s), 60 * limit * 97 / 100);
        let(120s);
    }
}

TEST_F(PaceTest, ARequestThatIsLateBehindItsTurnBunchesWithNoOther) {
    make({10, 600, 1});
    for (int i = 0; i < 200; ++i) ask(Lane::push, std::chrono::milliseconds{i % 7 == 0 ? 400 : 0});
    let(60s);
    EXPECT_EQ(departures_.size(), 200U);
    EXPECT_LE(most_within(1s), 10U);
}

TEST_F(PaceTest, AnUrgentRequestPassesThoseThatWaitAndTheLastLaneIsNotStarved) {
    make({10, 600, 1});
    for (int i = 0; i < 40; ++i) ask(Lane::rest);
    let(100ms);
    const auto urgent = ask(Lane::safety);
    let(1s);
    EXPECT_LE(urgent->departed - SteadyTime{1h}, 1'030ms) << "the very next slot";
    departures_.clear();
    for (int i = 0; i < 200; ++i) ask(Lane::push);
    let(10s);
    std::map<Lane, int> departed;
    for (const auto& [lane, at] : departures_) ++departed[lane];
    EXPECT_GE(departed[Lane::rest], 9);
    EXPECT_LE(departed[Lane::rest], 20);
    EXPECT_GE(departed[Lane::push], 80);
}

/// What reads for hours must not have spent a window's worth at once when a push falls due.
TEST_F(PaceTest, AFullSpeedBackfillLeavesASlotNearForWhatIsUrgent) {
    for (const auto& limits : {sync::RateLimits{100, 6000, 1}, sync::RateLimits{200, 6000, 1}}) {
        departures_.clear();
        make(limits);
        for (int i = 0; i < 8'000; ++i) ask(Lane::rest);
        let(5s);
        std::chrono::nanoseconds latest{0};
        for (int i = 0; i < 300; ++i) {
            const auto due = time_.now();
            const auto request = ask(i % 3 == 0 ? Lane::safety : Lane::push);
            let(137ms + std::chrono::milliseconds{i % 29});
            latest = std::max<std::chrono::nanoseconds>(latest, request->departed - due);
        }
        EXPECT_LE(latest, 50ms);
        let(20s);
        EXPECT_GE(most_within(60s), 5'820U);
        EXPECT_LE(most_within(60s), 6'000U);
        let(90s);
    }
}

TEST_F(PaceTest, WhoIsCancelledOrNeverLeavesTakesNothingAlong) {
    make({2, 600, 1});
    std::vector<std::shared_ptr<Request>> waiting;
    for (int i = 0; i < 6; ++i) waiting.push_back(ask(Lane::push, std::nullopt));
    let(5s);
    EXPECT_TRUE(waiting[0]->turn && waiting[1]->turn && !waiting[2]->turn) << "two turns are out, nobody has left";
    waiting[2]->cancel.emit(boost::asio::cancellation_type::terminal);  // it leads the line
    waiting[0]->turn.reset();
    let(10ms);
    EXPECT_FALSE(waiting[2]->turn);
    EXPECT_TRUE(waiting[3]->turn) << "a turn that is given back is the next one's";
    EXPECT_FALSE(waiting[1]->turn->departs()) << "it came five seconds ago, and is void";
    waiting[1]->turn.reset();
    EXPECT_TRUE(waiting[3]->turn->departs());
    let(2s);
    EXPECT_TRUE(waiting[4]->turn && waiting[5]->turn);
}

/// Slow connections make turns void, and whoever holds one waits for another before letting go of it.
TEST_F(PaceTest, ATurnThatIsVoidIsFreeForTheNext) {
    make({1, 60, 1});
    const auto slow = ask(Lane::rest, std::nullopt);
    let(5s);
    EXPECT_FALSE(slow->turn->departs());
    const auto next = ask(Lane::rest);
    let(2s);
    EXPECT_NE(next->departed, SteadyTime{}) << "nobody has let go of the first";
    EXPECT_FALSE(slow->turn->departs()) << "it is somebody else's by now";
}

TEST_F(PaceTest, ABudgetThatRecoversNeedsNoDeparture) {
    make({2, 600, 1});
    const auto slow = ask(Lane::rest, std::nullopt);
    let(1s);
    pace_->refused(1s);
    const auto next = ask(Lane::rest);
    let(5s);
    EXPECT_EQ(next->departed, SteadyTime{}) << "half of two is one, and that is out";
    let(60s);
    EXPECT_NE(next->departed, SteadyTime{});
}

TEST_F(PaceTest, AClockThatIsSetBackStopsNothing) {
    make_recorded({5, 300, 1});
    ask(Lane::push);
    let(2s);
    time_.set_wall(-1h);
    const auto first = ask(Lane::push);
    let(2s);
    EXPECT_NE(first->departed, SteadyTime{});
    time_.set_wall(-1s);  // in the midst of what is known
    for (int i = 0; i < 20; ++i) ask(Lane::push);
    let(10s);
    EXPECT_EQ(departures_.size(), 22U);
    EXPECT_LE(most_within(1s), 5U);
}

TEST_F(PaceTest, ARefusalHoldsEverythingAndThenLessLeaves) {
    make({100, 6000, 1});
    for (int i = 0; i < 500; ++i) ask(Lane::safety);
    let(0ms);
    EXPECT_EQ(departures_.size(), 100U);
    pace_->refused(3s);
    let(2'900ms);
    EXPECT_EQ(departures_.size(), 100U);
    let(200ms);
    EXPECT_GE(departures_.size(), 150U);
    EXPECT_LE(departures_.size(), 160U);
    let(60s);
    EXPECT_EQ(departures_.size(), 500U);
}

TEST_F(PaceTest, WhatAKilledProcessLetThroughCountsForTheNext) {
    make_recorded({10, 30, 1});
    for (int i = 0; i < 100; ++i) ask(Lane::safety);
    let(2'500ms);
    EXPECT_EQ(departures_.size(), 30U);
    die();
    make_recorded({10, 30, 1});
    ask(Lane::push);
    let(55s);
    EXPECT_EQ(departures_.size(), 30U) << "the minute is spent";
    let(10s);
    EXPECT_EQ(departures_.size(), 31U);
}

TEST_F(PaceTest, WhatAnotherProcessSentWhileTheLocksWereLostCounts) {
    make_recorded({10, 30, 1});
    ask(Lane::push);
    let(100ms);
    pace_->locks_lost();
    auto drive = [&]() -> boost::asio::awaitable<void> {
        const std::vector<store::SpentSecond> spent{{std::chrono::floor<std::chrono::seconds>(time_.wall()), 30}};
        co_await store_.run([&](store::Transaction& transaction) { transaction.progress.record_spent(spent); });
    };
    boost::asio::co_spawn(*io_, drive(), boost::asio::detached);
    let(1s);
    ask(Lane::push);
    let(54s);
    EXPECT_EQ(departures_.size(), 1U) << "the minute is spent";
    let(10s);
    EXPECT_EQ(departures_.size(), 2U);
}

TEST_F(PaceTest, WhatWasSentCountsWhereTheServerHasForgottenIt) {
    make_recorded({10, 30, 1});
    for (int i = 0; i < 30; ++i) ask(Lane::safety);
    let(4s);
    EXPECT_EQ(departures_.size(), 30U);
    auto fail_over = [&]() -> boost::asio::awaitable<void> {
        const std::vector<store::SpentSecond> nothing;
        co_await store_.run([&](store::Transaction& transaction) { transaction.progress.record_spent(nothing); });
    };
    boost::asio::co_spawn(*io_, fail_over(), boost::asio::detached);
    let(0ms);
    pace_->locks_lost();
    ask(Lane::push);
    let(50s);
    EXPECT_EQ(departures_.size(), 30U) << "the minute is spent";
    let(20s);
    EXPECT_EQ(departures_.size(), 31U);
}

TEST_F(PaceTest, WhatWasSentBeforeTheLocksWereLostCountsOnce) {
    make_recorded({10, 30, 1});
    for (int i = 0; i < 15; ++i) ask(Lane::push);
    let(2s);
    pace_->locks_lost();
    for (int i = 0; i < 15; ++i) ask(Lane::push);
    let(5s);
    EXPECT_GE(departures_.size(), 19U) << "at the most a second's requests are in doubt";
    let(50s);
    EXPECT_LE(departures_.size(), 30U);
    let(60s);
    EXPECT_EQ(departures_.size(), 30U);
    EXPECT_LE(most_within(60s), 30U);
}

TEST_F(PaceTest, AProcessThatEndsInOrderLeavesNoDoubtBehind) {
    make_recorded({10, 30, 1});
    for (int i = 0; i < 4; ++i) ask(Lane::push);
    let(100ms);
    auto leave = [&]() -> boost::asio::awaitable<void> {
        co_await store_.run(
            [&](store::Transaction& transaction) { transaction.progress.record_spent(pace_->spent().value()); });
    };
    boost::asio::co_spawn(*io_, leave(), boost::asio::detached);
    let(0ms);
    die();
    make_recorded({10, 30, 1});
    for (int i = 0; i < 6; ++i) ask(Lane::push);
    let(100ms);
    EXPECT_EQ(departures_.size(), 10U) << "the rest of the second is free";
}

TEST_F(PaceTest, NothingIsSentThatCannotBeRecorded) {
    make_recorded({10, 600, 1});
    store_fails_ = true;
    const auto refused = ask(Lane::push);
    let(1s);
    EXPECT_NE(refused->failure.find("nothing is sent"), std::string::npos) << refused->failure;
    EXPECT_FALSE(refused->turn);
    store_fails_ = false;
    const auto sent = ask(Lane::push);
    let(1s);
    EXPECT_TRUE(sent->turn);
}

TEST_F(PaceTest, AfterARestTheFirstRequestsLeaveBeforeTheirSecondIsRecorded) {
    make_recorded({100, 6000, 1});
    ask(Lane::push);
    let(5s);
    store_fails_ = true;
    std::vector<std::shared_ptr<Request>> requests;
    for (int i = 0; i < 51; ++i) requests.push_back(ask(Lane::safety));
    let(0ms);
    EXPECT_EQ(departures_.size(), 51U) << "the reserve is half a second's requests";
    EXPECT_NE(requests.back()->failure.find("nothing is sent"), std::string::npos);

    die();
    store_fails_ = false;
    make_recorded({100, 6000, 1});
    for (int i = 0; i < 200; ++i) ask(Lane::safety);
    let(3s);
    EXPECT_LE(most_within(1s), 100U) << "what left on the reserve counts for the next process";
}

TEST_F(PaceTest, TheReserveIsRenewedBehindWhatLeavesOnIt) {
    make_recorded({100, 6000, 1});
    boost::asio::co_spawn(*io_, pace_->record_behind(), boost::asio::detached);
    for (int rest = 0; rest < 5; ++rest) {
        for (int i = 0; i < 10; ++i) ask(Lane::safety);
        let(10s);
    }
    EXPECT_EQ(departures_.size(), 50U);
    store_fails_ = true;
    for (int i = 0; i < 10; ++i) ask(Lane::safety);
    let(0ms);
    EXPECT_EQ(departures_.size(), 60U) << "it is whole again";
    int recorded = 0;
    for (const auto& second : store_.state().workspace.spent) recorded += second.requests;
    EXPECT_GE(recorded, 60);
}

TEST_F(PaceTest, ASecondsRequestsAreOneWrite) {
    make_recorded({100, 6000, 1});
    for (int i = 0; i < 250; ++i) ask(Lane::push);
    let(4s);
    EXPECT_EQ(departures_.size(), 250U);
    const auto& spent = store_.state().workspace.spent;
    ASSERT_FALSE(spent.empty());
    int recorded = 0;
    for (const auto& second : spent) recorded += second.requests;
    EXPECT_GE(recorded, 250);
    EXPECT_LE(recorded, 250 + 2 * 100) << "no more than the last second's is recorded in vain";
}

/// Or a budget of which every turn comes late would be spent on looks alone.
TEST(LateTurnsTest, AreTooManyAfterAFewInARow) {
    LateTurns turns;
    for (int i = 0; i < 3; ++i) turns.count(true, false);
    EXPECT_FALSE(turns.are_too_many());
    turns.count(true, true);
    for (int i = 0; i < 3; ++i) turns.count(true, false);
    EXPECT_FALSE(turns.are_too_many()) << "one of a batch came in time";
    turns.count(false, false);
    EXPECT_FALSE(turns.are_too_many()) << "none was asked for";
    turns.count(true, false);
    EXPECT_TRUE(turns.are_too_many());
    turns.count(false, true);
    EXPECT_FALSE(turns.are_too_many());
}

/// A look keeps for a second here, and the turn comes after three.
TEST_F(PaceTest, ATurnThatCameTooLateIsGivenBack) {
    make({1, 20, 1});
    for (int i = 0; i < 20; ++i) ask(Lane::push);
    let(25s);
    bool was_late = false;
    const auto seen_at = time_.now();
    const auto gate = only_while([&] { return time_.now() - seen_at <= 1s; }, pace_->lane(Lane::push));
    auto task = [](const instantly::Gate& its_gate, bool& late) -> boost::asio::awaitable<void> {
        try {
            const auto turn = co_await its_gate();
        } catch (const TurnCameLate&) {
            late = true;
        }
    };
    boost::asio::co_spawn(*io_, task(gate, was_late), boost::asio::detached);
    let(60s);
    EXPECT_TRUE(was_late);
    const auto next = ask(Lane::push);
    let(0ms);
    EXPECT_NE(next->departed, SteadyTime{}) << "it was not spent";
}

}  // namespace
}  // namespace leadsync::daemon
