#pragma once

#include <chrono>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/store.hpp"
#include "daemon/persistence.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

/// Finds what capture missed (DESIGN §5): rows that went, changed or came while no trigger watched, as by TRUNCATE,
/// a restored backup or a bulk load. Compares all rows with their bases, in short transactions, once in a while and
/// after every TRUNCATE.
class LocalRepair {
public:
    LocalRepair(store::Store& store, Persistence persistence, std::string workspace, Signal& queued,
                std::chrono::milliseconds every)
        : store_{store},
          persistence_{std::move(persistence)},
          workspace_{std::move(workspace)},
          queued_{queued},
          every_{every} {}

    /// If it is time. Leads whose rows are gone come back with the next page that shows them: it goes before a sweep.
    boost::asio::awaitable<void> run();

private:
    boost::asio::awaitable<bool> is_due();

    store::Store& store_;
    Persistence persistence_;
    std::string workspace_;
    Signal& queued_;
    std::chrono::milliseconds every_;
};

}  // namespace leadsync::daemon
