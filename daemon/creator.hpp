#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/pages.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Rows that Instantly has no lead for. What is there already, by email and target, is adopted; the rest goes through
/// `/leads/add`, which is safe to repeat in the same target, and leads without an email through `POST /leads`, which
/// is not. So every create is noted before it leaves, and one whose outcome is not known is looked for where it went.
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
    };
    /// What looks for the lead of a create showed.
    struct Seen {
        bool made = false;
        bool others = false;  ///< leads of that email that are not of this row
    };
    using Rows = std::vector<Row>;

    boost::asio::awaitable<void> resume(Row row);
    boost::asio::awaitable<void> settle_withdrawn(Row row);
    [[nodiscard]] std::chrono::milliseconds may_show_for(const store::NotedCreate& create) const;
    boost::asio::awaitable<Seen> look_for(const Row& row, int looks);
    static std::unordered_set<std::string> moved_meanwhile(store::Transaction& transaction, const Rows& rows);
    boost::asio::awaitable<void> note(Rows& rows);
    boost::asio::awaitable<void> add(Rows rows);
    boost::asio::awaitable<void> adopt_existing(Rows& rows);
    boost::asio::awaitable<void> settle_added(Rows rows, std::vector<instantly::Creation> creations,
                                              instantly::AddedLeads answer);

    boost::asio::awaitable<void> post(Row row);
    boost::asio::awaitable<bool> find_posted(const Row& row);
    boost::asio::awaitable<bool> takes_made_up_cursors();
    [[nodiscard]] bool may_not_show_yet(const store::NotedCreate& create) const;
    [[nodiscard]] store::NotedCreate noted_now(const sync::Content& local) const;
    boost::asio::awaitable<void> tie(Row row, instantly::Creation creation, sync::InstantlyId lead);

    PushContext& context_;
    Verdicts& verdicts_;
    std::optional<UnknownCursor> unknown_cursor_;  ///< nothing: not tried yet
};

}  // namespace leadsync::daemon
