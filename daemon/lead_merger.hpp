#pragma once

#include <boost/asio/awaitable.hpp>

#include "daemon/late_turn.hpp"
#include "daemon/look.hpp"
#include "daemon/push_context.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Carries out `crm.merge_leads`: merges leads into others on Instantly.
class LeadMerger {
public:
    LeadMerger(PushContext& context, Verdicts& verdicts) : context_{context}, verdicts_{verdicts} {}

    /// Merges each lead, of which nothing is left to be sent, into its destination. Those that can't leave while the
    /// look keeps are put off; failures go to the verdicts. Throws StoreError.
    boost::asio::awaitable<void> merge_away(Claims claims, sync::SteadyTime looked_at);

private:
    boost::asio::awaitable<bool> merge_away(const store::Claim& claim, Look look);

    PushContext& context_;
    Verdicts& verdicts_;
    LateTurns late_turns_;  ///< of merges alone: they come before what is sent
};

}  // namespace leadsync::daemon
