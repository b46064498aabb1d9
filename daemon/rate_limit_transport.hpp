#pragma once

#include <chrono>

#include "connectors/instantly/transport.hpp"
#include "daemon/pace.hpp"

namespace leadsync::daemon {

/// How long nothing is sent after a 429 without Retry-After, at the least.
inline constexpr std::chrono::milliseconds rate_limit_hold{1000};

/// The way of a workspace's requests to Instantly that heeds a 429 (INSTANTLY.md, Transport; DESIGN §6) at the moment
/// it comes, whoever asked and whatever they make of it: the others of a batch are on their way to the gate by then.
/// Lives on one thread.
class RateLimitTransport final : public instantly::Transport {
public:
    RateLimitTransport(instantly::Transport& way, Pace& pace) : way_{way}, pace_{pace} {}

    boost::asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override;

private:
    instantly::Transport& way_;
    Pace& pace_;
};

}  // namespace leadsync::daemon
