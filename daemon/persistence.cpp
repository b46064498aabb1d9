#include "daemon/persistence.hpp"

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/store/store.hpp"

namespace leadsync::daemon {
namespace {

constexpr int attempts_before_shown = 3;
/// A wait of this length is shown from the first attempt on.
constexpr auto long_wait = std::chrono::seconds{10};

}  // namespace

std::optional<sync::Failure> failure_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const instantly::ApiError& refused) {
        return refused.failure();
    } catch (const store::StoreError& failed) {
        return sync::Failure{.kind = sync::FailureKind::transient, .message = failed.what()};
    } catch (...) {
        return std::nullopt;
    }
}

boost::asio::awaitable<void> Persistence::until_done(std::string what,
                                                     std::function<boost::asio::awaitable<void>()> step) {
    struct Shown {
        ~Shown() { hide(); }
        void hide() {
            if (std::exchange(is_shown, false)) --*all;
        }
        std::shared_ptr<int> all;
        bool is_shown = false;
    };
    Shown shown{shown_};
    const auto deadline = patience_ ? std::optional{clock_.now() + *patience_} : std::nullopt;
    for (int attempt = 1;; ++attempt) {
        std::exception_ptr failed;
        try {
            co_await step();
        } catch (...) {
            failed = std::current_exception();
        }
        if (!failed) {
            shown.hide();
            if (*shown_ == 0) co_await state_.solved(side_);
            co_return;
        }
        const auto failure = failure_of(failed);
        if (!failure) std::rethrow_exception(failed);
        const auto wait = sync::retry_delay(*failure, attempt, dice_(), backoff_);
        const bool hopeless = failure->kind == sync::FailureKind::workspace;
        if (deadline && (hopeless || clock_.now() + wait > *deadline)) std::rethrow_exception(failed);
        spdlog::warn("workspace {}: {}: {}; attempt {}, next in {} ms", workspace_, what, failure->message, attempt,
                     wait.count());
        // A rate limit holds all requests, not this step: WorkspaceSync tells of it, and until when.
        const bool waits_long = wait >= long_wait && !failure->rate_limited;
        if (failure->kind != sync::FailureKind::transient || attempt >= attempts_before_shown || waits_long) {
            if (!std::exchange(shown.is_shown, true)) ++*shown_;
            co_await state_.problem(side_, failure->message);
        }
        co_await clock_.sleep_for(wait);
    }
}

}  // namespace leadsync::daemon
