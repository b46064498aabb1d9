#include "connectors/postgres/workspaces.hpp"

#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

void Workspaces::declare(pqxx::work& transaction, const std::vector<std::string>& names) {
    static const Statement statement{"declare_workspace", R"sql(
        INSERT INTO crm.workspaces (name) VALUES ($1) ON CONFLICT (name) DO NOTHING
    )sql"};
    for (const auto& name : names) execute(transaction, statement, name);
}

bool Workspaces::is_driven(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{"is_driven", R"sql(
        SELECT EXISTS (SELECT FROM pg_locks
                       WHERE locktype = 'advisory' AND granted AND objsubid = 1
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                         AND classid::int8 << 32 | objid::int8 = hashtextextended('leadsync workspace ' || $1, 0))
    )sql"};
    return execute(transaction, statement, name)[0][0].as<bool>();
}

std::vector<WorkspaceStatus> Workspaces::status(pqxx::work& transaction, const std::vector<std::string>& names) {
    static const Statement statement{"status", R"sql(
        SELECT w.name, w.state, coalesce(w.state_reason, ''),
               (SELECT count(*) FROM crm.leads l WHERE l.workspace = w.name),
               extract(epoch FROM now() - w.fresh_as_of),
               queue.pending, queue.oldest,
               (SELECT count(*) FROM crm.leads l WHERE l.workspace = w.name AND l.sync_error IS NOT NULL AND l.sync_status = 'error'),
               queue.dead,
               (SELECT count(*) FROM crm.conflicts c WHERE c.workspace = w.name AND c.resolved_at IS NULL),
               (SELECT count(*) FROM crm.held h WHERE h.workspace = w.name AND h.decision IS NULL),
               w.requests_last_minute, c.pages, c.leads, extract(epoch FROM now() - w.updated_at),
               coalesce(w.active_leads, 0),
               (SELECT extract(epoch FROM f.age) FROM crm.freshness f WHERE f.workspace = w.name AND f.class = 'new'),
               extract(epoch FROM now() - w.active_as_of)
        FROM crm.workspaces w
        LEFT JOIN LATERAL (
            SELECT sum(r.pages)::int8 AS pages, sum(r.leads)::int8 AS leads FROM sync.ranges r
            WHERE r.workspace = w.name
              AND (coalesce(r.campaign, r.list_id) IS NULL)
                  = EXISTS (SELECT FROM sync.sweeps s WHERE s.workspace = w.name)
        ) c ON true
        CROSS JOIN LATERAL (
            SELECT count(*) FILTER (WHERE q.dead_at IS NOT NULL) AS dead,
                   count(*) FILTER (WHERE q.dead_at IS NULL AND q.held_at IS NULL) AS pending,
                   extract(epoch FROM now() - min(q.queued_at) FILTER (WHERE q.dead_at IS NULL AND q.held_at IS NULL))
                       AS oldest
            FROM sync.queue q WHERE q.workspace = w.name
        ) queue
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
                           .is_driven = is_driven(transaction, name),
                           .leads = row[3].as<std::int64_t>(),
                           .active_leads = row[15].as<std::int64_t>(),
                           .new_seconds_ago = seconds(row[16]),
                           .active_seconds_ago = seconds(row[17]),
                           .rest_seconds_ago = seconds(row[4]),
                           .pending = row[5].as<std::int64_t>(),
                           .oldest_pending_seconds = seconds(row[6]),
                           .errors = row[7].as<std::int64_t>(),
                           .dead_letters = row[8].as<std::int64_t>(),
                           .conflicts = row[9].as<std::int64_t>(),
                           .held = row[10].as<std::int64_t>(),
                           .requests_last_minute = row[11].as<int>(),
                           .sweep_pages = count(row[12]),
                           .sweep_leads = count(row[13]),
                           .reported_seconds_ago = row[14].as<double>()});
    return all;
}

}  // namespace leadsync::postgres
