#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/change_guard.hpp"
#include "daemon/clock.hpp"
#include "daemon/observation.hpp"
#include "daemon/persistence.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

/// How every page that was read finds its way into the store: merged in one transaction, under the guard on edits
/// made on Instantly, and whoever pushes is told what it left to do.
class Intake {
public:
    Intake(store::Store& store, Clock& clock, Persistence persistence, std::string workspace,
           ObserveOptions observing, ChangeGuard& guard, Signal& queued)
        : store_{store},
          clock_{clock},
          persistence_{std::move(persistence)},
          workspace_{std::move(workspace)},
          observing_{std::move(observing)},
          guard_{guard},
          queued_{queued} {}

    /// What else is to be written with the page, behind its leads, in the same transaction.
    using Step = std::function<void(store::Transaction& transaction, const ObserveResult& result)>;

    /// `stretch`: the page shows all leads of it. Throws StoreError: nothing of the page stands, or all of it.
    boost::asio::awaitable<ObserveResult> take_in(instantly::ScannedPage page, sync::Instant requested_at,
                                                  std::optional<store::Stretch> stretch, Step step);

private:
    boost::asio::awaitable<void> look_again(std::vector<sync::LeadId> busy);
    void tell_of_unusable(const instantly::ScannedPage& page) const;
    boost::asio::awaitable<ObserveResult> write(instantly::ScannedPage& page, const Asked& asked,
                                                const std::optional<store::Stretch>& stretch, const Step& step);

    store::Store& store_;
    Clock& clock_;
    Persistence persistence_;
    std::string workspace_;
    ObserveOptions observing_;
    ChangeGuard& guard_;
    Signal& queued_;
    std::set<sync::LeadId> being_queued_;  ///< to be looked at again, and in an open transaction's hands
    sync::SteadyTime ask_again_at_{};
};

}  // namespace leadsync::daemon
