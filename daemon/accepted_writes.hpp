#pragma once

#include <cstdint>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/http/verb.hpp>

#include "connectors/instantly/transport.hpp"

namespace leadsync::daemon {

/// The way of a workspace's pushes to Instantly, which counts the writes that are accepted. Lives on one thread.
class AcceptedWrites final : public instantly::Transport {
public:
    explicit AcceptedWrites(instantly::Transport& way) : way_{way} {}

    boost::asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override {
        const bool writes = !request.reads_only && request.method != boost::beast::http::verb::get;
        auto reply = co_await way_.send(std::move(request), std::move(gate));
        if (writes && reply.status >= 200 && reply.status < 300) ++count_;
        co_return reply;
    }

    [[nodiscard]] std::int64_t count() const { return count_; }

private:
    instantly::Transport& way_;
    std::int64_t count_ = 0;
};

}  // namespace leadsync::daemon
