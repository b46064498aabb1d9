#include "connectors/postgres/queue.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_set>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

using store::Claim;
using store::FailedClaim;
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

std::vector<Claim> claims_of(const pqxx::result& rows) {
    std::vector<Claim> claims;
    for (const auto& row : rows) {
        Claim claim{.id = {row[0].c_str()}, .generation = row[1].as<std::int64_t>()};
        claim.lease_token = row[2].as<std::int64_t>();
        claims.push_back(std::move(claim));
    }
    return claims;
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
    return claim_within({}, limit, lease, creates_too, std::nullopt).value();
}

std::optional<std::vector<Claim>> Queue::claim_within(const store::Allowed& allowed, int limit,
                                                      std::chrono::milliseconds lease, bool creates_too,
                                                      std::optional<std::int64_t> token) {
    // What waits is counted from the index alone, and never too few: leads in hand, and such as only wait to be seen,
    // are in it too. Asked for as a range: where all are of one kind, PostgreSQL expects as many of any other, and
    // would look for them in the whole table. Its commit need not wait for the disk: what a crash of the server loses
    // is leases, which it voids anyway.
    static const Statement statement{"claim", R"sql(
        WITH relaxed AS MATERIALIZED (
            SELECT set_config('synchronous_commit', 'off', true)
        ), guard AS MATERIALIZED (
            SELECT coalesce(bool_or((SELECT count(*) FROM (
                    SELECT FROM sync.queue q
                    WHERE q.workspace = $1 AND q.kind BETWEEN u.kind AND u.kind AND q.edited_at IS NOT NULL
                      AND q.decision IS NULL AND q.dead_at IS NULL AND q.held_at IS NULL
                    ORDER BY q.kind LIMIT u.allowed + 1
                ) waiting) > u.allowed), false) AS trips
            FROM unnest($5::text[], $6::int8[]) AS u(kind, allowed)
        ), due AS (
            SELECT waiting.place FROM (
                SELECT * FROM (
                    SELECT q.ctid AS place, q.due_at FROM sync.queue q
                    WHERE q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.kind <> 'create'
                      AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
                    ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
                ) known
                UNION ALL
                SELECT * FROM (
                    SELECT q.ctid AS place, q.due_at FROM sync.queue q
                    WHERE $4 AND q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.kind = 'create'
                      AND q.due_at <= now() AND (q.lease_until IS NULL OR q.lease_until <= now())
                    ORDER BY q.due_at LIMIT $2 FOR UPDATE SKIP LOCKED
                ) unborn
            ) waiting
            WHERE NOT (SELECT trips FROM guard)
            ORDER BY waiting.due_at LIMIT $2
        ), woken AS (
            UPDATE sync.doorbell SET asleep = false WHERE workspace = $1 AND asleep AND EXISTS (SELECT FROM due)
        ), leased AS (
            UPDATE sync.queue q
            SET lease_token = coalesce($7, nextval('sync.lease_tokens')),
                lease_until = now() + $3::int8 * interval '1 millisecond'
            FROM due WHERE q.ctid = due.place
            RETURNING q.*
        )
        SELECT guard.trips, leased.lead_id, leased.generation, leased.lease_token, leased.attempts, leased.resends,
               b.instantly_id, leased.edited_at > coalesce(b.written_at, '-infinity') AS unsent,
               b.expected IS NOT NULL AND b.expected_until > now() AS expecting,
               CASE WHEN b.deleted_at IS NOT NULL THEN 'remove'
                    WHEN b.lead_id IS NOT NULL THEN 'reconcile'
                    WHEN EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = leased.lead_id) THEN 'create'
                    ELSE 'nothing' END AS work,
               coalesce(leased.decision, '') AS decision, coalesce(leased.decided, '') AS decided,
               m.destination_id, d.instantly_id AS merge_destination, (extract(epoch FROM now() - m.sent_at) * 1000)::int8 AS merge_sent_ago
        FROM relaxed CROSS JOIN guard LEFT JOIN leased ON true
        LEFT JOIN sync.base b ON b.workspace = $1 AND b.lead_id = leased.lead_id
        LEFT JOIN sync.merges m ON m.workspace = $1 AND m.source_id = leased.lead_id
        LEFT JOIN sync.base d ON d.workspace = $1 AND d.lead_id = m.destination_id AND d.deleted_at IS NULL
                             AND d.gone_at IS NULL
        ORDER BY leased.lead_id
    )sql"};
    BinaryArray kinds{BinaryArray::Element::text};
    BinaryArray limits{BinaryArray::Element::int8};
    for (const auto& [kind, most] : allowed) {
        kinds.add(name_of(kind).kind);
        limits.add_int8(most);
    }
    const auto rows = execute(transaction_, statement, workspace_, limit, lease.count(), creates_too, kinds.finish(),
                              limits.finish(), token);
    if (rows[0]["trips"].as<bool>()) return std::nullopt;
    std::vector<Claim> claims;
    for (const auto& row : rows) {
        if (row["lead_id"].is_null()) break;
        Claim claim{.id = {row["lead_id"].c_str()}, .instantly_id = {row["instantly_id"].as<std::string>("")}};
        claim.work = work_named(row["work"].c_str());
        claim.generation = row["generation"].as<std::int64_t>();
        claim.lease_token = row["lease_token"].as<std::int64_t>();
        claim.attempts = row["attempts"].as<int>();
        claim.resends = row["resends"].as<int>();
        claim.unsent = row["unsent"].as<bool>(false);
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

void Queue::defer_together(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    static const Statement statement{"defer_together", R"sql(
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL,
            due_at = CASE WHEN q.generation = c.generation
                          THEN date_bin($6::int8 * interval '1 millisecond', now() + $5::int8 * interval '1 millisecond',
                                        timestamptz 'epoch') + $6::int8 * interval '1 millisecond'
                          ELSE now() END
        FROM unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.lease_token = c.token
    )sql"};
    if (claims.empty()) return;
    const auto arrays = arrays_of(claims);
    const auto step = std::max<std::int64_t>(1, delay.count() / 2);
    execute(transaction_, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, delay.count(), step);
}

std::vector<Claim> Queue::give_back(const std::vector<Claim>& claims, std::chrono::milliseconds delay) {
    static const Statement statement{"give_back", R"sql(
        WITH free AS (
            SELECT q.lead_id, q.generation = c.generation AS is_as_claimed
            FROM unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
            JOIN sync.queue q ON q.workspace = $1 AND q.lead_id = c.lead_id AND q.lease_token = c.token
            FOR UPDATE OF q SKIP LOCKED
        )
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL,
            due_at = CASE WHEN free.is_as_claimed THEN now() + $5::int8 * interval '1 millisecond' ELSE now() END
        FROM free WHERE q.workspace = $1 AND q.lead_id = free.lead_id
    )sql"};
    static const Statement look{"not_given_back", R"sql(
        SELECT q.lead_id FROM unnest($2::uuid[], $3::int8[]) AS c(lead_id, token)
        JOIN sync.queue q ON q.workspace = $1 AND q.lead_id = c.lead_id AND q.lease_token = c.token
    )sql"};
    std::vector<Claim> left;
    if (claims.empty()) return left;
    const auto arrays = arrays_of(claims);
    execute(transaction_, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, delay.count());
    std::unordered_set<std::string_view> leased;
    const auto rows = execute(transaction_, look, workspace_, arrays.ids, arrays.tokens);
    for (const auto& row : rows) leased.insert(row[0].c_str());
    std::ranges::copy_if(claims, std::back_inserter(left),
                         [&](const Claim& claim) { return leased.contains(claim.id.text); });
    return left;
}

std::unordered_set<std::string> Queue::renew(const std::vector<Claim>& claims, std::chrono::milliseconds lease) {
    static const Statement statement{"renew", R"sql(
        UPDATE sync.queue q SET lease_until = now() + $5::int8 * interval '1 millisecond'
        FROM unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.generation = c.generation AND q.lease_token = c.token
        RETURNING q.lead_id
    )sql"};
    std::unordered_set<std::string> ours;
    if (claims.empty()) return ours;
    const auto arrays = arrays_of(claims);
    for (const auto& row :
         execute(transaction_, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, lease.count()))
        ours.insert(row[0].c_str());
    return ours;
}

void Queue::put_aside(const std::vector<Claim>& claims, std::chrono::milliseconds how_long) {
    static const Statement statement{"put_aside", R"sql(
        UPDATE sync.queue q SET due_at = now() + $5::int8 * interval '1 millisecond'
        FROM unnest($2::uuid[], $3::int8[], $4::int8[]) AS c(lead_id, generation, token)
        WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.generation = c.generation AND q.lease_token = c.token
    )sql"};
    if (claims.empty()) return;
    const auto arrays = arrays_of(claims);
    execute(transaction_, statement, workspace_, arrays.ids, arrays.generations, arrays.tokens, how_long.count());
}

void Queue::retry(const std::vector<FailedClaim>& failed) {
    static const Statement statement{"retry", R"sql(
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL, last_error = f.error,
            attempts = CASE WHEN q.generation = f.generation THEN q.attempts + 1 ELSE 0 END,
            due_at = CASE WHEN q.generation = f.generation THEN now() + f.delay * interval '1 millisecond'
                          ELSE now() END
        FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::text[], $6::int8[])
             AS f(lead_id, generation, token, error, delay)
        WHERE q.workspace = $1 AND q.lead_id = f.lead_id AND q.lease_token = f.token
        RETURNING q.lead_id
    )sql"};
    if (!failed.empty()) add_attempts("retry", failed, write(statement, failed));
}

