#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "daemon/push_context.hpp"
#include "daemon/unborn_row.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// What is noted durably of creates on their way, so that one whose outcome is not known can be told by it later. All
/// that reads or writes notes throws StoreError.
class CreateNotes {
public:
    CreateNotes(PushContext& context, Verdicts& verdicts) : context_{context}, verdicts_{verdicts} {}

    /// Of creates that were noted before then, nobody may have written down when they ended.
    [[nodiscard]] sync::Instant ends_known_since();
    /// Nor of those that were noted until now.
    void doubt_ends() { ends_known_since_ = context_.clock.wall(); }

    /// What is noted of earlier attempts. A process that died, or whose store failed, has not written down when they
    /// ended: of those noted before `known_since` it may have been as late as that. One that ended in the future, by
    /// a clock that was set back since, is taken to have ended just now.
    static std::map<sync::LeadId, store::NotedCreate> noted_before(store::Transaction& transaction,
                                                                   const std::vector<sync::LeadId>& ids,
                                                                   sync::Instant known_since, sync::Instant now);

    /// How long reads may lag behind what a create has made.
    [[nodiscard]] std::chrono::milliseconds may_show_for(const store::NotedCreate& create) const;
    [[nodiscard]] bool may_not_show_yet(const store::NotedCreate& create) const {
        return may_show_for(create) > std::chrono::milliseconds{0};
    }

    /// Before creates leave: noted, and their leases renewed. Not those that are not to leave as they are: their rows
    /// are looked at anew. Returns which are noted.
    boost::asio::awaitable<std::unordered_set<std::string>> note(UnbornRows& rows);

    /// Creates that did not leave, since their turn came late: their rows are looked at anew, at once.
    boost::asio::awaitable<void> put_back(UnbornRows rows);

    /// Creates that failed. What may have been carried out all the same counts from now on.
    boost::asio::awaitable<void> ended(const UnbornRows& rows, bool in_doubt);

private:
    static std::unordered_set<std::string> moved_meanwhile(store::Transaction& transaction, const UnbornRows& rows);
    static void take_back(store::Transaction& transaction, const UnbornRows& rows);

    PushContext& context_;
    Verdicts& verdicts_;
    std::optional<sync::Instant> ends_known_since_;  ///< nothing: not asked for yet
};

}  // namespace leadsync::daemon
