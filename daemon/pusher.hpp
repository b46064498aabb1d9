#pragma once

#include "daemon/creator.hpp"
#include "daemon/push_context.hpp"
#include "daemon/reconciler.hpp"
#include "daemon/remover.hpp"
#include "daemon/tasks.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Brings local changes to Instantly: claims due leads and hands them to whoever does what they need (DESIGN §4, §6).
class Pusher {
public:
    Pusher(PushContext context, Signal& edited);

    /// Works the queue off. Returns only after stop(), with every batch in hand finished.
    boost::asio::awaitable<void> run();

    /// Works until nothing is pending but leads given up on or held. For one-shot runs.
    boost::asio::awaitable<void> drain();

    /// Claims nothing more.
    void stop();

private:
    boost::asio::awaitable<void> worker();
    boost::asio::awaitable<std::chrono::milliseconds> work_once();
    Claims claim(store::Transaction& transaction, std::chrono::milliseconds& wait);
    void hold_avalanches(store::Transaction& transaction);
    boost::asio::awaitable<void> settle(const Claims& claims);
    boost::asio::awaitable<void> give_back(Claims claims);

    PushContext context_;
    Signal& edited_;
    Verdicts verdicts_;
    Reconciler reconciler_;
    Creator creator_;
    Remover remover_;
    std::optional<std::int64_t> leads_;  // in the workspace, as counted at leads_counted_
    sync::SteadyTime leads_counted_{};
    bool stopping_ = false;
};

}  // namespace leadsync::daemon
