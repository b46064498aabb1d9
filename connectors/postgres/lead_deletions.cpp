#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {

using sync::InstantlyId;
using sync::LeadId;

void Leads::note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                        const std::vector<InstantlyId>& present, sync::Instant requested_at) {
    // Read off the index of ids: a page in which nothing is missing writes nothing. A lead on its way into another is
    // gone when it got there: whoever merges it knows.
    static const Statement statement{"note_absent", R"sql(
        INSERT INTO sync.absent (workspace, lead_id, instantly_id)
        SELECT $1, b.lead_id, b.instantly_id FROM sync.base b
        WHERE b.workspace = $1 AND b.instantly_id > $2::uuid AND b.instantly_id <= $3::uuid
          AND b.instantly_id <> ALL ($4::uuid[])
          AND b.deleted_at IS NULL AND b.gone_at IS NULL
          AND NOT EXISTS (SELECT FROM sync.merges m WHERE m.workspace = b.workspace AND m.source_id = b.lead_id)
          AND (b.written_at IS NULL OR b.written_at < to_timestamp($5::float8))
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    seen(present);
    execute(transaction_, statement, workspace_, after.value_or(first_id), last.value_or(last_id), array_of(present),
            epoch_seconds(requested_at));
}

void Leads::note_absent(const std::vector<InstantlyId>& asked, const std::vector<InstantlyId>& present,
                        sync::Instant requested_at) {
    static const Statement statement{"note_not_shown", R"sql(
        INSERT INTO sync.absent (workspace, lead_id, instantly_id, by_sweep)
        SELECT $1, b.lead_id, b.instantly_id, false FROM sync.base b
        WHERE b.workspace = $1 AND b.instantly_id = ANY ($2::uuid[])
          AND b.deleted_at IS NULL AND b.gone_at IS NULL
          AND NOT EXISTS (SELECT FROM sync.merges m WHERE m.workspace = b.workspace AND m.source_id = b.lead_id)
          AND (b.written_at IS NULL OR b.written_at < to_timestamp($3::float8))
        ORDER BY b.lead_id
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    seen(present);
    std::unordered_set<std::string> shown;
    for (const auto& id : present) shown.insert(id.text);
    std::vector<InstantlyId> missing;
    for (const auto& id : asked)
        if (!shown.contains(id.text)) missing.push_back(id);
    if (!missing.empty())
        execute(transaction_, statement, workspace_, array_of(missing), epoch_seconds(requested_at));
}

/// Leads that an answer shows are not gone, whatever was found before: evidence that waited for a decision, or for a
/// process that ended behind it, is void.
void Leads::seen(const std::vector<InstantlyId>& ids) {
    static const Statement statement{"seen", R"sql(
        WITH back AS (
            DELETE FROM sync.absent a
            WHERE a.workspace = $1 AND a.instantly_id = ANY ($2::uuid[]) AND a.confirmed_at IS NOT NULL
            RETURNING a.lead_id
        ), undecided AS (
            DELETE FROM crm.held h USING back
            WHERE h.workspace = $1 AND h.lead_id = back.lead_id AND h.kind = 'delete' AND h.side = 'remote'
              AND h.decision IS NULL
            RETURNING h.lead_id
        )
        INSERT INTO sync.queue AS q (workspace, lead_id)
        SELECT $1, lead_id FROM undecided ORDER BY lead_id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET due_at = now(), generation = q.generation + 1,
                -- The statement still sees what it takes away.
                held_at = CASE WHEN EXISTS (SELECT FROM crm.held h WHERE h.workspace = $1 AND h.lead_id = q.lead_id
                                            AND h.decision IS NULL AND (h.kind, h.side) <> ('delete', 'remote'))
                               THEN q.held_at END
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

std::vector<std::pair<LeadId, InstantlyId>> Leads::absent(store::Absence by, int limit) {
    static const Statement statement{"absent", R"sql(
        SELECT a.lead_id, a.instantly_id FROM sync.absent a
        WHERE a.workspace = $1 AND a.confirmed_at IS NULL AND a.by_sweep = $3
          AND NOT EXISTS (SELECT FROM sync.merges m WHERE m.workspace = a.workspace AND m.source_id = a.lead_id)
        ORDER BY a.lead_id LIMIT $2
    )sql"};
    std::vector<std::pair<LeadId, InstantlyId>> noted;
    for (const auto& row : execute(transaction_, statement, workspace_, limit, by == store::Absence::sweep))
        noted.emplace_back(LeadId{row[0].c_str()}, InstantlyId{row[1].c_str()});
    return noted;
}

void Leads::looked_into(const std::vector<LeadId>& ids, const std::unordered_set<std::string>& confirmed,
                        sync::Instant requested_at) {
    static const Statement confirm{"confirm_absent", R"sql(
        UPDATE sync.absent SET confirmed_at = now() WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    static const Statement observed{"observed_absent", R"sql(
        UPDATE sync.base SET observed_at = greatest(observed_at, to_timestamp($3::float8))
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    static const Statement forget{"forget_absent", R"sql(
        DELETE FROM sync.absent WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    std::vector<LeadId> gone;
    std::vector<LeadId> there;
    for (const auto& id : ids) (confirmed.contains(id.text) ? gone : there).push_back(id);
    if (!gone.empty()) {
        execute(transaction_, confirm, workspace_, array_of(gone));
        execute(transaction_, observed, workspace_, array_of(gone), epoch_seconds(requested_at));
    }
    if (!there.empty()) execute(transaction_, forget, workspace_, array_of(there));
}

std::vector<LeadId> Leads::confirmed_absent() {
    static const Statement statement{"confirmed_absent", R"sql(
        SELECT a.lead_id FROM sync.absent a WHERE a.workspace = $1 AND a.confirmed_at IS NOT NULL ORDER BY a.lead_id
    )sql"};
    std::vector<LeadId> ids;
    for (const auto& row : execute(transaction_, statement, workspace_)) ids.push_back({row[0].c_str()});
    return ids;
}

std::int64_t Leads::forget_old_tombstones(std::chrono::milliseconds margin, std::int64_t limit) {
    static const Statement statement{"forget_old_tombstones", R"sql(
        WITH old AS (
            SELECT b.lead_id FROM sync.base b
            WHERE b.workspace = $1 AND b.deleted_at IS NOT NULL AND b.expected ? ''
              AND b.buried_at <= (SELECT w.fresh_as_of FROM crm.workspaces w WHERE w.name = $1)
                                 - $2::int8 * interval '1 millisecond'
              AND NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = $1 AND q.lead_id = b.lead_id)
            ORDER BY b.buried_at LIMIT $3 FOR UPDATE OF b SKIP LOCKED
        )
        DELETE FROM sync.base b USING old WHERE b.workspace = $1 AND b.lead_id = old.lead_id
    )sql"};
    return static_cast<std::int64_t>(
        execute(transaction_, statement, workspace_, margin.count(), limit).affected_rows());
}

void Leads::mark_gone(const std::vector<LeadId>& ids, sync::RemoteDeletes policy) {
    // Held is not unsent: what is held may be this very deletion, and a held edit is in the queue.
    static const Statement statement{"mark_gone", R"sql(
        WITH gone AS (
            SELECT l.id, l.email,
                   l.sync_status = 'pending'
                   OR EXISTS (SELECT FROM sync.queue q WHERE q.workspace = l.workspace AND q.lead_id = l.id
                              AND q.edited_at IS NOT NULL)
                   OR EXISTS (SELECT FROM crm.conflicts c WHERE c.workspace = l.workspace AND c.lead_id = l.id
                              AND c.resolved_at IS NULL) AS unsent
            FROM crm.leads l WHERE l.workspace = $1 AND l.id = ANY ($2::uuid[])
            ORDER BY l.id FOR UPDATE
        ), told AS (
            INSERT INTO crm.history (workspace, lead_id, old, side, rule, request)
            SELECT $1, id, email, 'remote', 'deleted', 'GET /leads/{id}: 404' FROM gone
        ), removed AS (
            DELETE FROM crm.leads l USING gone
            WHERE $3 = 'remove' AND l.workspace = $1 AND l.id = gone.id AND NOT gone.unsent
        ), parked AS (
            UPDATE crm.leads l
            SET sync_status = CASE WHEN gone.unsent THEN 'error' ELSE 'deleted' END,
                sync_error = CASE WHEN gone.unsent THEN 'deleted on Instantly before this edit was sent: to have it '
                    || 'there again, insert it as a new lead; otherwise delete this row' END,
                deleted_at = now(), updated_at = now()
            FROM gone WHERE l.workspace = $1 AND l.id = gone.id AND (gone.unsent OR $3 = 'mark')
        ), bases AS (
            DELETE FROM sync.base b USING gone
            WHERE $3 = 'remove' AND b.workspace = $1 AND b.lead_id = gone.id AND NOT gone.unsent
        ), given_up AS (
            UPDATE sync.queue q
            SET dead_at = now(), lease_token = NULL, lease_until = NULL, held_at = NULL, decision = NULL,
                decided = NULL, last_error = 'deleted on Instantly'
            FROM gone WHERE q.workspace = $1 AND q.lead_id = gone.id AND gone.unsent
        ), finished AS (
            DELETE FROM sync.queue q USING gone WHERE q.workspace = $1 AND q.lead_id = gone.id AND NOT gone.unsent
        ), undecided AS (
            DELETE FROM crm.held h USING gone
            WHERE h.workspace = $1 AND h.lead_id = gone.id AND h.decision IS NULL
        ), merges AS (
            DELETE FROM sync.merges m WHERE m.workspace = $1 AND m.source_id = ANY ($2::uuid[])
        )
        DELETE FROM sync.absent a WHERE a.workspace = $1 AND a.lead_id = ANY ($2::uuid[])
    )sql"};
    static const Statement remember{"remember_gone", R"sql(
        UPDATE sync.base SET gone_at = now(), content_hash = 0, expected = NULL, expected_until = NULL
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (ids.empty()) return;
    const char* name = policy == sync::RemoteDeletes::mark     ? "mark"
                       : policy == sync::RemoteDeletes::remove ? "remove"
                                                               : "ignore";
    execute(transaction_, statement, workspace_, array_of(ids), name);
    execute(transaction_, remember, workspace_, array_of(ids));
}

void Leads::bring_back(const std::vector<LeadId>& ids) {
    static const Statement statement{"bring_back", R"sql(
        UPDATE sync.base SET deleted_at = NULL, content_hash = 0
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

void Leads::keep_gone(const std::vector<LeadId>& ids) {
    static const Statement keep{"keep_gone", R"sql(
        UPDATE crm.leads SET sync_status = 'error', sync_error = 'gone on Instantly; its deletion here was rejected'
        WHERE workspace = $1 AND id = ANY ($2::uuid[])
    )sql"};
    static const Statement remember{"remember_kept", R"sql(
        UPDATE sync.base SET gone_at = now(), content_hash = 0, expected = NULL, expected_until = NULL
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    static const Statement forget{"forget_kept", R"sql(
        DELETE FROM sync.absent WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (ids.empty()) return;
    for (const auto* statement : {&keep, &remember, &forget})
        execute(transaction_, *statement, workspace_, array_of(ids));
}

}  // namespace leadsync::postgres
