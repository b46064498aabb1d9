#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <pqxx/pqxx>

#include "sync/fields.hpp"

namespace leadsync::postgres {

/// A row of `crm.conflicts`. Times are ISO 8601 in UTC, to the microsecond; ages in seconds.
struct ConflictRow {
    std::int64_t id = 0;
    std::string workspace;
    std::string lead_id;
    sync::Value email;
    std::string field;
    sync::Value base;
    sync::Value local;
    sync::Value remote;
    std::string rule;
    sync::Value resolution;   ///< local, remote or agreed; nothing: a person has to say
    sync::Value resolved_by;  ///< nothing: the rule
    std::string created_at;
    sync::Value resolved_at;  ///< nothing: the resolution is not carried out yet
    double seconds_ago = 0;
};

/// A row of `crm.held`.
struct HeldRow {
    std::int64_t id = 0;
    std::string workspace;
    std::string lead_id;
    sync::Value email;
    std::string kind;
    std::string side;
    std::string reason;
    std::string held_at;
    double seconds_ago = 0;
    sync::Value decision;
    sync::Value decided_at;
    sync::Value decided_by;
};

/// Undecided rows of `crm.held` that were held for the same reason.
struct HeldGroup {
    std::string workspace;
    std::string kind;
    std::string side;
    std::string reason;
    std::int64_t count = 0;
    double oldest_seconds_ago = 0;
    std::vector<std::string> samples;  ///< a few of the leads, by email, or by id where there is none
};

/// Which held changes are meant, of the undecided ones. Empty members do not narrow.
struct HeldChoice {
    std::optional<std::string> kind;
    std::optional<std::string> side;
};

/// A line of `crm.history`.
struct HistoryRow {
    std::string at;
    sync::Value field;  ///< nothing: the lead as a whole
    sync::Value before;
    sync::Value after;
    std::string side;
    std::string rule;
    sync::Value request;
};

/// A lead that an operator asked for, and where it stands. Gone leads have no row, and perhaps no base either.
struct LeadState {
    std::string workspace;
    std::string lead_id;
    sync::Value instantly_id;
    sync::Value email;
    sync::Value sync_status;  ///< nothing: there is no row
    sync::Value sync_error;
    sync::Value synced_at;
    sync::Value deleted_at;  ///< the row stays, marked: the lead is gone on Instantly
    bool tombstone = false;  ///< the row was deleted here, the lead is on Instantly still
    sync::Value awaited;     ///< accepted writes that no read has shown yet: JSON object
    sync::Value merge_into;  ///< crm.merge_leads asked for that

    /// Its row in the queue.
    struct Pending {
        std::string queued_at;
        double due_in_seconds = 0;
        int attempts = 0;
        int resends = 0;
        bool in_hand = false;
        sync::Value last_error;
        sync::Value dead_at;
        sync::Value held_at;
        sync::Value decision;  ///< of an operator, not carried out yet
        sync::Value decided;
        sync::Value edited_at;  ///< nothing: leadsync queued it by itself
        sync::Value edited_by;
    };
    std::optional<Pending> pending;
};

/// A row of the view `crm.queue`.
struct QueueRow {
    std::string workspace;
    std::string lead_id;
    sync::Value email;
    std::string kind;   ///< what the last local edit wishes: create, change, delete
    std::string state;  ///< due, waiting, in hand, held, given up
    double queued_seconds_ago = 0;
    double due_in_seconds = 0;
    int attempts = 0;
    int resends = 0;
    sync::Value last_error;
    sync::Value given_up_at;
};

/// A row of `crm.attempts`.
struct AttemptRow {
    std::string at;
    std::string outcome;
    std::string error;
    sync::Value request;
    sync::Value sent;
    sync::Value answer;
};

/// What operators look at and decide, in some workspaces: plain SQL on the tables that everybody may use. A decision
/// about a row that is not there, or not open any more, throws std::runtime_error, and none of the others stand.
class Review {
public:
    Review(pqxx::work& transaction, const std::vector<std::string>& workspaces)
        : transaction_{transaction}, workspaces_{workspaces} {}

    /// Those not settled yet, oldest first; or all.
    std::vector<ConflictRow> conflicts(bool settled_too);
    /// `side`: local or remote.
    void resolve(const std::vector<std::int64_t>& ids, const std::string& side);
    /// Every one that waits for a person; how many there were.
    std::int64_t resolve_all(const std::optional<std::string>& field, const std::string& side);

    std::vector<HeldRow> held();
    std::vector<HeldGroup> held_groups();
    /// `decision`: approve or reject.
    void decide(const std::vector<std::int64_t>& ids, const std::string& decision);
    std::int64_t decide_all(const HeldChoice& choice, const std::string& decision);

    /// What was given up on or has failed before, the longest queued first; or everything that is queued.
    std::vector<QueueRow> queue(bool everything);
    /// `decision`: retry or discard. False: the lead is not queued.
    bool decide_queued(const LeadState& lead, const std::string& decision);
    /// All that were given up on.
    std::int64_t decide_given_up(const std::string& decision);
    std::vector<AttemptRow> attempts_of(const LeadState& lead);

    /// By our id, Instantly's, or the email in any letter case; also leads that only the history knows.
    std::vector<LeadState> find(const std::string& lead);
    std::vector<HistoryRow> history_of(const LeadState& lead);
    std::vector<ConflictRow> conflicts_of(const LeadState& lead);
    std::vector<HeldRow> held_of(const LeadState& lead);

private:
    LeadState state_of(const std::string& workspace, const std::string& lead_id);

    pqxx::work& transaction_;
    const std::vector<std::string>& workspaces_;
};

/// A connection like a user's own: not marked as leadsync's, so that the triggers act on what it writes.
std::unique_ptr<pqxx::connection> connect_as_user(const std::string& url);

/// What a trigger or constraint says, and its hint, without the context: `conflict 7 was resolved as local already`.
std::string words_of(const pqxx::sql_error& error);

/// Runs `work(Review&)` in one transaction of such a connection and commits.
template <class Work>
auto review(const std::string& url, const std::vector<std::string>& workspaces, Work work)
    -> std::invoke_result_t<Work&, Review&> {
    const auto connection = connect_as_user(url);
    pqxx::work transaction{*connection};
    Review all{transaction, workspaces};
    if constexpr (std::is_void_v<std::invoke_result_t<Work&, Review&>>) {
        work(all);
        transaction.commit();
    } else {
        auto result = work(all);
        transaction.commit();
        return result;
    }
}

}  // namespace leadsync::postgres
