#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/late_turn.hpp"
#include "daemon/pages.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Rows that Instantly has no lead for. What is there already, by email and target, is adopted; the rest goes through
/// `/leads/add`, which is safe to repeat in the same target, and leads without an email through `POST /leads`, which
/// is not. So every create is noted before it leaves, and one whose outcome is not known is looked for where it went.
/// It leaves soon after it was noted, or not at all: the row is looked at anew then.
class Creator {
public:
    Creator(PushContext& context, Verdicts& verdicts) : context_{context}, verdicts_{verdicts} {}

    boost::asio::awaitable<void> create(Claims claims);

    /// Rows that were deleted without ever having had a lead: nothing is left to do, but where a create had left
    /// whose outcome is not known. What that has made is looked for, to be deleted as the policy says.
    boost::asio::awaitable<void> withdraw(Claims claims);

private:
    struct Row {
        store::Claim claim;
        sync::Content local;
        std::optional<store::NotedCreate> noted;  ///< an earlier create whose outcome is not known
        bool nowhere_else = false;                ///< sent again, to make a lead only where no other has that email
        sync::Instant noted_at{};                 ///< of the create that is about to leave
    };
    /// What looks for the lead of a create showed.
    struct Seen {
        bool made = false;
        bool others = false;                ///< leads of that email that are not of this row
        bool is_row_being_written = false;  ///< by somebody: whether it was made can't be told yet
    };
    using Rows = std::vector<Row>;
    /// Creates that are noted and wait for their turn.
    struct Departure {
        Rows rows;
        sync::SteadyTime noted_at{};  ///< or a little later
        bool turn_came_late = false;
    };

    boost::asio::awaitable<void> create_rows(Claims claims);
    [[nodiscard]] sync::Instant ends_known_since();
    boost::asio::awaitable<void> resume(Row row);
    boost::asio::awaitable<void> settle_withdrawn(Row row);
    [[nodiscard]] std::chrono::milliseconds may_show_for(const store::NotedCreate& create) const;
    boost::asio::awaitable<Seen> look_for(const Row& row, int looks);
    static std::unordered_set<std::string> moved_meanwhile(store::Transaction& transaction, const Rows& rows);
    boost::asio::awaitable<void> note(Departure& departure);
    boost::asio::awaitable<void> note_anew(Departure& departure);
    boost::asio::awaitable<std::unordered_set<std::string>> note(Rows& rows);
    [[nodiscard]] bool keeps(const Departure& departure) const;
    [[nodiscard]] instantly::Client way_of(Departure& departure);
    boost::asio::awaitable<void> put_back(Rows rows);
    boost::asio::awaitable<void> ended(const Rows& rows, bool in_doubt);
    static void take_back(store::Transaction& transaction, const Rows& rows);
    boost::asio::awaitable<void> add(Rows rows);
    boost::asio::awaitable<void> adopt_existing(Rows& rows);
    boost::asio::awaitable<void> settle_added(Rows rows, std::vector<instantly::Creation> creations,
                                              instantly::AddedLeads answer);

    boost::asio::awaitable<void> post(Row row);
    /// Of Seen only what can be told there.
    boost::asio::awaitable<Seen> find_posted(const Row& row);
    boost::asio::awaitable<bool> takes_made_up_cursors();
    [[nodiscard]] bool may_not_show_yet(const store::NotedCreate& create) const;
    boost::asio::awaitable<void> tie(Row row, instantly::Creation creation, sync::InstantlyId lead);

    PushContext& context_;
    Verdicts& verdicts_;
    std::optional<UnknownCursor> unknown_cursor_;  ///< nothing: not tried yet
    LateTurns late_turns_;
    /// Of creates that were noted before then, nobody may have written down when they ended. Nothing: no row was
    /// asked for yet.
    std::optional<sync::Instant> ends_known_since_;
};

}  // namespace leadsync::daemon
