#pragma once

#include <chrono>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/active_leads.hpp"
#include "daemon/chains.hpp"
#include "daemon/change_guard.hpp"
#include "daemon/clock.hpp"
#include "daemon/config.hpp"
#include "daemon/deletions.hpp"
#include "daemon/freshness_watch.hpp"
#include "daemon/intake.hpp"
#include "daemon/local_repair.hpp"
#include "daemon/new_leads.hpp"
#include "daemon/observation.hpp"
#include "daemon/pages.hpp"
#include "daemon/persistence.hpp"
#include "daemon/sweep.hpp"
#include "daemon/workspace_state.hpp"

namespace leadsync::daemon {

ObserveOptions observe_options_of(const WorkspaceConfig& config);

/// Reads a workspace: complete sweeps, and new leads in between. Every answer goes through the one merge.
class Observer {
public:
    /// `fresh`, `active`, `rest`: the workspace by the lanes of new leads, of active ones, and of sweeps.
    Observer(instantly::Client& fresh, instantly::Client& active, instantly::Client& rest, store::Store& store,
             Clock& clock, WorkspaceState& state, Persistence persistence, const WorkspaceConfig& config,
             std::chrono::milliseconds patience, const Reading& reading, Signal& queued);

    /// The whole workspace, the first time campaign by campaign before if that is faster, and rows that were written
    /// past the triggers; then what it found missing.
    boost::asio::awaitable<void> sweep();

    /// Sweeps whenever `freshness.rest` asks for it. Never returns.
    boost::asio::awaitable<void> sweep_forever();

    /// Reads active leads again within `freshness.active`, once the first sweep is complete. Never returns.
    boost::asio::awaitable<void> follow_active_leads();

    /// Tells when a class of leads is older than its bound, and when it is not any more. Never returns.
    boost::asio::awaitable<void> watch_freshness();

    /// Looks for leads newer than the newest known, every `freshness.new`, once the first sweep is complete. Never
    /// returns.
    boost::asio::awaitable<void> read_new_leads_forever();

    /// Campaigns, lists, labels and the workspace's size, now and every hour. Never returns.
    boost::asio::awaitable<void> read_catalog_forever();
    boost::asio::awaitable<void> read_catalog();

    void on_progress(const TellProgress& report) {
        chains_.on_progress(report);
        sweep_.on_progress(report);
    }

private:
    boost::asio::awaitable<bool> is_backfilled();
    boost::asio::awaitable<void> until_backfilled();
    boost::asio::awaitable<std::chrono::milliseconds> until_next_sweep();

    instantly::Client& fresh_;
    store::Store& store_;
    Clock& clock_;
    WorkspaceState& state_;
    Persistence persistence_;
    std::string workspace_;
    Signal& queued_;  ///< there may be something to push
    sync::FreshnessBounds bounds_;
    ObserveOptions observing_;
    AbsenceRules absence_;
    ChangeGuard guard_;
    Intake intake_;
    Pages pages_;
    Chains chains_;
    LocalRepair repair_;
    Sweep sweep_;
    Deletions deletions_;
    ActiveLeads active_;
    NewLeads new_leads_;
    FreshnessWatch watch_;
};

}  // namespace leadsync::daemon
