#pragma once

#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"

namespace leadsync::daemon {

/// Reads pages of a workspace's leads, with fewer leads to a page where answers get too large. Any number side by
/// side.
class Pages {
public:
    Pages(instantly::Client& client, std::string workspace, int limit)
        : client_{client}, workspace_{std::move(workspace)}, limit_max_{limit}, limit_{limit} {}

    /// Throws ApiError.
    boost::asio::awaitable<instantly::ScannedPage> fetch(instantly::LeadQuery query);

    /// Throws ApiError unless leads can be listed: an answer that is none, refusals included, says something of what
    /// was asked only where others are answered.
    boost::asio::awaitable<void> check_server();

private:
    instantly::Client& client_;
    std::string workspace_;
    int limit_max_;
    int limit_;
};

}  // namespace leadsync::daemon
