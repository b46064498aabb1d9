#pragma once

#include <span>

#include "daemon/late_turn.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Rows that were deleted here: with `deletes.local: push` the lead is deleted on Instantly, otherwise it only stops
/// being synced.
class Remover {
public:
    Remover(PushContext& context, Verdicts& verdicts) : context_{context}, verdicts_{verdicts} {}

    boost::asio::awaitable<void> remove(Claims claims);

private:
    boost::asio::awaitable<Claims> still_ours(std::span<const store::Claim> some);

    PushContext& context_;
    Verdicts& verdicts_;
    LateTurns late_turns_;
};

}  // namespace leadsync::daemon
