#include "daemon/workspace_state.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "tests/simulation/model_store.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using Side = WorkspaceState::Side;

class WorkspaceStateTest : public testing::Test {
protected:
    simulation::ModelSurroundings surroundings() {
        simulation::ModelSurroundings result;
        result.now = [this] { return time_.wall(); };
        result.before = [this]() -> boost::asio::awaitable<void> {
            const auto delay = std::exchange(next_delay_, 0ms);
            if (delay > 0ms) co_await time_.sleep_for(delay);
        };
        result.fails = [this] { return std::exchange(next_failure_, simulation::StoreFailure::no); };
        return result;
    }

    void begin(boost::asio::awaitable<void> task) {
        boost::asio::co_spawn(io_, std::move(task), boost::asio::detached);
        run_ready();
    }

    void run_ready() {
        io_.restart();
        while (io_.poll_one() > 0) {
        }
    }

    void let_all_end() {
        while (time_.advance(time_.now() + 1h)) run_ready();
        run_ready();
    }

    std::string shown() const {
        return store_.state().workspace.state + ": " + store_.state().workspace.reason.value_or("-");
    }

    simulation::VirtualTime time_;
    std::chrono::milliseconds next_delay_{0};
    simulation::StoreFailure next_failure_ = simulation::StoreFailure::no;
    simulation::ModelStore store_{surroundings()};
    WorkspaceState state_{store_, "acme"};
    boost::asio::io_context io_{1};
};

TEST_F(WorkspaceStateTest, ASlowStatementDoesNotOverwriteWhatCameAfterIt) {
    next_delay_ = 1s;
    begin(state_.enter("following"));
    begin(state_.problem(Side::writing, "HTTP 403"));
    let_all_end();
    EXPECT_EQ(shown(), "paused: HTTP 403");
}

TEST_F(WorkspaceStateTest, WhatCouldNotBeStoredIsStoredWithTheNextCall) {
    for (const auto failure : {simulation::StoreFailure::before, simulation::StoreFailure::after}) {
        next_failure_ = failure;
        begin(state_.problem(Side::reading, "HTTP 401"));
        begin(state_.enter("following"));
        EXPECT_EQ(shown(), "paused: HTTP 401");
        next_failure_ = failure;
        begin(state_.solved(Side::reading));
        begin(state_.solved(Side::reading));
        EXPECT_EQ(shown(), "following: -");
    }
}

TEST_F(WorkspaceStateTest, TheProblemsOfBothSidesAreShownUntilEachIsSolved) {
    begin(state_.enter("following"));
    begin(state_.problem(Side::reading, "HTTP 500"));
    begin(state_.problem(Side::writing, "HTTP 403"));
    EXPECT_EQ(shown(), "paused: HTTP 500; HTTP 403");
    begin(state_.solved(Side::reading));
    EXPECT_EQ(shown(), "paused: HTTP 403");
    begin(state_.solved(Side::writing));
    EXPECT_EQ(shown(), "following: -");
}

TEST_F(WorkspaceStateTest, AStoppedWorkspaceSaysSoAndWhy) {
    begin(state_.enter(WorkspaceState::stopped));
    begin(state_.problem(Side::reading, "another workspace's key"));
    EXPECT_EQ(shown(), "stopped: another workspace's key");
}

}  // namespace
}  // namespace leadsync::daemon
