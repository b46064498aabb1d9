#include "daemon/persistence.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "connectors/instantly/api_error.hpp"
#include "tests/simulation/model_store.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using sync::FailureKind;

/// A step that fails whenever it is taken, until it is mended, on virtual time and with dice that ask for no wait.
class PersistenceTest : public testing::Test {
protected:
    void begin(const sync::Failure& failure, std::optional<std::chrono::seconds> patience = std::nullopt) {
        failure_ = failure;
        persistence_.emplace(
            "acme", time_, [] { return 0.0; }, state_, WorkspaceState::Side::reading, patience,
            sync::Backoff{500ms, 1min});
        auto step = [this]() -> boost::asio::awaitable<void> {
            ++taken_;
            if (failure_) throw instantly::ApiError{*failure_};
            co_return;
        };
        boost::asio::co_spawn(io_, state_.enter("following"), boost::asio::detached);
        boost::asio::co_spawn(io_, persistence_->until_done("a step", step),
                              [this](const std::exception_ptr& error) { has_given_up_ = error != nullptr; });
        let(0ms);
    }

    void let(std::chrono::milliseconds duration) {
        const auto end = time_.now() + duration;
        for (bool more = true; more;) {
            io_.restart();
            while (io_.poll_one() > 0) {
            }
            more = time_.advance(end);
        }
    }

    std::string shown() const {
        return store_.state().workspace.state + ": " + store_.state().workspace.reason.value_or("-");
    }

    simulation::ModelSurroundings surroundings() {
        simulation::ModelSurroundings result;
        result.now = [this] { return time_.wall(); };
        return result;
    }

    simulation::VirtualTime time_;
    simulation::ModelStore store_{surroundings()};
    WorkspaceState state_{store_, "acme"};
    std::optional<Persistence> persistence_;
    std::optional<sync::Failure> failure_;
    int taken_ = 0;
    bool has_given_up_ = false;
    boost::asio::io_context io_{1};  // goes first, and what waits in it
};

/// A proxy's maintenance page asks for hours.
TEST_F(PersistenceTest, AFailureThatIsNoRateLimitIsNotWaitedOutForAsLongAsItAsks) {
    begin({.kind = FailureKind::transient, .message = "GET /leads: 503", .retry_after = 24h});
    let(150s);
    EXPECT_EQ(taken_, 3) << "a minute is the longest backoff";
}

TEST_F(PersistenceTest, ARateLimitIs) {
    begin({.kind = FailureKind::transient, .message = "429", .retry_after = 24h, .rate_limited = true});
    let(24h - 1s);
    EXPECT_EQ(taken_, 1);
    EXPECT_EQ(shown(), "following: -") << "it is not this step's: WorkspaceSync tells of it";
    let(1s);
    EXPECT_EQ(taken_, 2);
}

TEST_F(PersistenceTest, ALongWaitIsToldOfAtOnce) {
    begin({.kind = FailureKind::transient, .message = "GET /leads: 503", .retry_after = 10s});
    EXPECT_EQ(shown(), "paused: GET /leads: 503");
    failure_.reset();
    let(10s);
    EXPECT_EQ(taken_, 2);
    EXPECT_EQ(shown(), "following: -");
}

TEST_F(PersistenceTest, AShortWaitIsToldOfTheThirdTime) {
    begin({.kind = FailureKind::transient, .message = "GET /leads: 503", .retry_after = 9s});
    let(17s);
    EXPECT_EQ(taken_, 2);
    EXPECT_EQ(shown(), "following: -");
    let(1s);
    EXPECT_EQ(shown(), "paused: GET /leads: 503");
}

TEST_F(PersistenceTest, AWaitThatWouldOutlastThePatienceEndsIt) {
    begin({.kind = FailureKind::transient, .message = "GET /leads: 503", .retry_after = 24h}, 150s);
    let(119s);
    EXPECT_EQ(taken_, 2);
    EXPECT_FALSE(has_given_up_);
    let(1s);
    EXPECT_EQ(taken_, 3);
    EXPECT_TRUE(has_given_up_) << "with half a minute left, and a minute to wait";
}

TEST_F(PersistenceTest, ARateLimitThatWouldOutlastThePatienceEndsItAtOnce) {
    begin({.kind = FailureKind::transient, .message = "429", .retry_after = 1h, .rate_limited = true}, 15min);
    EXPECT_EQ(taken_, 1);
    EXPECT_TRUE(has_given_up_);
}

}  // namespace
}  // namespace leadsync::daemon
