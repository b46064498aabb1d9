#pragma once

#include "connectors/instantly/api_error.hpp"
#include "daemon/persistence.hpp"
#include "daemon/pusher.hpp"

namespace leadsync::daemon {

/// A lead on its way out: what is to be sent, and what became of it.
struct Pusher::Sending {
    postgres::Claim claim;
    sync::InstantlyId instantly_id;
    sync::Content local;
    sync::Plan plan;
    std::vector<sync::Key> lost;    ///< accepted before, but not stored: sent again now
    std::vector<sync::Key> unsent;  ///< keys of calls that were refused: nothing is to be awaited of them
    std::optional<sync::Failure> failure;
    bool gone = false;
    bool waits = false;  ///< for a campaign that another move holds

    [[nodiscard]] std::map<sync::Key, sync::Value> expected() const {
        std::map<sync::Key, sync::Value> all;
        if (plan.patch) all.merge(sync::expectations(*plan.patch, local));
        if (plan.interest) all.merge(sync::expectations(*plan.interest));
        if (plan.subsequence) all.merge(sync::expectations(*plan.subsequence));
        if (plan.move) all.merge(sync::expectations(*plan.move));
        return all;
    }

    /// A call for these keys failed; the calls behind it were not made.
    void failed(const std::map<sync::Key, sync::Value>& keys, const instantly::ApiError& error) {
        for (const auto& [key, value] : expected()) {
            const bool doubtful = error.in_doubt() && keys.contains(key);  // the look-up will tell
            if (!doubtful && !arrived.contains(key)) unsent.push_back(key);
        }
        failure = error.failure();
    }

    /// A call for these keys was accepted.
    void accepted(const std::map<sync::Key, sync::Value>& keys) { arrived.insert(keys.begin(), keys.end()); }

    std::map<sync::Key, sync::Value> arrived;
};

}  // namespace leadsync::daemon
