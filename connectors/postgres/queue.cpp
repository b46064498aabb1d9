#include "connectors/postgres/queue.hpp"

#include <array>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

using store::Claim;
using store::Work;

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

}  // namespace

Work work_named(std::string_view name) {
    if (name == "reconcile") return Work::reconcile;
    if (name == "create") return Work::create;
    return name == "remove" ? Work::remove : Work::nothing;
}

store::Approval approval_named(std::string_view name) {
    if (name == "approve") return store::Approval::approved;
    return name == "reject" ? store::Approval::rejected : store::Approval::none;
}

std::vector<Claim> Queue::claim(int limit, std::chrono::milliseconds lease, bool creates_too) {
    static const Statement statement{"claim", R"sql(
        WITH due AS (
            SELECT waiting.lead_id FROM (
                SELECT * FROM (
                    SELECT q.lead_id, q.due_at FROM sync.queue q
                    WHERE q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.kind <> 'create'
                      AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
                    ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
                ) known
                UNION ALL
                SELECT * FROM (
                    SELECT q.lead_id, q.due_at FROM sync.queue q
                    WHERE $4 AND q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.kind = 'create'
                      AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
                    ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
                ) unborn
            ) waiting
            ORDER BY waiting.due_at LIMIT $2
        ), leased AS (
            UPDATE sync.queue q
            SET lease_token = nextval('sync.lease_tokens'), lease_until = now() + $3::int8 * interval '1 millisecond'
            FROM due WHERE q.workspace = $1 AND q.lead_id = due.lead_id
            RETURNING q.*
        )
        SELECT leased.lead_id, leased.generation, leased.lease_token, leased.attempts, leased.resends,
               b.instantly_id, b.expected IS NOT NULL AND b.expected_until > now() AS expecting,
               CASE WHEN b.deleted_at IS NOT NULL THEN 'remove'
                    WHEN b.lead_id IS NOT NULL THEN 'reconcile'
                    WHEN EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = leased.lead_id) THEN 'create'
                    ELSE 'nothing' END AS work,
               coalesce(leased.decision, '') AS decision, coalesce(leased.decided, '') AS decided,
               m.destination_id, d.instantly_id AS merge_destination, (extract(epoch FROM now() - m.sent_at) * 1000)::int8 AS merge_sent_ago
        FROM leased
        LEFT JOIN sync.base b ON b.workspace = $1 AND b.lead_id = leased.lead_id
        LEFT JOIN sync.merges m ON m.workspace = $1 AND m.source_id = leased.lead_id
        LEFT JOIN sync.base d ON d.workspace = $1 AND d.lead_id = m.destination_id AND d.deleted_at IS NULL
                             AND d.gone_at IS NULL
        ORDER BY leased.lead_id
    )sql"};
    std::vector<Claim> claims;
    for (const auto& row : execute(transaction_, statement, workspace_, limit, lease.count(), creates_too)) {
        Claim claim{.id = {row["lead_id"].c_str()}, .instantly_id = {row["instantly_id"].as<std::string>("")}};
        claim.work = work_named(row["work"].c_str());
        claim.generation = row["generation"].as<std::int64_t>();
        claim.lease_token = row["lease_token"].as<std::int64_t>();
        claim.attempts = row["attempts"].as<int>();
        claim.resends = row["resends"].as<int>();
        claim.expecting = row["expecting"].as<bool>(false);
        claim.approval = approval_named(row["decision"].c_str());
        claim.approval_of = hold_kind_named(row["decided"].c_str());
        if (!row["destination_id"].is_null()) claim.merge_into = sync::LeadId{row["destination_id"].c_str()};
        claim.merge_destination = {row["merge_destination"].as<std::string>("")};
        if (const auto field = row["merge_sent_ago"]; !field.is_null())
            claim.merge_sent_ago = std::chrono::milliseconds{field.as<std::int64_t>()};
        claims.push_back(std::move(claim));
    }
    return claims;
}

void Queue::complete(const std::vector<Claim>& claims) {
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
        execute(transaction_, finish, workspace_, arrays.ids, arrays.generations, arrays.tokens).affected_rows();
    if (finished < claims.size()) execute(transaction_, release, workspace_, arrays.ids, arrays.tokens);
}

