#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/store/store.hpp"
#include "daemon/mover.hpp"
#include "daemon/push_context.hpp"
#include "daemon/sending.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// What the store is told of leads that are sent, in the history, the rows and the queue.
class Recorder {
public:
    /// Leads whose moves are to come wait with the `mover`.
    Recorder(PushContext& context, Verdicts& verdicts, Mover& mover)
        : context_{context}, verdicts_{verdicts}, mover_{mover} {}

    /// Before the requests leave: what is awaited from now on, and what the history says of it.
    void note(store::Transaction& transaction, const std::vector<Sending>& sendings) const;
    /// What became of the calls, in one transaction. Throws StoreError.
    boost::asio::awaitable<void> record(const std::vector<Sending*>& sendings);

private:
    PushContext& context_;
    Verdicts& verdicts_;
    Mover& mover_;
};

}  // namespace leadsync::daemon
