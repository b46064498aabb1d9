#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/create_notes.hpp"
#include "daemon/create_search.hpp"
#include "daemon/late_turn.hpp"
#include "daemon/push_context.hpp"
#include "daemon/unborn_row.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Rows that Instantly has no lead for. What is there already, by email and target, is adopted; the rest goes through
/// `/leads/add`, which is safe to repeat in the same target, and leads without an email through `POST /leads`, which
/// is not. So every create is noted before it leaves, and one whose outcome is not known is looked for where it went.
/// It leaves soon after it was noted, or not at all: the row is looked at anew then.
class Creator {
public:
    Creator(PushContext& context, Verdicts& verdicts)
        : context_{context}, verdicts_{verdicts}, notes_{context, verdicts}, search_{context} {}

    boost::asio::awaitable<void> create(Claims claims);

    /// Rows that were deleted without ever having had a lead: nothing is left to do, but where a create had left
    /// whose outcome is not known. What that has made is looked for, to be deleted as the policy says.
    boost::asio::awaitable<void> withdraw(Claims claims);

private:
    /// Creates that are noted and wait for their turn.
    struct Departure {
        UnbornRows rows;
        sync::SteadyTime noted_at{};  ///< or a little later
        bool turn_came_late = false;
    };

    boost::asio::awaitable<void> create_rows(Claims claims);
    boost::asio::awaitable<void> resume(UnbornRow row);
    boost::asio::awaitable<void> settle_withdrawn(UnbornRow row);
    boost::asio::awaitable<void> note(Departure& departure);
    boost::asio::awaitable<void> note_anew(Departure& departure);
    [[nodiscard]] bool keeps(const Departure& departure) const;
    [[nodiscard]] instantly::Client way_of(Departure& departure);
    boost::asio::awaitable<void> add(UnbornRows rows);
    boost::asio::awaitable<void> adopt_existing(UnbornRows& rows);
    boost::asio::awaitable<void> settle_added(UnbornRows rows, std::vector<instantly::Creation> creations,
                                              instantly::AddedLeads answer);

    boost::asio::awaitable<void> post(UnbornRow row);
    boost::asio::awaitable<void> tie(UnbornRow row, instantly::Creation creation, sync::InstantlyId lead);

    PushContext& context_;
    Verdicts& verdicts_;
    CreateNotes notes_;
    CreateSearch search_;
    LateTurns late_turns_;
};

}  // namespace leadsync::daemon
