#include "connectors/postgres/workspaces.hpp"

#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

void Workspaces::declare(pqxx::work& transaction, const std::vector<std::string>& names) {
    static const Statement statement{"declare_workspace", R"sql(
        INSERT INTO crm.workspaces (name) VALUES ($1) ON CONFLICT (name) DO NOTHING
    )sql"};
    for (const auto& name : names) execute(transaction, statement, name);
}

void Workspaces::set_state(pqxx::work& transaction, const std::string& name, const std::string& state,
                           const std::optional<std::string>& reason) {
    static const Statement statement{"set_state", R"sql(
        UPDATE crm.workspaces SET state = $2, state_reason = $3, updated_at = now() WHERE name = $1
    )sql"};
    if (reason)
        execute(transaction, statement, name, state, *reason);
    else
        execute(transaction, statement, name, state, nullptr);
}

bool Workspaces::pin(pqxx::work& transaction, const std::string& name, const std::string& instantly_id,
                     const std::string& instantly_name) {
    static const Statement statement{"pin_workspace", R"sql(
        UPDATE crm.workspaces SET instantly_workspace_id = $2, instantly_name = $3, updated_at = now()
        WHERE name = $1 AND coalesce(instantly_workspace_id, $2) = $2
    )sql"};
    return execute(transaction, statement, name, instantly_id, instantly_name).affected_rows() == 1;
}

void Workspaces::set_lead_count(pqxx::work& transaction, const std::string& name, std::int64_t leads) {
    static const Statement statement{"set_lead_count",
                                     "UPDATE crm.workspaces SET leads_on_instantly = $2 WHERE name = $1"};
    execute(transaction, statement, name, leads);
}

void Workspaces::report_requests(pqxx::work& transaction, const std::string& name, std::size_t last_minute) {
    static const Statement statement{
        "report_requests", "UPDATE crm.workspaces SET requests_last_minute = $2, updated_at = now() WHERE name = $1"};
    execute(transaction, statement, name, last_minute);
}

void Workspaces::checked_new_leads(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{
        "checked_new_leads",
        "UPDATE crm.workspaces SET new_leads_checked_at = now(), updated_at = now() WHERE name = $1"};
    execute(transaction, statement, name);
}

bool Workspaces::is_backfilled(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{"is_backfilled",
                                     "SELECT backfilled_at IS NOT NULL FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction, statement, name);
    return !rows.empty() && rows[0][0].as<bool>();
}

std::optional<std::int64_t> Workspaces::lead_count(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{"lead_count", "SELECT leads_on_instantly FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction, statement, name);
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return rows[0][0].as<std::int64_t>();
}

std::optional<double> Workspaces::fresh_seconds_ago(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{
        "fresh_seconds_ago", "SELECT extract(epoch FROM now() - fresh_as_of) FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction, statement, name);
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return rows[0][0].as<double>();
}

std::vector<WorkspaceStatus> Workspaces::status(pqxx::work& transaction, const std::vector<std::string>& names) {
    static const Statement statement{"status", R"sql(
        SELECT w.name, w.state, coalesce(w.state_reason, ''),
               (SELECT count(*) FROM crm.leads l WHERE l.workspace = w.name),
               extract(epoch FROM now() - w.fresh_as_of),
               (SELECT count(*) FROM sync.queue q WHERE q.workspace = w.name AND q.dead_at IS NULL),
               (SELECT extract(epoch FROM now() - min(q.queued_at)) FROM sync.queue q
                WHERE q.workspace = w.name AND q.dead_at IS NULL),
               (SELECT count(*) FROM crm.leads l WHERE l.workspace = w.name AND l.sync_status = 'error'),
               (SELECT count(*) FROM crm.conflicts c
                WHERE c.workspace = w.name AND c.created_at > now() - interval '1 day'),
               w.requests_last_minute, c.pages, c.leads, extract(epoch FROM now() - w.updated_at)
        FROM crm.workspaces w LEFT JOIN sync.checkpoints c ON c.workspace = w.name AND c.name = 'sweep'
        WHERE w.name = $1
    )sql"};
    const auto seconds = [](const pqxx::field& field) {
        return field.is_null() ? std::optional<double>{} : field.as<double>();
    };
    const auto count = [](const pqxx::field& field) {
        return field.is_null() ? std::optional<std::int64_t>{} : field.as<std::int64_t>();
    };
    std::vector<WorkspaceStatus> all;
    for (const auto& name : names)
        for (const auto& row : execute(transaction, statement, name))
            all.push_back({.name = row[0].c_str(),
                           .state = row[1].c_str(),
                           .reason = row[2].c_str(),
                           .leads = row[3].as<std::int64_t>(),
                           .fresh_seconds_ago = seconds(row[4]),
                           .pending = row[5].as<std::int64_t>(),
                           .oldest_pending_seconds = seconds(row[6]),
                           .errors = row[7].as<std::int64_t>(),
                           .conflicts = row[8].as<std::int64_t>(),
                           .requests_last_minute = row[9].as<int>(),
                           .sweep_pages = count(row[10]),
                           .sweep_leads = count(row[11]),
                           .reported_seconds_ago = row[12].as<double>()});
    return all;
}

}  // namespace leadsync::postgres
