#include "connectors/postgres/checkpoints.hpp"

#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

Checkpoint Checkpoints::open(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{"open_checkpoint", R"sql(
        INSERT INTO sync.checkpoints AS c (workspace, name) VALUES ($1, $2)
        ON CONFLICT (workspace, name) DO UPDATE SET updated_at = now()
        RETURNING c.cursor, c.pages, c.leads, extract(epoch FROM now() - c.started_at)
    )sql"};
    const auto row = execute(transaction, statement, workspace_, name)[0];
    Checkpoint checkpoint{.pages = row[1].as<std::int64_t>(),
                          .leads = row[2].as<std::int64_t>(),
                          .started_seconds_ago = row[3].as<double>()};
    if (!row[0].is_null()) checkpoint.cursor = row[0].as<std::string>();
    return checkpoint;
}

void Checkpoints::advance(pqxx::work& transaction, const std::string& name, const std::string& cursor,
                          std::int64_t leads) {
    static const Statement statement{"advance_checkpoint", R"sql(
        UPDATE sync.checkpoints SET cursor = $3, pages = pages + 1, leads = leads + $4, updated_at = now()
        WHERE workspace = $1 AND name = $2
    )sql"};
    execute(transaction, statement, workspace_, name, cursor, leads);
}

void Checkpoints::finish_sweep(pqxx::work& transaction, const std::string& name) {
    static const Statement statement{"finish_sweep", R"sql(
        WITH finished AS (
            DELETE FROM sync.checkpoints WHERE workspace = $1 AND name = $2 RETURNING started_at
        )
        UPDATE crm.workspaces w
        SET backfilled_at = coalesce(w.backfilled_at, now()), sweep_completed_at = now(),
            fresh_as_of = finished.started_at, updated_at = now()
        FROM finished WHERE w.name = $1
    )sql"};
    execute(transaction, statement, workspace_, name);
}

}  // namespace leadsync::postgres
