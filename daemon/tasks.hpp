#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "daemon/clock.hpp"

namespace leadsync::daemon {

namespace asio = boost::asio;

namespace detail {

/// The tasks as operations of a parallel group on the caller's executor.
inline auto start_all(const asio::any_io_executor& executor, std::vector<asio::awaitable<void>> tasks) {
    auto start = [&executor](asio::awaitable<void> task) {
        return asio::co_spawn(executor, std::move(task), asio::deferred);
    };
    std::vector<decltype(start(std::declval<asio::awaitable<void>>()))> started;
    started.reserve(tasks.size());
    for (auto& task : tasks) started.push_back(start(std::move(task)));
    return asio::experimental::make_parallel_group(std::move(started));
}

}  // namespace detail

/// Runs the tasks side by side. When the first ends, the rest are cancelled and awaited, and its exception, if any,
/// is rethrown. (Asio's `||` waits for a success: a task that throws is lost in it.)
inline asio::awaitable<void> until_first_ends(std::vector<asio::awaitable<void>> tasks) {
    auto group = detail::start_all(co_await asio::this_coro::executor, std::move(tasks));
    auto [order, errors] = co_await group.async_wait(asio::experimental::wait_for_one(), asio::use_awaitable);
    if (auto error = errors[order.front()]) std::rethrow_exception(error);
}

/// Runs the tasks side by side until all have ended; when one throws, the rest are cancelled and awaited, and its
/// exception is rethrown.
inline asio::awaitable<void> all(std::vector<asio::awaitable<void>> tasks) {
    if (tasks.empty()) co_return;
    auto group = detail::start_all(co_await asio::this_coro::executor, std::move(tasks));
    auto [order, errors] = co_await group.async_wait(asio::experimental::wait_for_one_error(), asio::use_awaitable);
    for (const auto index : order)
        if (errors[index]) std::rethrow_exception(errors[index]);
}

/// Runs `step(item)` for every item, at most `width` at once.
template <class Item, class Step>
asio::awaitable<void> for_each_of(std::vector<Item>& items, std::size_t width, Step& step) {
    std::size_t next = 0;
    auto worker = [&]() -> asio::awaitable<void> {
        while (next < items.size()) {
            auto& item = items[next++];
            co_await step(item);
        }
    };
    std::vector<asio::awaitable<void>> workers;
    for (std::size_t i = 0; i < std::min(width, items.size()); ++i) workers.push_back(worker());
    co_await all(std::move(workers));
}

/// Something happened: wakes one of those who wait, and is remembered when nobody does. On one thread.
class Signal {
public:
    void set() {
        if (waiting_.empty()) {
            is_set_ = true;
            return;
        }
        auto* first = waiting_.front();
        waiting_.pop_front();
        first->is_rung = true;
        first->alarm.ring();
    }

    /// Returns when set, at the latest after `longest`; takes the signal. Whether it was set.
    asio::awaitable<bool> wait_for(Clock& clock, std::chrono::milliseconds longest) {
        if (std::exchange(is_set_, false)) co_return true;
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        Waiting waiting{*this, executor, clock, clock.now() + longest};
        co_await waiting.alarm.wait();
        co_return waiting.is_rung;
    }

private:
    struct Waiting {
        Waiting(Signal& owner, const asio::any_io_executor& executor, Clock& clock, sync::SteadyTime at)
            : signal{owner}, alarm{executor, clock, at} {
            signal.waiting_.push_back(this);
        }
        ~Waiting() { std::erase(signal.waiting_, this); }
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

        Signal& signal;
        Alarm alarm;
        bool is_rung = false;
    };

    std::deque<Waiting*> waiting_;
    bool is_set_ = false;
};

/// One at a time. On one thread.
class AsyncMutex {
public:
    class Held {
    public:
        explicit Held(AsyncMutex& mutex) : mutex_{&mutex} { mutex_->is_taken_ = true; }
        Held(Held&& other) noexcept : mutex_{std::exchange(other.mutex_, nullptr)} {}
        Held(const Held&) = delete;
        Held& operator=(const Held&) = delete;
        Held& operator=(Held&&) = delete;
        ~Held() {
            if (!mutex_) return;
            mutex_->is_taken_ = false;
            mutex_->freed_.set();
        }

    private:
        AsyncMutex* mutex_;
    };

    asio::awaitable<Held> lock(Clock& clock) {
        // Whoever leaves rings; this is in case the one who was rung has been cancelled.
        while (is_taken_) co_await freed_.wait_for(clock, std::chrono::minutes{1});
        co_return Held{*this};
    }

private:
    bool is_taken_ = false;
    Signal freed_;
};

}  // namespace leadsync::daemon
