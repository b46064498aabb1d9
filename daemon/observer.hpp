#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/config.hpp"
#include "daemon/deletions.hpp"
#include "daemon/observation.hpp"
#include "daemon/persistence.hpp"
#include "daemon/workspace_state.hpp"

namespace leadsync::daemon {

/// How far a sweep is, told after every page.
struct SweepProgress {
    std::int64_t pages = 0;  ///< since the sweep began, earlier runs included
    std::int64_t leads = 0;
    bool complete = false;
};

/// Reads a workspace: complete sweeps, and new leads in between. Every answer goes through the one merge.
class Observer {
public:
    /// `fresh`, `rest`: the workspace by the lanes of new leads and of sweeps.
    Observer(instantly::Client& fresh, instantly::Client& rest, store::Store& store, Clock& clock,
             WorkspaceState& state, Persistence persistence, const WorkspaceConfig& config,
             std::chrono::milliseconds patience);

    /// The whole workspace in order of id, from the checkpoint where an earlier sweep was stopped. Page and
    /// checkpoint are one transaction.
    boost::asio::awaitable<void> sweep();

    /// Sweeps whenever `freshness.rest` asks for it. Never returns.
    boost::asio::awaitable<void> sweep_forever();

    /// Looks for leads newer than the newest known, every `freshness.new`, once the first sweep is complete. Never
    /// returns.
    boost::asio::awaitable<void> read_new_leads_forever();

    /// Campaigns, lists, labels and the workspace's size, now and every hour. Never returns.
    boost::asio::awaitable<void> read_catalog_forever();
    boost::asio::awaitable<void> read_catalog();

    void on_progress(std::function<void(const SweepProgress&)> report) { report_ = std::move(report); }

private:
    boost::asio::awaitable<void> open_sweep();
    boost::asio::awaitable<void> read_page();
    boost::asio::awaitable<instantly::LeadPage> fetch_page();
    boost::asio::awaitable<void> look_again(std::vector<sync::LeadId> busy);
    boost::asio::awaitable<void> step_back();
    boost::asio::awaitable<void> read_new_leads();
    boost::asio::awaitable<bool> is_backfilled();
    boost::asio::awaitable<std::chrono::milliseconds> until_next_sweep();

    instantly::Client& fresh_;
    instantly::Client& rest_;
    store::Store& store_;
    Clock& clock_;
    WorkspaceState& state_;
    Persistence persistence_;
    std::string workspace_;
    std::chrono::milliseconds patience_;  ///< how long a write may take to show: absence says nothing until then
    FreshnessConfig freshness_;
    sync::Guard guard_;
    sync::RemoteDeletes remote_deletes_;
    ObserveOptions observing_;
    Deletions deletions_;
    std::function<void(const SweepProgress&)> report_;

    // The sweep under way. Read anew from its checkpoint after a failed transaction: what was committed is not known.
    std::optional<store::Checkpoint> at_;
    std::optional<std::int64_t> changes_allowed_;
    bool complete_ = false;
    int page_limit_ = 100;
    int steps_back_ = 0;
};

}  // namespace leadsync::daemon