void Queue::defer(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
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
    execute(transaction_, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, delay.count());
}

void Queue::retry(const Claim& claim, std::chrono::milliseconds delay, const std::string& error) {
    static const Statement statement{"retry", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5,
            attempts = CASE WHEN generation = $3 THEN attempts + 1 ELSE 0 END,
            due_at = CASE WHEN generation = $3 THEN now() + $6::int8 * interval '1 millisecond' ELSE now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
    )sql"};
    execute(transaction_, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, error,
            delay.count());
}

void Queue::resent(const Claim& claim, std::chrono::milliseconds delay, const std::string& what) {
    static const Statement statement{"resent", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5, resends = resends + 1,
            due_at = CASE WHEN generation = $3 THEN now() + $6::int8 * interval '1 millisecond' ELSE now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
    )sql"};
    execute(transaction_, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, what,
            delay.count());
}

bool Queue::dead_letter(const Claim& claim, const std::string& reason) {
    static const Statement statement{"dead_letter", R"sql(
        UPDATE sync.queue
        SET lease_token = NULL, lease_until = NULL, last_error = $5, attempts = attempts + 1,
            dead_at = CASE WHEN generation = $3 THEN now() END
        WHERE workspace = $1 AND lead_id = $2::uuid AND lease_token = $4
        RETURNING dead_at IS NOT NULL
    )sql"};
    const auto rows =
        execute(transaction_, statement, workspace_, claim.id.text, claim.generation, claim.lease_token, reason);
    return !rows.empty() && rows[0][0].as<bool>();
}

void Queue::add_attempts(const std::vector<store::Attempt>& attempts) {
    static const Statement add{"add_attempts", R"sql(
        INSERT INTO crm.attempts (workspace, lead_id, outcome, error, request, sent, answer)
        SELECT $1, u.lead_id, u.outcome, u.error, nullif(u.request, ''), nullif(u.sent, ''), nullif(u.answer, '')
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS u(lead_id, outcome, error, request, sent, answer)
    )sql"};
    static const Statement forget_oldest{"forget_oldest_attempts", R"sql(
        DELETE FROM crm.attempts a USING unnest($2::uuid[]) AS u(lead_id)
        WHERE a.workspace = $1 AND a.lead_id = u.lead_id
          AND a.id <= (SELECT b.id FROM crm.attempts b WHERE b.workspace = $1 AND b.lead_id = u.lead_id
                       ORDER BY b.id DESC OFFSET $3 LIMIT 1)
    )sql"};
    if (attempts.empty()) return;
    constexpr std::array outcomes{"retry", "sent again", "given up"};
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    std::array<BinaryArray, 5> texts{BinaryArray{text}, BinaryArray{text}, BinaryArray{text}, BinaryArray{text},
                                     BinaryArray{text}};
    for (const auto& attempt : attempts) {
        ids.add(attempt.lead.text);
        texts[0].add(outcomes.at(static_cast<std::size_t>(attempt.outcome)));
        texts[1].add(attempt.error);
        texts[2].add(attempt.exchange.request);
        texts[3].add(attempt.exchange.sent);
        texts[4].add(attempt.exchange.answer);
    }
    execute(transaction_, add, workspace_, ids.finish(), texts[0].finish(), texts[1].finish(), texts[2].finish(),
            texts[3].finish(), texts[4].finish());
    execute(transaction_, forget_oldest, workspace_, ids.finish(), attempts_kept);
}

