#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/observation.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

/// Pages of a workspace's leads, read and taken in by any number side by side, within what the guard lets through for
/// all of them together.
class Pages {
public:
    /// `queued` is rung when a page may have left something to push.
    Pages(instantly::Client& client, store::Store& store, Clock& clock, std::string workspace,
          ObserveOptions observing, int limit, Signal& queued);

    /// So many leads may take edits made on Instantly, of which `changed` have; nothing: any number.
    void allow(std::optional<std::int64_t> leads, std::int64_t changed);
    /// A page whose transaction seemed to fail may have been taken in.
    void changed_at_least(std::int64_t leads) { changed_ = std::max(changed_, leads); }

    /// Asks for fewer leads than `query` may have where an answer is too large. Throws ApiError.
    boost::asio::awaitable<instantly::LeadPage> fetch(instantly::LeadQuery query);

    /// Throws ApiError unless leads can be listed: an answer that is none, refusals included, says something of what
    /// was asked only where others are answered.
    boost::asio::awaitable<void> check_server();

    /// What is to be written in the transaction of the page, beside its rows.
    using Also = std::function<void(store::Transaction&, const store::SweepStep&)>;
    boost::asio::awaitable<store::SweepStep> take_in(instantly::LeadPage page, sync::Instant requested_at, Also also);

private:
    class Share;

    instantly::Client& client_;
    store::Store& store_;
    Clock& clock_;
    std::string workspace_;
    ObserveOptions observing_;
    Signal& queued_;
    int limit_max_;
    int limit_;

    // How many changed leads the guard still lets through: pages that are being written have theirs reserved.
    std::optional<std::int64_t> allowed_;
    std::int64_t changed_ = 0;
    std::int64_t reserved_ = 0;
    Signal freed_;
};

}  // namespace leadsync::daemon
