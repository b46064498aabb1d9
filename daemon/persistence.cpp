#include "daemon/persistence.hpp"

#include <random>

#include <pqxx/pqxx>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

constexpr int attempts_before_shown = 3;

}  // namespace

double draw_jitter() {
    thread_local std::mt19937_64 dice{std::random_device{}()};
    return std::uniform_real_distribution{0.0, 1.0}(dice);
}

sync::Failure failure_of(const std::exception& error) {
    if (const auto* api = dynamic_cast<const instantly::ApiError*>(&error)) return api->failure();
    std::string message = error.what();
    for (auto& c : message)
        if (c == '\n') c = ' ';
    return {.kind = sync::FailureKind::transient, .message = "PostgreSQL: " + message};
}

boost::asio::awaitable<void> Persistence::until_done(std::string what,
                                                     std::function<boost::asio::awaitable<void>()> step) {
    const auto deadline = patience_ ? std::optional{std::chrono::steady_clock::now() + *patience_} : std::nullopt;
    for (int attempt = 1;; ++attempt) {
        std::exception_ptr failed;
        sync::Failure failure;
        try {
            co_await step();
        } catch (const instantly::ApiError& error) {
            failed = std::current_exception();
            failure = error.failure();
        } catch (const pqxx::failure& error) {
            failed = std::current_exception();
            failure = failure_of(error);
        }
        if (!failed) {
            co_await state_.solved(side_);
            co_return;
        }
        const bool hopeless = deadline && failure.kind == sync::FailureKind::workspace;
        if (hopeless || (deadline && std::chrono::steady_clock::now() > *deadline)) std::rethrow_exception(failed);
        const auto wait = std::max(sync::backoff_delay({}, attempt, draw_jitter()),
                                   failure.retry_after.value_or(std::chrono::milliseconds{0}));
        if (failure.rate_limited) pace_.hold(std::max(wait, rate_limit_hold));
        spdlog::warn("workspace {}: {}: {}; attempt {}, next in {} ms", workspace_, what, failure.message, attempt,
                     wait.count());
        if (failure.kind != sync::FailureKind::transient || attempt >= attempts_before_shown)
            co_await state_.problem(side_, failure.message);
        co_await sleep_for(wait);
    }
}

}  // namespace leadsync::daemon
