#include "connectors/postgres/queue.hpp"

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {
namespace {

struct ClaimArrays {
    pqxx::binarystring ids;
    pqxx::binarystring generations;
    pqxx::binarystring tokens;
};

ClaimArrays arrays_of(const std::vector<Claim>& claims) {
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray generations{BinaryArray::Element::int8};
    BinaryArray tokens{BinaryArray::Element::int8};
    for (const auto& claim : claims) {
        ids.add(claim.id.text);
        generations.add_int8(claim.generation);
        tokens.add_int8(claim.lease_token);
    }
    return {ids.finish(), generations.finish(), tokens.finish()};
}

Work work_named(std::string_view name) {
    if (name == "reconcile") return Work::reconcile;
    if (name == "create") return Work::create;
    return name == "remove" ? Work::remove : Work::nothing;
}

}  // namespace

std::vector<Claim> Queue::claim(pqxx::work& transaction, int limit, std::chrono::milliseconds lease,
                                bool creates_too) {
    static const Statement statement{"claim", R"sql(
        WITH due AS (
            SELECT q.lead_id FROM sync.queue q
            WHERE q.workspace = $1 AND q.dead_at IS NULL AND q.due_at <= now()
              AND (q.lease_until IS NULL OR q.lease_until <= now())
              AND ($4 OR EXISTS (SELECT FROM sync.base b WHERE b.workspace = $1 AND b.lead_id = q.lead_id)
                      OR NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = q.lead_id))
            ORDER BY q.due_at
            LIMIT $2
            FOR UPDATE SKIP LOCKED
        ), leased AS (
            UPDATE sync.queue q
            SET lease_token = nextval('sync.lease_tokens'), lease_until = now() + $3::int8 * interval '1 millisecond'
            FROM due WHERE q.workspace = $1 AND q.lead_id = due.lead_id
            RETURNING q.lead_id, q.generation, q.lease_token, q.attempts, q.resends
        )
        SELECT leased.lead_id, leased.generation, leased.lease_token, leased.attempts, b.instantly_id,
               CASE WHEN b.deleted_at IS NOT NULL THEN 'remove'
                    WHEN l.id IS NULL THEN 'nothing'
                    WHEN b.lead_id IS NULL THEN 'create'
                    ELSE 'reconcile' END,
               b.expected IS NOT NULL AND b.expected_until > now(), leased.resends
        FROM leased
        LEFT JOIN sync.base b ON b.workspace = $1 AND b.lead_id = leased.lead_id
        LEFT JOIN crm.leads l ON l.workspace = $1 AND l.id = leased.lead_id
        ORDER BY leased.lead_id
    )sql"};
    std::vector<Claim> claims;
    for (const auto& row : execute(transaction, statement, workspace_, limit, lease.count(), creates_too))
        claims.push_back({.id = {row[0].c_str()},
                          .instantly_id = {row[4].as<std::string>("")},
                          .work = work_named(row[5].c_str()),
                          .generation = row[1].as<std::int64_t>(),
                          .lease_token = row[2].as<std::int64_t>(),
                          .attempts = row[3].as<int>(),
                          .resends = row[7].as<int>(),
                          .expecting = row[6].as<bool>(false)});
    return claims;
}

void Queue::complete(pqxx::work& transaction, const std::vector<Claim>& claims) {
    static const Statement finish{"complete", R"sql(
        DELETE FROM sync.queue q
        USING unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.generation = c.generation AND q.lease_token = c.token
    )sql"};
    static const Statement release{"release_edited", R"sql(
        UPDATE sync.queue q SET lease_token = NULL, lease_until = NULL, attempts = 0
        FROM unnest($2::uuid[], $3::int8[]) AS c(lead_id, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.lease_token = c.token
    )sql"};
    if (claims.empty()) return;
    const auto arrays = arrays_of(claims);
    const auto finished =
        execute(transaction, finish, workspace_, arrays.ids, arrays.generations, arrays.tokens).affected_rows();
    if (finished < claims.size()) execute(transaction, release, workspace_, arrays.ids, arrays.tokens);
}

void Queue::defer(pqxx::work& transaction, const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    static const Statement statement{"defer", R"sql(
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL,
            due_at = CASE WHEN q.generation = c.generation THEN now() + $5::int8 * interval '1 millisecond'
                          ELSE now() END
        FROM unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.lease_token = c.token
    )sql"};
    if (claims.empty()) return;
    const auto arrays = arrays_of(claims);
    execute(transaction, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, delay.count());
}

void Queue::retry(pqxx::work& transaction, const Claim& claim, std::chrono::milliseconds delay,
                  const std::string& error) {
    static const Statement statement{"retry", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5,
            attempts = CASE WHEN generation = $3 THEN attempts + 1 ELSE 0 END,
            due_at = CASE WHEN generation = $3 THEN now() + $6::int8 * interval '1 millisecond' ELSE now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
    )sql"};
    execute(transaction, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, error,
            delay.count());
}

void Queue::resent(pqxx::work& transaction, const Claim& claim, std::chrono::milliseconds delay,
                   const std::string& what) {
    static const Statement statement{"resent", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5, resends = resends + 1,
            due_at = CASE WHEN generation = $3 THEN now() + $6::int8 * interval '1 millisecond' ELSE now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
    )sql"};
    execute(transaction, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, what,
            delay.count());
}

void Queue::dead_letter(pqxx::work& transaction, const Claim& claim, const std::string& reason) {
    static const Statement statement{"dead_letter", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5, attempts = attempts + 1,
            dead_at = CASE WHEN generation = $3 THEN now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
    )sql"};
    execute(transaction, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, reason);
}

void Queue::release_all(pqxx::work& transaction) {
    static const Statement statement{"release_all", R"sql(
        UPDATE sync.queue SET lease_token = NULL, lease_until = NULL
        WHERE workspace = $1 AND lease_token IS NOT NULL
    )sql"};
    execute(transaction, statement, workspace_);
}

std::optional<std::chrono::milliseconds> Queue::next_due(pqxx::work& transaction, bool creates_too) {
    static const Statement statement{"next_due", R"sql(
        SELECT ceil(greatest(0, extract(epoch FROM min(greatest(q.due_at, coalesce(q.lease_until, q.due_at))) - now()))
                    * 1000)::int8
        FROM sync.queue q
        WHERE q.workspace = $1 AND q.dead_at IS NULL
          AND ($2 OR EXISTS (SELECT FROM sync.base b WHERE b.workspace = $1 AND b.lead_id = q.lead_id))
    )sql"};
    const auto row = execute(transaction, statement, workspace_, creates_too)[0];
    if (row[0].is_null()) return std::nullopt;
    return std::chrono::milliseconds{row[0].as<std::int64_t>()};
}

std::int64_t Queue::pending(pqxx::work& transaction) {
    static const Statement statement{"pending", R"sql(
        SELECT count(*) FROM sync.queue WHERE workspace = $1 AND dead_at IS NULL
    )sql"};
    return execute(transaction, statement, workspace_)[0][0].as<std::int64_t>();
}

}  // namespace leadsync::postgres
