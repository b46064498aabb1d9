#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/intake.hpp"
#include "daemon/pages.hpp"
#include "daemon/persistence.hpp"

namespace leadsync::daemon {

/// Looks for new leads within `freshness.new`, page by page from a little before the last that was shown on (DESIGN
/// §5, New leads). They count as looked for when the last page is here, as of when the first was asked for.
class NewLeads {
public:
    NewLeads(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
             std::string workspace, Intake& intake, std::chrono::milliseconds bound);

    /// Never returns. `known_ago`: since they were looked for last.
    boost::asio::awaitable<void> follow(std::chrono::milliseconds known_ago);

private:
    boost::asio::awaitable<void> read(sync::SteadyTime begun_at);
    boost::asio::awaitable<std::optional<std::string>> where_they_begin();
    boost::asio::awaitable<std::optional<instantly::ScannedPage>> fetch_page(const std::optional<std::string>& after);

    Pages pages_;
    store::Store& store_;
    Clock& clock_;
    Persistence persistence_;
    std::string workspace_;
    Intake& intake_;
    std::chrono::milliseconds bound_;
};

}  // namespace leadsync::daemon
