#pragma once

#include <optional>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/client.hpp"

namespace leadsync::daemon {

/// A refusal, or what the client would not take for an answer: out of order, of another campaign, no JSON.
bool is_no_answer(const instantly::ApiError& error);

/// Nothing was shown: of a page from which nothing was left out.
inline bool is_empty(const instantly::ScannedPage& page) { return page.leads.empty() && page.unusable.empty(); }

/// What a server makes of a cursor that no lead has: a made-up id, or one whose lead is gone.
enum class UnknownCursor {
    accepted,  ///< it goes on behind the place where the lead would be
    refused,   ///< or it takes no notice of it and begins at the first lead, which is no answer here
    nothing,   ///< it shows nothing, as at the end
};

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

    /// Tries an id that no lead has, between leads of the workspace's first page, of which one has to come back.
    /// Nothing: the page is too little for it. Throws ApiError.
    boost::asio::awaitable<std::optional<UnknownCursor>> try_unknown_cursor(const instantly::ScannedPage& first);

private:
    instantly::Client& client_;
    std::string workspace_;
    int limit_max_;
    int limit_;
};

}  // namespace leadsync::daemon
