#include "daemon/workspace_state.hpp"

#include <spdlog/spdlog.h>
namespace leadsync::daemon {

using boost::asio::awaitable;

awaitable<void> WorkspaceState::enter(std::string phase) {
    if (phase == phase_) co_return;
    phase_ = std::move(phase);
    co_await report();
}

awaitable<void> WorkspaceState::problem(Side side, std::string reason) {
    auto& slot = problems_.at(static_cast<std::size_t>(side));
    if (slot == reason) co_return;
    slot = std::move(reason);
    co_await report();
}

awaitable<void> WorkspaceState::solved(Side side) {
    auto& slot = problems_.at(static_cast<std::size_t>(side));
    if (!slot) co_return;
    slot.reset();
    co_await report();
}

awaitable<void> WorkspaceState::report() {
    std::optional<std::string> reason;
    for (const auto& problem : problems_)
        if (problem) reason = reason ? *reason + "; " + *problem : *problem;
    const auto state = reason ? std::string{"paused"} : phase_;
    try {
        co_await store_.run([&](store::Transaction& transaction) { transaction.progress.set_state(state, reason); });
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: its state ({}) could not be stored: {}", workspace_, state, error.what());
    }
}

}  // namespace leadsync::daemon
