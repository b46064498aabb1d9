#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/change_guard.hpp"
#include "daemon/clock.hpp"
#include "daemon/deletions.hpp"
#include "daemon/intake.hpp"
#include "daemon/pages.hpp"
#include "daemon/persistence.hpp"
#include "sync/rereading.hpp"

namespace leadsync::daemon {

/// Reads active leads again before what is known of them is older than `freshness.active`: round after round in order
/// of id, a hundred chosen leads to a request (DESIGN §5, Known leads). One that an answer does not show is looked
/// into for a deletion when the round is over. Leads that the server does not answer for, though it answers
/// otherwise, are left to the next round, and stay as old as they are.
class ActiveLeads {
public:
    ActiveLeads(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
                std::string workspace, Intake& intake, ChangeGuard& guard, Deletions& deletions,
                std::chrono::milliseconds bound, const AbsenceRules& absence);

    /// Never returns. `known_ago`: as old as what is known of any lead can be at the beginning.
    boost::asio::awaitable<void> follow(std::chrono::milliseconds known_ago);

    /// Looks into what was not shown, whenever a round is over. Never returns.
    boost::asio::awaitable<void> look_into_missing_forever();

    /// So many are active; nothing before the first round.
    [[nodiscard]] std::optional<std::int64_t> count() const { return count_; }
    /// As old as the oldest of them can be; nothing before the first round, and when there are none.
    [[nodiscard]] std::optional<std::chrono::milliseconds> oldest_ago() const;

private:
    /// Leads to be asked for, a request's worth.
    struct Batch {
        std::uint64_t number = 0;
        std::vector<sync::InstantlyId> ids;
    };
    /// What one request asks for: a batch, or a part of one that is too much for an answer.
    struct LookUp {
        std::vector<sync::InstantlyId> ids;
        int failures = 0;  ///< in a row, as far as they may be its own
        bool is_too_large = false;
        bool is_read = false;
    };

    boost::asio::awaitable<void> round();
    boost::asio::awaitable<void> begin_round();
    boost::asio::awaitable<void> worker();
    boost::asio::awaitable<std::optional<Batch>> next_batch();
    boost::asio::awaitable<void> fetch_ids(Batch& batch);
    boost::asio::awaitable<void> read(const Batch& batch);
    boost::asio::awaitable<void> look_up(LookUp& asked);
    boost::asio::awaitable<void> give_up_or_throw(LookUp& asked, const instantly::ApiError& error);

    instantly::Client& client_;
    Pages pages_;
    store::Store& store_;
    Clock& clock_;
    Persistence persistence_;
    std::string workspace_;
    Intake& intake_;
    ChangeGuard& guard_;
    Deletions& deletions_;
    std::chrono::milliseconds bound_;
    AbsenceRules absence_;

    std::optional<sync::Rereading> rereading_;
    std::optional<std::int64_t> count_;
    std::size_t batches_ = 0;                  ///< of this round, by that count
    std::optional<std::string> cursor_;        ///< the last id asked for in this round
    std::optional<sync::SteadyTime> over_at_;  ///< when there was none behind it
    AsyncMutex choosing_;                      ///< who waits for the next batch to fall due
    bool misses_some_ = false;                 ///< some were not shown in this round
    bool gave_up_ = false;                     ///< some were not read in this round
    std::size_t given_up_in_a_row_ = 0;        ///< look-ups of this round since one was answered
    Signal missing_;                           ///< some were not shown, and the round is over
};

}  // namespace leadsync::daemon
