#include "daemon/lease_returns.hpp"

#include <algorithm>
#include <iterator>

#include <spdlog/spdlog.h>

namespace leadsync::daemon {

using namespace std::chrono_literals;

namespace {

constexpr sync::Backoff store_backoff{500ms, 10s};

}  // namespace

void LeaseReturns::add(Claims claims) {
    if (claims.empty()) return;
    std::ranges::move(claims, std::back_inserter(waiting_));
    added_.set();
}

void LeaseReturns::stop() {
    stopping_ = true;
    added_.set();
}

boost::asio::awaitable<void> LeaseReturns::run() {
    while (!stopping_) {
        co_await return_free();
        auto wait = std::chrono::milliseconds{1min};
        if (failures_ > 0)
            wait = sync::backoff_delay(store_backoff, failures_, context_.dice());
        else if (!waiting_.empty())
            wait = context_.timing.busy;
        if (!stopping_) co_await added_.wait_for(context_.clock, wait);
    }
}

boost::asio::awaitable<void> LeaseReturns::return_free() {
    auto claims = std::exchange(waiting_, {});
    if (claims.empty()) co_return;
    try {
        auto left = co_await context_.store.run([&](store::Transaction& transaction) {
            return transaction.queue.give_back(claims, context_.timing.busy);
        });
        claims = std::move(left);
        failures_ = 0;
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: {}", context_.workspace, error.what());
        ++failures_;
    }
    std::ranges::move(claims, std::back_inserter(waiting_));
}

}  // namespace leadsync::daemon
