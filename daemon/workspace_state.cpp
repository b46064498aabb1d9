#include "daemon/workspace_state.hpp"

#include <boost/scope_exit.hpp>
#include <spdlog/spdlog.h>

namespace leadsync::daemon {

using boost::asio::awaitable;

awaitable<void> WorkspaceState::enter(std::string phase) {
    phase_ = std::move(phase);
    co_await report();
}

awaitable<void> WorkspaceState::problem(Side side, std::string reason) {
    problems_.at(static_cast<std::size_t>(side)) = std::move(reason);
    co_await report();
}

awaitable<void> WorkspaceState::solved(Side side) {
    problems_.at(static_cast<std::size_t>(side)).reset();
    co_await report();
}

WorkspaceState::Shown WorkspaceState::shown() const {
    std::optional<std::string> reason;
    for (const auto& problem : problems_)
        if (problem) reason = reason ? *reason + "; " + *problem : *problem;
    const auto keeps_from = [&](Side side) { return problems_.at(static_cast<std::size_t>(side)).has_value(); };
    const bool pauses =
        phase_ != stopped && (keeps_from(Side::reading) || keeps_from(Side::writing) || keeps_from(Side::requests));
    return {pauses ? "paused" : phase_, reason};
}

/// One at a time: two transactions could overtake each other, and the older state would stay.
awaitable<void> WorkspaceState::report() {
    if (storing_) co_return;  // whoever is at it goes on until the last word is stored
    storing_ = true;
    BOOST_SCOPE_EXIT_ALL(this) { storing_ = false; };
    while (stored_ != shown()) {
        const auto now = shown();
        stored_.reset();
        try {
            co_await store_.run(
                [&](store::Transaction& transaction) { transaction.progress.set_state(now.state, now.reason); });
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: its state ({}) could not be stored: {}", workspace_, now.state, error.what());
            co_return;
        }
        stored_ = now;
    }
}

}  // namespace leadsync::daemon
