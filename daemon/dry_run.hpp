#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/transport.hpp"
#include "connectors/postgres/database.hpp"
#include "daemon/clock.hpp"
#include "daemon/config.hpp"
#include "sync/merge.hpp"

namespace leadsync::daemon {

/// What the next sync would do about a lead.
enum class Step {
    // from Instantly
    appear,  ///< a lead not known here yet: a new row
    adopt,   ///< a row here turns out to be that lead
    pull,    ///< edits made on Instantly come into the row
    gone,    ///< no longer on Instantly: what `deletes.remote` says
    // to Instantly
    create,
    patch,
    interest,
    assign,  ///< together with others, to one person
    move,
    subsequence,
    remove,
    merge,
    // neither
    forget,   ///< deleted here, with `deletes.local: ignore`: no longer synced
    restore,  ///< its deletion here was rejected: the row comes back
    give_up,  ///< no call can carry it
    hold,     ///< more than the guard lets through
};

/// One word for each, as `leadsync plan --json` has them.
std::string_view name_of(Step step);

struct PlannedChange {
    sync::Key key;
    sync::Value before;
    sync::Value after;
    std::string rule;  ///< of what is pulled: why
};

struct PlannedLead {
    std::string id;            ///< ours; of a lead that appears, Instantly's
    std::string instantly_id;  ///< empty: not there yet
    sync::Value email;
    std::vector<PlannedChange> changes;
    std::string note;  ///< a reason, or where to
};

struct PlannedConflict {
    std::string id;
    sync::Value email;
    sync::Conflict conflict;
};

/// Leads of one step: how many, and some of them or all.
struct PlannedStep {
    std::int64_t count = 0;
    std::vector<PlannedLead> leads;
};

struct WorkspacePlan {
    std::string workspace;
    std::int64_t pages = 0;  ///< read for this plan
    std::int64_t leads = 0;
    std::map<Step, PlannedStep> steps;
    std::vector<PlannedConflict> conflicts;
    /// How many requests that change something would be sent, by call: `PATCH /leads/{id}`. Leads that share a
    /// request are counted as if the queue gave them out together.
    std::map<std::string, std::int64_t> requests;
};

/// Reads the workspace on Instantly and the rows here, and tells what a sync that started now would do. Only reads
/// are sent, through a limiter of the workspace's rate; PostgreSQL is held to reading too. Beside a daemon that
/// drives the workspace only what its share leaves is used. `leads_kept`: how many leads of each step are named.
/// Throws ApiError after a few attempts, StoreError, and std::runtime_error when the key is another workspace's.
boost::asio::awaitable<WorkspacePlan> dry_run(instantly::Transport& transport, postgres::Database& database,
                                              Clock& clock, Dice dice, const WorkspaceConfig& config,
                                              std::size_t leads_kept);

}  // namespace leadsync::daemon
