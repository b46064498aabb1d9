#include "tests/simulation/model_store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

// What the model offers beyond the contract of all stores (tests/connectors/store_contract.cpp): the simulation's
// grip.

namespace leadsync::simulation {
namespace {

class ModelStoreGrip : public testing::Test {
protected:
    void enqueue() {
        const std::vector<sync::LeadId> ids{{"aaaaaaaa-0000-4000-8000-000000000001"}};
        boost::asio::io_context io;
        auto outcome = boost::asio::co_spawn(
            io, model_.run([&](store::Transaction& transaction) { transaction.queue.enqueue(ids); }),
            boost::asio::use_future);
        io.run();
        outcome.get();
    }
    [[nodiscard]] bool is_queued() const { return !model_.state().queue.empty(); }

    static boost::asio::awaitable<void> crash() {
        throw std::runtime_error{"crash"};
        co_return;
    }
    std::function<boost::asio::awaitable<void>()> before_;
    std::function<boost::asio::awaitable<void>()> after_;
    StoreFailure failure_ = StoreFailure::no;
    ModelStore model_{{.now = [] { return Instant{}; },
                       .new_id = [] { return sync::LeadId{"99999999-0000-4000-8000-000000000001"}; },
                       .before = [this] { return before_ ? before_() : nothing(); },
                       .after = [this] { return after_ ? after_() : nothing(); },
                       .fails = [this] { return failure_; }}};

private:
    static boost::asio::awaitable<void> nothing() { co_return; }
};

TEST_F(ModelStoreGrip, CrashesBeforeATransactionWithoutATrace) {
    before_ = [] { return crash(); };
    EXPECT_THROW(enqueue(), std::runtime_error);
    EXPECT_FALSE(is_queued());
}

TEST_F(ModelStoreGrip, CrashesAfterTheCommitWithoutTellingTheCaller) {
    after_ = [] { return crash(); };
    EXPECT_THROW(enqueue(), std::runtime_error);
    EXPECT_TRUE(is_queued());
}

TEST_F(ModelStoreGrip, FailsBeforeATransaction) {
    failure_ = StoreFailure::before;
    EXPECT_THROW(enqueue(), store::StoreError);
    EXPECT_FALSE(is_queued());
}

TEST_F(ModelStoreGrip, LeavesTheCallerInDoubt) {
    failure_ = StoreFailure::after;
    EXPECT_THROW(enqueue(), store::StoreError);
    EXPECT_TRUE(is_queued());
}

}  // namespace
}  // namespace leadsync::simulation
