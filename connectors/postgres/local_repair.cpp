#include <fmt/format.h>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {

using sync::InstantlyId;
using sync::LeadId;

namespace {

/// Whether row `l` and base `b` tell different things of themselves, whatever was edited: a row that is gone, back,
/// or of another time than its base. Capture and the sync write both in one transaction, of which a statement sees
/// all or nothing.
constexpr auto is_broken = R"sql(
    CASE WHEN b.deleted_at IS NOT NULL THEN l.id IS NOT NULL
         ELSE b.gone_at IS NULL AND b.content_hash <> 0
              AND (l.instantly_id IS DISTINCT FROM b.instantly_id
                   OR l.timestamp_updated IS DISTINCT FROM b.remote_updated_at) END
)sql";

/// In order: most leads lie in both tables as they did in the pages that brought them. Each row is read by its key
/// (OFFSET 0): of two ids the planner can't tell how many are between them, takes that for none, and a join of its
/// own choice compares all with all.
const Statement& compare() {
    static const auto query = fmt::format(
        R"sql(
        SELECT b.lead_id, b.instantly_id, {0}
        FROM (SELECT * FROM sync.base WHERE workspace = $1 AND lead_id > $2 ORDER BY lead_id LIMIT $3) b
        LEFT JOIN LATERAL (SELECT * FROM crm.leads WHERE workspace = $1 AND id = b.lead_id OFFSET 0) l ON true
        WHERE ({0} OR (b.deleted_at IS NULL AND b.gone_at IS NULL AND b.expected IS NULL
                       AND (l.sync_status IN ('pending', 'verifying') OR (l.sync_status = 'synced' AND NOT ({1})))
                       AND NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = $1 AND q.lead_id = b.lead_id)))
        )sql",
        is_broken, row_agrees_with_base(Agreement::everywhere));
    static const Statement statement{"compare_rows", query};
    return statement;
}

const Statement& show_anew() {
    static const auto query = fmt::format(
        R"sql(
        WITH broken AS (
            SELECT b.lead_id, b.deleted_at IS NOT NULL AS put_back
            FROM sync.base b LEFT JOIN crm.leads l ON l.workspace = $1 AND l.id = b.lead_id
            WHERE b.workspace = $1 AND b.lead_id = ANY ($2::uuid[]) AND {}
            ORDER BY b.lead_id FOR NO KEY UPDATE OF b SKIP LOCKED
        )
        UPDATE sync.base b
        SET content_hash = 0, deleted_at = NULL,
            expected = CASE WHEN NOT broken.put_back THEN b.expected END,
            expected_until = CASE WHEN NOT broken.put_back THEN b.expected_until END
        FROM broken WHERE b.workspace = $1 AND b.lead_id = broken.lead_id
        )sql",
        is_broken);
    static const Statement statement{"show_anew", query};
    return statement;
}

/// Queues the rows that `chosen` selects and locks, as mark_pending and the capture do.
std::string queue_rows(std::string_view kind, std::string_view chosen) {
    return fmt::format(
        R"sql(
        WITH chosen AS ({1}), queued AS (
            INSERT INTO sync.queue (workspace, lead_id, kind, edited_at)
            SELECT $1, id, '{0}', clock_timestamp() FROM chosen ORDER BY id
            ON CONFLICT (workspace, lead_id) DO NOTHING
            RETURNING lead_id
        )
        UPDATE crm.leads l SET sync_status = 'pending', sync_error = NULL, updated_at = now()
        FROM queued WHERE l.workspace = $1 AND l.id = queued.lead_id
        )sql",
        kind, chosen);
}

const Statement& queue_edits() {
    static const auto query = queue_rows("change", R"sql(
        SELECT l.id FROM crm.leads l
        WHERE l.workspace = $1 AND l.id = ANY ($2::uuid[]) AND l.sync_status IN ('synced', 'pending', 'verifying')
        ORDER BY l.id FOR NO KEY UPDATE SKIP LOCKED
    )sql");
    static const Statement statement{"queue_edits", query};
    return statement;
}

const Statement& queue_creates() {
    static const auto query = queue_rows("create", R"sql(
        SELECT l.id FROM crm.leads l
        WHERE l.workspace = $1 AND l.instantly_id IS NULL AND l.sync_status IN ('pending', 'synced')
          AND (l.campaign IS NOT NULL OR l.list_id IS NOT NULL)
          AND NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = $1 AND q.lead_id = l.id)
          AND NOT EXISTS (SELECT FROM sync.base b WHERE b.workspace = $1 AND b.lead_id = l.id)
        LIMIT $2 FOR NO KEY UPDATE OF l SKIP LOCKED
    )sql");
    static const Statement statement{"queue_creates", query};
    return statement;
}

}  // namespace

// What somebody has locked is being written, and is left to the next time.
store::Repaired Leads::repair(const std::optional<LeadId>& after, int limit) {
    static const Statement end{"repair_end", R"sql(
        SELECT lead_id FROM sync.base WHERE workspace = $1 AND lead_id > $2::uuid ORDER BY lead_id OFFSET $3 LIMIT 1
    )sql"};
    const std::string first = after ? after->text : first_id;
    store::Repaired repaired;
    if (const auto rows = execute(transaction_, end, workspace_, first, limit - 1); !rows.empty())
        repaired.last = LeadId{rows[0][0].c_str()};
    std::vector<LeadId> broken;
    std::vector<InstantlyId> others;
    for (const auto& row : execute(transaction_, compare(), workspace_, first, limit)) {
        if (row[2].as<bool>())
            broken.push_back({row[0].c_str()});
        else
            others.push_back({row[1].c_str()});
    }
    if (!broken.empty())
        repaired.shown_anew = static_cast<std::int64_t>(
            execute(transaction_, show_anew(), workspace_, array_of(broken)).affected_rows());
    std::vector<LeadId> edited;
    for (const auto& lead : load(others, store::Lock::none, {}))
        if (lead.status != sync::SyncStatus::synced || sync::differ_both_ways(lead.local, lead.base.content))
            edited.push_back(lead.id);
    if (!edited.empty())
        repaired.edited = static_cast<std::int64_t>(
            execute(transaction_, queue_edits(), workspace_, array_of(edited)).affected_rows());
    return repaired;
}

std::int64_t Leads::queue_unborn(int limit) {
    return static_cast<std::int64_t>(execute(transaction_, queue_creates(), workspace_, limit).affected_rows());
}

}  // namespace leadsync::postgres
