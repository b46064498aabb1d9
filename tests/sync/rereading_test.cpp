#include "sync/rereading.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sync/freshness.hpp"

namespace leadsync::sync {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

const SteadyTime begin{1000h};

std::string id(int number) { return fmt::format("{:08}", number); }

/// A set of leads that is read again and again, each batch answered after `answer`; what really became of each lead.
class World {
public:
    World(int leads, milliseconds bound, milliseconds known_ago, std::size_t per_batch = 100)
        : rereading_{bound, begin - known_ago}, per_batch_{per_batch} {
        for (int i = 0; i < leads; ++i) read_at_[id(i)] = begin - known_ago;
    }

    /// Reads round after round until `end`, one batch at a time; looks at the oldest lead before every answer.
    void run_until(SteadyTime end, milliseconds answer = 200ms) {
        while (now_ < end) {
            rereading_.begin_round(now_, (read_at_.size() + per_batch_ - 1) / per_batch_);
            std::string cursor;
            for (;;) {
                now_ = std::max(now_, rereading_.due());
                std::vector<std::string> batch;
                for (auto lead = read_at_.upper_bound(cursor); lead != read_at_.end() && batch.size() < per_batch_;
                     ++lead)
                    batch.push_back(lead->first);
                if (batch.empty()) break;
                cursor = batch.back();
                const auto asked_at = now_;
                const auto number = rereading_.ask(now_, cursor);
                now_ += answer;
                look();
                if (answered) answered();
                if (refused == cursor) continue;
                for (const auto& lead : batch)
                    if (read_at_.contains(lead)) read_at_[lead] = asked_at;
                rereading_.was_read(number);
                asked_.push_back(asked_at);
            }
            rereading_.end_round(now_);
        }
    }
    void join(int lead) { read_at_[id(lead)] = now_; }
    void leave(int lead) { read_at_.erase(id(lead)); }

    /// The oldest lead, as it is and as it is told.
    milliseconds oldest() const {
        auto oldest = now_;
        for (const auto& [lead, at] : read_at_) oldest = std::min(oldest, at);
        return std::chrono::round<milliseconds>(now_ - oldest);
    }
    milliseconds told() const { return std::chrono::round<milliseconds>(now_ - rereading_.oldest(now_)); }
    milliseconds worst() const { return worst_; }
    const std::vector<SteadyTime>& asked() const { return asked_; }
    SteadyTime now() const { return now_; }

    std::function<void()> answered;  ///< called with each answer
    std::string refused;             ///< a batch that ends with this lead is never answered

private:
    void look() {
        EXPECT_GE(told(), oldest()) << "never told to be younger than they are";
        worst_ = std::max(worst_, oldest());
    }

    Rereading rereading_;
    std::size_t per_batch_;
    std::map<std::string, SteadyTime> read_at_;
    SteadyTime now_ = begin;
    milliseconds worst_{0};
    std::vector<SteadyTime> asked_;
};

TEST(Rereading, KeepsEveryLeadWithinTheBound) {
    World world{12'000, 2min, 0min};
    world.run_until(begin + 1h);
    EXPECT_LE(world.worst(), 2min);
    EXPECT_GE(world.worst(), 100s) << "and reads no more often than it takes";
    const auto requests = static_cast<double>(world.asked().size());
    EXPECT_NEAR(requests / 3600, 120 / 108.0, 0.05);
}

TEST(Rereading, SpreadsARoundEvenly) {
    World world{3'000, 2min, 0min};
    world.run_until(begin + 30min);
    const auto& asked = world.asked();
    for (std::size_t i = 100; i < asked.size(); ++i)
        EXPECT_LE(asked[i] - asked[i - 1], 108s / 30 + 1s) << "request " << i;
}

TEST(Rereading, CatchesUpAtOnceWithWhatIsTooOldAlready) {
    World world{3'000, 2min, 1h};
    world.run_until(begin + 1s);  // one round
    EXPECT_LE(world.oldest(), 10s);
    world.run_until(begin + 10min);
    EXPECT_LE(world.oldest(), 2min);
}

TEST(Rereading, TellsHowOldTheOldestIsWhenItCantKeepUp) {
    World world{12'000, 10s, 0min};
    world.run_until(begin + 5min);
    EXPECT_NEAR(static_cast<double>(world.told().count()), 120 * 200, 1000) << "a round of 120 requests takes 24 s";
    EXPECT_GE(world.told(), world.oldest());
}

TEST(Rereading, GoesOnBeingRightWhileLeadsComeAndGo) {
    World world{1'000, 1min, 0min, 10};
    int answers = 0;
    world.answered = [&] {
        ++answers;
        world.leave(answers * 31 % 1'000);
        world.join(1'000 + answers * 13 % 800);
        world.join(answers * 5 % 1'000);
    };
    world.run_until(begin + 1h);
    EXPECT_LE(world.worst(), 1min);
}

TEST(Rereading, ABatchThatIsNeverReadStaysOldAndIsTold) {
    World world{1'000, 1min, 0min};
    world.refused = id(499);
    world.run_until(begin + 10min);
    EXPECT_GE(world.told(), 9min);
    EXPECT_GE(world.asked().size(), 9U * 9U) << "the others go on";
}

TEST(Rereading, OneLeadIsReadOnceInABound) {
    World world{1, 2min, 0min};
    world.run_until(begin + 1h);
    EXPECT_LE(world.worst(), 2min);
    EXPECT_LE(world.asked().size(), 36U);
}

TEST(Rereading, NothingToReadTakesNoRequest) {
    World world{0, 2min, 0min};
    world.run_until(begin + 1h);
    EXPECT_TRUE(world.asked().empty());
    EXPECT_LE(world.told(), 2min);
}

TEST(Freshness, CountsTheRequestsThatTheBoundsTake) {
    const auto demand = demand_of({15s, 2min, 1h}, 200'000, 1'000'000);
    EXPECT_NEAR(demand.active, 16.7, 0.1);
    EXPECT_NEAR(demand.rest, 2.8, 0.1);
    EXPECT_NEAR(demand.all(), 19.5, 0.1);
    EXPECT_DOUBLE_EQ(budget_of({.per_second = 100, .per_minute = 6000, .share = 0.8}), 80);
    EXPECT_DOUBLE_EQ(budget_of({.per_second = 100, .per_minute = 600, .share = 0.5}), 5);
}

TEST(Freshness, KnowsWhenSomethingLastHappened) {
    Content lead;
    EXPECT_EQ(last_activity(lead), std::nullopt);
    lead[Field::timestamp_created] = "2026-11-01T00:00:00.000Z";
    EXPECT_EQ(last_activity(lead), std::nullopt) << "to be there is not to be busy";
    lead[Field::timestamp_last_contact] = "2026-11-02T00:00:00.000Z";
    lead[Field::timestamp_last_reply] = "2026-11-03T00:00:00.000Z";
    lead[Field::timestamp_last_open] = "2026-11-02T12:00:00.000Z";
    EXPECT_EQ(last_activity(lead), instant_of("2026-11-03T00:00:00.000Z"));
}

TEST(Freshness, AnIdTellsWhenItWasMade) {
    const Instant at{std::chrono::sys_days{std::chrono::year{2026} / 11 / 26} + 3h + 17ms};
    EXPECT_EQ(made_at({first_id_at(at)}), at);
}

}  // namespace
}  // namespace leadsync::sync
