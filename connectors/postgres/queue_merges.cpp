#include "connectors/postgres/database.hpp"
#include "connectors/postgres/queue.hpp"

namespace leadsync::postgres {

void Queue::merge_leaves(const sync::LeadId& source) {
    static const Statement statement{"merge_leaves", R"sql(
        UPDATE sync.merges SET sent_at = now() WHERE workspace = $1 AND source_id = $2::uuid
    )sql"};
    execute(transaction_, statement, workspace_, source.text);
}

void Queue::merge_ended(const sync::LeadId& source, bool merged) {
    static const Statement forget{"forget_merge", R"sql(
        DELETE FROM sync.merges WHERE workspace = $1 AND source_id = $2::uuid
    )sql"};
    static const Statement merge{"remove_merged", R"sql(
        WITH told AS (
            INSERT INTO crm.history (workspace, lead_id, old, new, side, rule, request)
            SELECT m.workspace, m.source_id, s.email, d.email, 'local', 'merged', 'POST /leads/merge'
            FROM sync.merges m
            LEFT JOIN crm.leads s ON s.workspace = m.workspace AND s.id = m.source_id
            LEFT JOIN crm.leads d ON d.workspace = m.workspace AND d.id = m.destination_id
            WHERE m.workspace = $1 AND m.source_id = $2::uuid
        ), absent AS (
            DELETE FROM sync.absent WHERE workspace = $1 AND lead_id = $2::uuid
        ), undecided AS (
            DELETE FROM crm.held WHERE workspace = $1 AND lead_id = $2::uuid AND decision IS NULL
        ), released AS (
            UPDATE sync.queue SET held_at = NULL WHERE workspace = $1 AND lead_id = $2::uuid AND held_at IS NOT NULL
        ), base AS (
            DELETE FROM sync.base WHERE workspace = $1 AND lead_id = $2::uuid
        )
        DELETE FROM crm.leads WHERE workspace = $1 AND id = $2::uuid
    )sql"};
    if (merged) execute(transaction_, merge, workspace_, source.text);
    execute(transaction_, forget, workspace_, source.text);
}

}  // namespace leadsync::postgres