void Queue::resent(const std::vector<FailedClaim>& failed) {
    static const Statement statement{"resent", R"sql(
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL, last_error = f.error,
            resends = CASE WHEN q.generation = f.generation THEN q.resends + 1 ELSE 0 END,
            due_at = CASE WHEN q.generation = f.generation THEN now() + f.delay * interval '1 millisecond'
                          ELSE now() END
        FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::text[], $6::int8[])
             AS f(lead_id, generation, token, error, delay)
        WHERE q.workspace = $1 AND q.lead_id = f.lead_id AND q.lease_token = f.token
        RETURNING q.lead_id
    )sql"};
    if (!failed.empty()) add_attempts("sent again", failed, write(statement, failed));
}

std::vector<sync::LeadId> Queue::dead_letter(const std::vector<FailedClaim>& failed) {
    // One that was edited meanwhile starts anew, as it does for complete().
    static const Statement spare{"spare_edited", R"sql(
        UPDATE sync.queue q SET lease_token = NULL, lease_until = NULL, last_error = f.error, attempts = 0
        FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::text[], $6::int8[])
             AS f(lead_id, generation, token, error, delay)
        WHERE q.workspace = $1 AND q.lead_id = f.lead_id AND q.lease_token = f.token
          AND q.generation <> f.generation
    )sql"};
    static const Statement bury{"dead_letter", R"sql(
        UPDATE sync.queue q
        SET lease_token = NULL, lease_until = NULL, last_error = f.error, attempts = q.attempts + 1, dead_at = now()
        FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::text[], $6::int8[])
             AS f(lead_id, generation, token, error, delay)
        WHERE q.workspace = $1 AND q.lead_id = f.lead_id AND q.lease_token = f.token
          AND q.generation = f.generation
        RETURNING q.lead_id
    )sql"};
    std::vector<sync::LeadId> dead;
    if (failed.empty()) return dead;
    const auto buried = write(bury, failed);
    if (static_cast<std::size_t>(buried.size()) < failed.size()) write(spare, failed);
    add_attempts("given up", failed, buried);
    for (const auto& row : buried) dead.push_back({row[0].c_str()});
    return dead;
}

