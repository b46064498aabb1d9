#include "daemon/rate_limit_transport.hpp"

#include <algorithm>

namespace leadsync::daemon {

boost::asio::awaitable<instantly::Reply> RateLimitTransport::send(instantly::Request request, instantly::Gate gate) {
    auto reply = co_await way_.send(std::move(request), std::move(gate));
    if (reply.status == 429)
        pace_.refused(std::max(reply.retry_after.value_or(std::chrono::milliseconds{0}), rate_limit_hold));
    co_return reply;
}

}  // namespace leadsync::daemon
