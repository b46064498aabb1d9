#pragma once

#include "daemon/push_context.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

/// Leads whose leases are to be returned, and could not be yet: the store is away, or somebody is writing their rows
/// in a transaction that is still open. They are returned as they come free, while everything else goes on.
class LeaseReturns {
public:
    explicit LeaseReturns(PushContext& context) : context_{context} {}

    /// They are due `PusherTiming::busy` after they are free, or at once where they were edited.
    void add(Claims claims);

    /// Returns them, until stop(). What is left then is void with the next start.
    boost::asio::awaitable<void> run();
    void stop();

    /// Returns what is free. For a one-shot run, in place of run().
    boost::asio::awaitable<void> return_free();

private:
    PushContext& context_;
    Claims waiting_;
    Signal added_;
    int failures_ = 0;  ///< of the store, in a row
    bool stopping_ = false;
};

}  // namespace leadsync::daemon