pqxx::result Queue::write(const Statement& statement, const std::vector<FailedClaim>& failed) {
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray generations{BinaryArray::Element::int8};
    BinaryArray tokens{BinaryArray::Element::int8};
    BinaryArray errors{BinaryArray::Element::text};
    BinaryArray delays{BinaryArray::Element::int8};
    for (const auto& [claim, error, exchange, delay] : failed) {
        ids.add(claim.id.text);
        generations.add_int8(claim.generation);
        tokens.add_int8(claim.lease_token);
        errors.add(error);
        delays.add_int8(delay.count());
    }
    return execute(transaction_, statement, workspace_, ids.finish(), generations.finish(), tokens.finish(),
                   errors.finish(), delays.finish());
}

void Queue::add_attempts(const char* outcome, const std::vector<FailedClaim>& failed, const pqxx::result& ours) {
    static const Statement add{"add_attempts", R"sql(
        INSERT INTO crm.attempts (workspace, lead_id, outcome, error, request, sent, answer)
        SELECT $1, u.lead_id, $2, u.error, nullif(u.request, ''), nullif(u.sent, ''), nullif(u.answer, '')
        FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS u(lead_id, error, request, sent, answer)
    )sql"};
    static const Statement forget_oldest{"forget_oldest_attempts", R"sql(
        DELETE FROM crm.attempts a USING unnest($2::uuid[]) AS u(lead_id)
        WHERE a.workspace = $1 AND a.lead_id = u.lead_id
          AND a.id <= (SELECT b.id FROM crm.attempts b WHERE b.workspace = $1 AND b.lead_id = u.lead_id
                       ORDER BY b.id DESC OFFSET $3 LIMIT 1)
    )sql"};
    if (ours.empty()) return;
    std::unordered_set<std::string_view> still_ours;
    for (const auto& row : ours) still_ours.insert(row[0].c_str());
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    std::array<BinaryArray, 4> texts{BinaryArray{text}, BinaryArray{text}, BinaryArray{text}, BinaryArray{text}};
    for (const auto& lead : failed) {
        if (!still_ours.contains(lead.claim.id.text)) continue;
        ids.add(lead.claim.id.text);
        texts[0].add(lead.error);
        texts[1].add(lead.exchange.request);
        texts[2].add(lead.exchange.sent);
        texts[3].add(lead.exchange.answer);
    }
    execute(transaction_, add, workspace_, outcome, ids.finish(), texts[0].finish(), texts[1].finish(),
            texts[2].finish(), texts[3].finish());
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

std::vector<sync::LeadId> Queue::look_again(const std::vector<sync::LeadId>& ids, std::chrono::milliseconds delay) {
    static const Statement statement{"look_again", R"sql(
        INSERT INTO sync.queue (workspace, lead_id, due_at)
        SELECT $1, u.lead_id, now() + $3::int8 * interval '1 millisecond' FROM unnest($2::uuid[]) AS u(lead_id)
        ORDER BY u.lead_id
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    std::vector<sync::LeadId> being_queued;
    if (ids.empty()) return being_queued;
    transaction_.conn().prepare(statement.name, statement.sql);
    auto& around = dynamic_cast<pqxx::dbtransaction&>(transaction_);  // std::bad_cast where there is none
    for (const auto& id : ids) {
        pqxx::subtransaction attempt{around};
        try {
            // As text, which opens the savepoint: in libpqxx 6 a prepared statement does not.
            // Together they are waited for as long as one: this transaction has places of the queue meanwhile.
            attempt.exec(being_queued.empty() ? "SET LOCAL lock_timeout = '100ms'"
                                              : "SET LOCAL lock_timeout = '1ms'");
            attempt.exec_prepared(statement.name, workspace_, array_of(std::vector{id}), delay.count());
            attempt.commit();
        } catch (const pqxx::sql_error&) {
            attempt.abort();  // the lock is held by the edit that queues the lead itself
            being_queued.push_back(id);
        }
    }
    transaction_.exec("SET LOCAL lock_timeout = " + std::to_string(lock_patience.count()));
    return being_queued;
}

void Queue::forget_dead(const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"forget_dead", R"sql(
        DELETE FROM sync.queue WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND dead_at IS NOT NULL
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

std::int64_t Queue::draw_lease_token() {
    static const Statement statement{"draw_lease_token", "SELECT nextval('sync.lease_tokens')"};
    return execute(transaction_, statement)[0][0].as<std::int64_t>();
}

std::vector<Claim> Queue::release_lease(std::int64_t token) {
    static const Statement statement{"release_lease", R"sql(
        WITH free AS (
            SELECT lead_id FROM sync.queue WHERE workspace = $1 AND lease_token = $2 FOR UPDATE SKIP LOCKED
        )
        UPDATE sync.queue q SET lease_token = NULL, lease_until = NULL
        FROM free WHERE q.workspace = $1 AND q.lead_id = free.lead_id
    )sql"};
    static const Statement look{"lease_not_released", R"sql(
        SELECT lead_id, generation, lease_token FROM sync.queue WHERE workspace = $1 AND lease_token = $2
    )sql"};
    execute(transaction_, statement, workspace_, token);
    return claims_of(execute(transaction_, look, workspace_, token));
}

std::vector<Claim> Queue::release_all() {
    static const Statement statement{"release_all", R"sql(
        WITH free AS (
            SELECT lead_id FROM sync.queue WHERE workspace = $1 AND lease_token IS NOT NULL FOR UPDATE SKIP LOCKED
        )
        UPDATE sync.queue q SET lease_token = NULL, lease_until = NULL, due_at = least(q.due_at, now())
        FROM free WHERE q.workspace = $1 AND q.lead_id = free.lead_id
    )sql"};
    static const Statement look{"not_released", R"sql(
        SELECT lead_id, generation, lease_token FROM sync.queue WHERE workspace = $1 AND lease_token IS NOT NULL
    )sql"};
    execute(transaction_, statement, workspace_);
    return claims_of(execute(transaction_, look, workspace_));
}

std::optional<std::chrono::milliseconds> Queue::next_due(bool creates_too) {
    // Leads in hand stand first: what is free is looked for behind them. Where nothing else is due, all that is due
    // is in hand, and falls due again when its lease is lost.
    static const Statement statement{"next_due", R"sql(
        WITH free AS MATERIALIZED (
            SELECT min(due_at) AS due_at FROM (
                (SELECT due_at FROM sync.queue
                 WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind <> 'create'
                   AND (lease_until IS NULL OR lease_until <= now())
                 ORDER BY due_at LIMIT 1)
                UNION ALL
                (SELECT due_at FROM sync.queue
                 WHERE $2 AND workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind = 'create'
                   AND (lease_until IS NULL OR lease_until <= now())
                 ORDER BY due_at LIMIT 1)
            ) first
        ), in_hand AS (
            SELECT min(lease_until) AS ends FROM (
                (SELECT lease_until FROM sync.queue
                 WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind <> 'create' AND due_at <= now()
                 ORDER BY due_at LIMIT 1000)
                UNION ALL
                (SELECT lease_until FROM sync.queue
                 WHERE $2 AND workspace = $1 AND dead_at IS NULL AND held_at IS NULL AND kind = 'create'
                   AND due_at <= now()
                 ORDER BY due_at LIMIT 1000)
            ) leased
        )
        SELECT ceil(extract(epoch FROM CASE WHEN free.due_at <= now() THEN interval '0'
                                            ELSE least(free.due_at, (SELECT ends FROM in_hand)) - now() END) * 1000)::int8
        FROM free
    )sql"};
    const auto row = execute(transaction_, statement, workspace_, creates_too)[0];
    if (row[0].is_null()) return std::nullopt;
    return std::chrono::milliseconds{row[0].as<std::int64_t>()};
}

void Queue::has_grown() {
    // Prepared statements keep the plans that were best for a small table: each reads all of it. A statement that was
    // analyzed anew is planned anew, on every connection; autovacuum comes to it a minute or two later.
    transaction_.exec("ANALYZE (SKIP_LOCKED) sync.queue");
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

bool Queue::has_creates() {
    static const Statement statement{"has_creates", R"sql(
        SELECT EXISTS (SELECT FROM sync.queue WHERE workspace = $1 AND dead_at IS NULL AND held_at IS NULL
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
