#pragma once

#include <string>

#include "daemon/lease_returns.hpp"
#include "daemon/push_context.hpp"

namespace leadsync::daemon {

/// What becomes of work that failed: written to the queue and the rows, and heeded for what comes next.
class Verdicts {
public:
    Verdicts(PushContext& context, LeaseReturns& returns) : context_{context}, returns_{returns} {}

    /// Judges the failure for each lead, writes the verdicts in one transaction, and heeds them.
    boost::asio::awaitable<void> fail(Claims claims, sync::Failure failure);

    /// Gives up on leads until their next edit.
    boost::asio::awaitable<void> give_up(Claims claims, std::string reason);

    // The same in steps, for a caller whose transaction writes more.

    /// A lead's failure and what is to become of it.
    struct Judged {
        store::Claim claim;
        sync::Failure failure;
        sync::Verdict verdict;
    };
    Judged judge(store::Claim claim, sync::Failure failure);
    /// Returns the claims of leads that are not given up on yet, since somebody is writing their rows: for
    /// look_again_later(). Neither waits for rows of crm.leads: whoever edits them may be waiting for rows of the
    /// queue.
    [[nodiscard]] Claims write(store::Transaction& transaction, const std::vector<Judged>& leads) const;
    /// Likewise; `error` of each is the reason.
    [[nodiscard]] static Claims write_given_up(store::Transaction& transaction,
                                               const std::vector<store::FailedClaim>& leads);
    void look_again_later(Claims claims) { returns_.add(std::move(claims)); }
    boost::asio::awaitable<void> heed(Judged lead);

    /// The plan had no room: creates are to be left alone for a while.
    [[nodiscard]] bool creates_held() const { return creates_held_for() > std::chrono::milliseconds{0}; }
    [[nodiscard]] std::chrono::milliseconds creates_held_for() const {
        return std::chrono::ceil<std::chrono::milliseconds>(creates_held_until_ - context_.clock.now());
    }
    /// Whether the workspace's state tells of that.
    [[nodiscard]] bool tells_of_held_creates() const { return tells_of_held_creates_; }
    /// A create was accepted, or none is waiting any more.
    boost::asio::awaitable<void> release_creates();

private:
    PushContext& context_;
    LeaseReturns& returns_;
    sync::SteadyTime creates_held_until_{};
    bool tells_of_held_creates_ = false;
};

}  // namespace leadsync::daemon
