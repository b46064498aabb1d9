#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/queue.hpp"

namespace leadsync::postgres {
namespace {

using sync::Field;

/// Looked for without a lock, for a writer may hold many of those that are looked at.
const Statement& look_for_moves() {
    static const Statement statement{"look_for_moves", R"sql(
        SELECT due.lead_id, b.instantly_id, b.content->>'campaign', b.content->>'list_id', l.campaign, l.list_id
        FROM (
            SELECT q.lead_id FROM sync.queue q
            WHERE q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.kind <> 'create'
              AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
              AND q.attempts = 0 AND q.resends = 0 AND q.decision IS NULL
            ORDER BY q.due_at LIMIT $2
        ) due
        JOIN sync.base b ON b.workspace = $1 AND b.lead_id = due.lead_id
        JOIN crm.leads l ON l.workspace = $1 AND l.id = due.lead_id
        WHERE b.deleted_at IS NULL AND b.gone_at IS NULL AND b.expected IS NULL
          AND (l.campaign::text IS DISTINCT FROM b.content->>'campaign'
               OR l.list_id::text IS DISTINCT FROM b.content->>'list_id')
          AND NOT EXISTS (SELECT FROM sync.merges m WHERE m.workspace = $1 AND m.source_id = due.lead_id)
          AND )sql" + row_agrees_with_base(Agreement::but_for_the_place)
                                                           + " LIMIT $3"};
    return statement;
}

}  // namespace

std::vector<store::MoveClaim> Queue::claim_moves(int limit, int scan, std::chrono::milliseconds lease,
                                                 std::chrono::milliseconds aside) {
    static const Statement take{"claim_moves", R"sql(
        WITH locked AS (
            SELECT q.ctid AS place FROM sync.queue q
            WHERE q.workspace = $1 AND q.lead_id = ANY ($2::uuid[]) AND q.dead_at IS NULL AND q.held_at IS NULL
              AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
              AND q.attempts = 0 AND q.resends = 0 AND q.decision IS NULL
            FOR UPDATE SKIP LOCKED
        )
        UPDATE sync.queue q
        SET lease_token = nextval('sync.lease_tokens'), lease_until = now() + $3::int8 * interval '1 millisecond',
            due_at = now() + $4::int8 * interval '1 millisecond'
        FROM locked WHERE q.ctid = locked.place
        RETURNING q.lead_id, q.generation, q.lease_token
    )sql"};
    std::map<sync::LeadId, store::MoveClaim> found;
    std::vector<sync::LeadId> ids;
    const auto value = [](const pqxx::field& field) {
        return field.is_null() ? sync::Value{} : sync::Value{field.c_str()};
    };
    for (const auto& row : execute(transaction_, look_for_moves(), workspace_, scan, limit)) {
        sync::Content base;
        base[Field::campaign] = value(row[2]);
        base[Field::list_id] = value(row[3]);
        sync::Content local;
        local[Field::campaign] = value(row[4]);
        local[Field::list_id] = value(row[5]);
        const auto intent = sync::move_between(base, local);
        if (!intent) continue;
        const sync::LeadId id{row[0].c_str()};
        ids.push_back(id);
        store::MoveClaim move{{.id = id, .instantly_id = {row[1].c_str()}}, *intent};
        move.claim.work = store::Work::reconcile;
        move.claim.unsent = true;
        found.emplace(id, std::move(move));
    }
    std::vector<store::MoveClaim> moves;
    if (ids.empty()) return moves;
    for (const auto& row : execute(transaction_, take, workspace_, array_of(ids), lease.count(), aside.count())) {
        auto& move = found.at({row[0].c_str()});
        move.claim.generation = row[1].as<std::int64_t>();
        move.claim.lease_token = row[2].as<std::int64_t>();
        moves.push_back(std::move(move));
    }
    return moves;
}

}  // namespace leadsync::postgres
