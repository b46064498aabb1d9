#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/clock.hpp"
#include "daemon/observation.hpp"
#include "daemon/tasks.hpp"
#include "sync/guard.hpp"
#include "sync/policy.hpp"

namespace leadsync::daemon {

/// When what an answer does not show says something.
struct AbsenceRules {
    sync::RemoteDeletes remote_deletes;
    std::chrono::milliseconds patience;  ///< how long a write may take to show: absence says nothing until then

    /// Of an answer in which some items may have been no leads, and one of them the lead that is missing.
    [[nodiscard]] bool apply(bool all_items_were_leads) const {
        return remote_deletes != sync::RemoteDeletes::ignore && all_items_were_leads;
    }
};

/// How many leads are asked for one by one at the same time.
inline constexpr std::size_t asked_at_once = 8;

/// A lead of which the server does not answer is asked for so often, and only once when it says that the request is
/// wrong, then left to the next look or sweep: it is no deletion, and must not keep a sweep from beginning. Where the
/// server answers for none of as many as are asked for at a time it may not be the leads: then more often.
inline constexpr int asked_before_put_aside = 3;
inline constexpr int asked_in_an_outage = 10;

/// What to do about leads that a complete sweep, or a look at chosen leads, did not find (DESIGN §5, Deletion): a
/// look-up by id, then GET, then the guard, then `deletes.remote`. A hidden row or an empty answer is no deletion.
class Deletions {
public:
    Deletions(instantly::Client& client, store::Store& store, Clock& clock, std::string workspace,
              const ObserveOptions& observing, sync::RemoteDeletes policy, sync::GuardLimit limit);

    /// Looks into every lead noted as absent that way. Throws ApiError and StoreError; goes on from there when called
    /// again. Where single leads were not answered for, what was answered is written.
    boost::asio::awaitable<void> examine(store::Absence by);

private:
    boost::asio::awaitable<bool> look_into_some(store::Absence by);
    bool is_put_aside(store::Absence by, const sync::InstantlyId& lead, const sync::Failure& refusal, bool is_down);
    boost::asio::awaitable<void> carry_out(std::int64_t put_aside);

    instantly::Client& client_;
    store::Store& store_;
    Clock& clock_;
    std::string workspace_;
    const ObserveOptions& observing_;
    sync::RemoteDeletes policy_;
    sync::GuardLimit limit_;
    AsyncMutex examining_;
    /// What was not answered, until there is nothing left to look into.
    struct Unanswered {
        std::unordered_map<std::string, int> asked;  ///< how often
        std::unordered_set<std::string> put_aside;   ///< they may be gone: the guard is not to be passed by in parts
    };
    std::map<store::Absence, Unanswered> unanswered_;
    /// Found by looks a few at a time, an avalanche would never be one.
    std::int64_t gone_since_sweep_ = 0;
};

}  // namespace leadsync::daemon