void Queue::enqueue(const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"enqueue", R"sql(
        INSERT INTO sync.queue AS q (workspace, lead_id)
        SELECT $1, u.lead_id FROM unnest($2::uuid[]) AS u(lead_id) ORDER BY u.lead_id
        ON CONFLICT (workspace, lead_id) DO UPDATE SET generation = q.generation + 1
        WHERE q.dead_at IS NULL
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

void Queue::look_again(const std::vector<sync::LeadId>& ids, std::chrono::milliseconds delay) {
    static const Statement statement{"look_again", R"sql(
        INSERT INTO sync.queue (workspace, lead_id, due_at)
        SELECT $1, u.lead_id, now() + $3::int8 * interval '1 millisecond' FROM unnest($2::uuid[]) AS u(lead_id)
        ORDER BY u.lead_id
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    if (ids.empty()) return;
    transaction_.conn().prepare(statement.name, statement.sql);
    for (const auto& id : ids) {
        pqxx::subtransaction attempt{transaction_};
        try {
            // As text, which opens the savepoint: in libpqxx 6 a prepared statement does not.
            attempt.exec("SET LOCAL lock_timeout = '100ms'");
            attempt.exec_prepared(statement.name, workspace_, array_of(std::vector{id}), delay.count());
            attempt.commit();
        } catch (const pqxx::sql_error&) {
            attempt.abort();  // the lock is held by the edit that queues the lead itself
        }
    }
    transaction_.exec("SET LOCAL lock_timeout = '10s'");
}

void Queue::forget_dead(const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"forget_dead", R"sql(
        DELETE FROM sync.queue WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND dead_at IS NOT NULL
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

void Queue::release_all() {
    static const Statement statement{"release_all", R"sql(
        UPDATE sync.queue SET lease_token = NULL, lease_until = NULL
        WHERE workspace = $1 AND lease_token IS NOT NULL
    )sql"};
    execute(transaction_, statement, workspace_);
}

std::optional<std::chrono::milliseconds> Queue::next_due(bool creates_too) {
    // Leads in hand stand first, a few hundred at most: behind them the order is that of the index.
    static const Statement statement{"next_due", R"sql(
        SELECT ceil(extract(epoch FROM min(greatest(next.due_at, next.lease_until, now())) - now()) * 1000)::int8
        FROM (
            SELECT * FROM (
                SELECT due_at, lease_until FROM sync.queue
                WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind <> 'create'
                ORDER BY due_at LIMIT 1000
            ) known
            UNION ALL
            SELECT * FROM (
                SELECT due_at, lease_until FROM sync.queue
                WHERE $2 AND workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind = 'create'
                ORDER BY due_at LIMIT 1000
            ) unborn
        ) next
    )sql"};
    const auto row = execute(transaction_, statement, workspace_, creates_too)[0];
    if (row[0].is_null()) return std::nullopt;
    return std::chrono::milliseconds{row[0].as<std::int64_t>()};
}

bool Queue::is_idle() {
    static const Statement statement{"is_idle", R"sql(
        SELECT NOT EXISTS (SELECT FROM sync.queue WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL
                           AND kind <> 'create')
           AND NOT EXISTS (SELECT FROM sync.queue WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL
                           AND kind = 'create')
    )sql"};
    return execute(transaction_, statement, workspace_)[0][0].as<bool>();
}

bool Queue::fall_asleep() {
    static const Statement look{"doorbell", R"sql(
        SELECT d.heard_from IS NOT NULL AND d.heard_from <= pg_snapshot_xmin(s.snapshot),
               pg_snapshot_xmin(s.snapshot) = pg_snapshot_xmax(s.snapshot), d.heard_from IS NULL
        FROM pg_current_snapshot() AS s(snapshot)
        JOIN sync.doorbell d ON d.workspace = $1 AND d.asleep
    )sql"};
    static const Statement hang_up{"fall_asleep", R"sql(
        INSERT INTO sync.doorbell (workspace, asleep) VALUES ($1, true)
        ON CONFLICT (workspace) DO UPDATE SET asleep = true, heard_from = NULL
    )sql"};
    static const Statement wait{"wait_for_unheard", R"sql(
        UPDATE sync.doorbell SET heard_from = pg_snapshot_xmax(pg_current_snapshot()) WHERE workspace = $1
    )sql"};
    const auto rows = execute(transaction_, look, workspace_);
    if (rows.empty()) {
        execute(transaction_, hang_up, workspace_);
        return false;
    }
    const bool waited_for = rows[0][0].as<bool>();
    const bool nobody_writes = rows[0][1].as<bool>();
    if (waited_for || nobody_writes) return true;
    if (rows[0][2].as<bool>()) execute(transaction_, wait, workspace_);
    return false;
}

void Queue::wake() {
    static const Statement statement{"wake",
                                     "UPDATE sync.doorbell SET asleep = false WHERE workspace = $1 AND asleep"};
    execute(transaction_, statement, workspace_);
}

}  // namespace leadsync::postgres
