#include "daemon/clock.hpp"

#include <random>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace leadsync::daemon {

namespace asio = boost::asio;

asio::awaitable<void> Clock::sleep_until(sync::SteadyTime at) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    Alarm alarm{executor, *this, at};
    co_await alarm.wait();
}

asio::awaitable<void> Clock::sleep_for(std::chrono::milliseconds duration) { co_await sleep_until(now() + duration); }

sync::Instant SystemClock::wall() const {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

Alarm::Alarm(const asio::any_io_executor& executor, Clock& clock, sync::SteadyTime at)
    : clock_{clock}, timer_{executor} {
    clock_.arm(timer_, at);
}

asio::awaitable<void> Alarm::wait() {
    // Rung, expired or cancelled: the coroutine's own state tells the last from the others.
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error{asio::error::operation_aborted};
}

Dice random_dice() {
    return [engine = std::mt19937_64{std::random_device{}()}]() mutable {
        return std::uniform_real_distribution{0.0, 1.0}(engine);
    };
}

}  // namespace leadsync::daemon
