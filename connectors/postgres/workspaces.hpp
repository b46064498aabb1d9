#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

namespace leadsync::postgres {

/// What `leadsync status` tells of a workspace. Ages in seconds; nothing where there is none.
struct WorkspaceStatus {
    std::string name;
    std::string state;  ///< as the daemon last told it, which may have ended since
    std::string reason;
    bool is_driven = false;  ///< a daemon, or a backfill, is at it now
    std::int64_t leads = 0;
    std::int64_t active_leads = 0;  ///< read again within freshness.active
    /// As old as what is known of the oldest of each class can be.
    std::optional<double> new_seconds_ago;
    std::optional<double> active_seconds_ago;
    std::optional<double> rest_seconds_ago;
    std::int64_t pending = 0;  ///< neither given up on nor held
    std::optional<double> oldest_pending_seconds;
    std::int64_t errors = 0;        ///< rows in `sync_status` error
    std::int64_t dead_letters = 0;  ///< given up on until the next edit
    std::int64_t conflicts = 0;     ///< not settled yet
    std::int64_t held = 0;          ///< held by the guard, undecided
    int requests_last_minute = 0;
    std::optional<std::int64_t> sweep_pages;  ///< of the sweep under way
    std::optional<std::int64_t> sweep_leads;
    double reported_seconds_ago = 0;  ///< since the daemon last wrote this row
};

/// The table `crm.workspaces`.
class Workspaces {
public:
    /// Makes the rows of the config's workspaces known to SQL.
    static void declare(pqxx::work& transaction, const std::vector<std::string>& names);

    /// Whether a daemon or a backfill drives the workspace: whether the lock that its Listener holds is taken.
    static bool is_driven(pqxx::work& transaction, const std::string& name);

    static std::vector<WorkspaceStatus> status(pqxx::work& transaction, const std::vector<std::string>& names);
};

}  // namespace leadsync::postgres
