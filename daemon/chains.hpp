#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/pages.hpp"
#include "daemon/persistence.hpp"
#include "daemon/sweep.hpp"

namespace leadsync::daemon {

/// A first backfill, where no lead is known to cut the workspace at and the server takes no made-up cursors: reads
/// campaigns and lists side by side, one chain of pages each (DESIGN §5). The sweep that follows is cut at the leads
/// known by then and closes the holes: leads in no campaign or list, leads moved meanwhile. So a chain that cannot go
/// on just ends, and what a chain does not show says nothing. Elsewhere there is nothing for it to do.
class Chains {
public:
    Chains(instantly::Client& client, Pages& pages, store::Store& store, Clock& clock, Persistence persistence,
           std::string workspace, Intake& intake, ChangeGuard& guard, const Reading& reading);

    /// From where an earlier run was stopped to the end.
    boost::asio::awaitable<void> run();

    void on_progress(TellProgress report) { report_ = std::move(report); }

private:
    /// What is not complete, and what only this process knows of it.
    struct Chain {
        store::SweepRange at;
        bool is_known = true;  ///< after a failed try it is looked up anew: what was committed is not known
        bool is_complete = false;
        std::optional<std::string> doubted;  ///< the cursor behind which nothing was shown, which need not be the end
    };

    boost::asio::awaitable<void> open();
    boost::asio::awaitable<void> try_unknown_cursor();
    boost::asio::awaitable<std::vector<store::Place>> list_places();
    boost::asio::awaitable<void> read(Chain& chain);
    boost::asio::awaitable<void> reload(Chain& chain);
    boost::asio::awaitable<void> read_page(Chain& chain);
    boost::asio::awaitable<std::optional<instantly::ScannedPage>> fetch_page(Chain& chain);

    instantly::Client& client_;
    Pages& pages_;
    store::Store& store_;
    Clock& clock_;
    Persistence persistence_;
    std::string workspace_;
    Intake& intake_;
    ChangeGuard& guard_;
    Reading reading_;
    TellProgress report_;

    std::vector<Chain> chains_;
    std::optional<UnknownCursor> unknown_cursor_;  ///< nothing: too little is there to tell
    SweepProgress progress_;
    int failed_listings_ = 0;
};

}  // namespace leadsync::daemon
