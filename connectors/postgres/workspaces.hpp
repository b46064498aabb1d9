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
    std::string state;
    std::string reason;
    std::int64_t leads = 0;
    std::optional<double> fresh_seconds_ago;  ///< no lead is older than this
    std::int64_t pending = 0;
    std::optional<double> oldest_pending_seconds;
    std::int64_t errors = 0;
    std::int64_t conflicts = 0;  ///< decided by rule within the last day
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

    static void set_state(pqxx::work& transaction, const std::string& name, const std::string& state,
                          const std::optional<std::string>& reason);

    /// Pins the workspace that the key belongs to. False when another one was pinned before: a swapped key.
    static bool pin(pqxx::work& transaction, const std::string& name, const std::string& instantly_id,
                    const std::string& instantly_name);

    static void set_lead_count(pqxx::work& transaction, const std::string& name, std::int64_t leads);
    static void report_requests(pqxx::work& transaction, const std::string& name, std::size_t last_minute);
    static void checked_new_leads(pqxx::work& transaction, const std::string& name);
    static bool is_backfilled(pqxx::work& transaction, const std::string& name);
    static std::optional<std::int64_t> lead_count(pqxx::work& transaction, const std::string& name);
    /// Seconds since the last complete sweep began; nothing before the first.
    static std::optional<double> fresh_seconds_ago(pqxx::work& transaction, const std::string& name);

    static std::vector<WorkspaceStatus> status(pqxx::work& transaction, const std::vector<std::string>& names);
};

}  // namespace leadsync::postgres
