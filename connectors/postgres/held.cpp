#include <array>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/queue.hpp"

namespace leadsync::postgres {

using store::HoldKind;

namespace {

constexpr std::array<HoldName, 5> names{{{"create", "local", "local create"},
                                         {"change", "local", "local change"},
                                         {"delete", "local", "local delete"},
                                         {"change", "remote", "remote change"},
                                         {"delete", "remote", "remote delete"}}};

/// The leads of a local kind that no operator has decided on and nobody has in hand.
std::string undecided(HoldKind kind) {
    std::string query = R"sql(
        SELECT q.lead_id FROM sync.queue q
        LEFT JOIN sync.base b ON b.workspace = q.workspace AND b.lead_id = q.lead_id
        WHERE q.workspace = $1 AND q.dead_at IS NULL AND q.held_at IS NULL AND q.edited_at IS NOT NULL
          AND q.decision IS NULL AND (q.lease_until IS NULL OR q.lease_until <= now()) AND )sql";
    switch (kind) {
        case HoldKind::create:
            return query + "b.lead_id IS NULL AND EXISTS (SELECT FROM crm.leads l WHERE l.workspace = q.workspace "
                           "AND l.id = q.lead_id)";
        case HoldKind::remove:
            return query + "b.deleted_at IS NOT NULL";
        case HoldKind::change:
        case HoldKind::remote_change:
        case HoldKind::remote_deletion:
            break;
    }
    // What has been sent, and is only waited for, is no edit that could still be held back.
    return query + "b.lead_id IS NOT NULL AND b.deleted_at IS NULL AND b.expected IS NULL";
}

Statement statement_for(HoldKind kind, const std::array<const char*, 3>& prepared_names, const std::string& sql) {
    return {prepared_names.at(static_cast<std::size_t>(kind)), sql};
}

}  // namespace

HoldName name_of(HoldKind kind) { return names.at(static_cast<std::size_t>(kind)); }

std::optional<HoldKind> hold_kind_named(std::string_view both) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (both == names.at(i).both) return static_cast<HoldKind>(i);
    return std::nullopt;
}

void Queue::rejected(const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"rejected", R"sql(
        UPDATE sync.queue SET decision = NULL, decided = NULL, edited_at = NULL
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND decision = 'reject'
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

std::int64_t Queue::backlog(HoldKind kind, std::int64_t limit) {
    const auto statement = statement_for(kind, {"backlog_creates", "backlog_changes", "backlog_removals"},
                                         "SELECT count(*) FROM (" + undecided(kind) + " LIMIT $2) waiting");
    return execute(transaction_, statement, workspace_, limit)[0][0].as<std::int64_t>();
}

std::vector<HoldKind> Queue::exceeded(const store::Allowed& allowed) {
    std::vector<HoldKind> kinds;
    for (const auto& [kind, limit] : allowed)
        if (backlog(kind, limit + 1) > limit) kinds.push_back(kind);
    return kinds;
}

// Rows of crm.leads that somebody is writing are not waited for, here and below: whoever waits with the queue's rows
// locked may be waited for. Such a row tells less, `crm.held` the whole.
void Queue::hold_backlog(HoldKind kind, const std::string& why) {
    const auto statement = statement_for(kind, {"hold_creates", "hold_changes", "hold_removals"},
                                         "WITH waiting AS (" + undecided(kind) + R"sql(
            ORDER BY q.lead_id FOR UPDATE OF q SKIP LOCKED
        ), parked AS (
            UPDATE sync.queue q SET held_at = now(), lease_token = NULL, lease_until = NULL
            FROM waiting WHERE q.workspace = $1 AND q.lead_id = waiting.lead_id
        ), shown AS (
            UPDATE crm.leads l SET sync_status = 'held', sync_error = $4
            FROM (SELECT l.id FROM crm.leads l JOIN waiting ON l.id = waiting.lead_id WHERE l.workspace = $1
                  FOR NO KEY UPDATE OF l SKIP LOCKED) free
            WHERE l.workspace = $1 AND l.id = free.id
        )
        INSERT INTO crm.held (workspace, lead_id, kind, side, reason)
        SELECT $1, waiting.lead_id, $2, $3, $4 FROM waiting
        ON CONFLICT (workspace, lead_id, kind, side) WHERE decision IS NULL DO NOTHING)sql");
    const auto name = name_of(kind);
    execute(transaction_, statement, workspace_, name.kind, name.side, why);
}

void Queue::hold(HoldKind kind, const std::vector<sync::LeadId>& ids, const std::string& why) {
    // Parked in the queue too: a local edit made meanwhile would have the lead looked at, and with that let in what
    // is held. One whose decision is on its way is not asked for again.
    static const Statement statement{"hold", R"sql(
        WITH noted AS (
            INSERT INTO crm.held (workspace, lead_id, kind, side, reason)
            SELECT $1, u.lead_id, $3, $4, $5 FROM unnest($2::uuid[]) AS u(lead_id)
            WHERE NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = $1 AND q.lead_id = u.lead_id
                              AND q.decision IS NOT NULL AND q.dead_at IS NULL)
            ORDER BY u.lead_id
            ON CONFLICT (workspace, lead_id, kind, side) WHERE decision IS NULL DO NOTHING
            RETURNING lead_id
        ), parked AS (
            INSERT INTO sync.queue AS q (workspace, lead_id, held_at)
            SELECT $1, noted.lead_id, now() FROM noted ORDER BY noted.lead_id
            ON CONFLICT (workspace, lead_id) DO UPDATE SET held_at = now(), generation = q.generation + 1
        )
        UPDATE crm.leads l SET sync_status = 'held', sync_error = $5
        FROM (SELECT l.id FROM crm.leads l JOIN noted ON l.id = noted.lead_id WHERE l.workspace = $1
              FOR NO KEY UPDATE OF l SKIP LOCKED) free
        WHERE l.workspace = $1 AND l.id = free.id
    )sql"};
    if (ids.empty()) return;
    const auto name = name_of(kind);
    execute(transaction_, statement, workspace_, array_of(ids), name.kind, name.side, why);
}

std::vector<sync::LeadId> Queue::held(HoldKind kind, const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"held", R"sql(
        SELECT lead_id FROM crm.held
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND kind = $3 AND side = $4 AND decision IS NULL
    )sql"};
    std::vector<sync::LeadId> waiting;
    if (ids.empty()) return waiting;
    const auto name = name_of(kind);
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids), name.kind, name.side))
        waiting.push_back({row[0].c_str()});
    return waiting;
}

std::map<sync::LeadId, store::Approval> Queue::deletions_decided(const std::vector<sync::LeadId>& ids) {
    static const Statement statement{"deletions_decided", R"sql(
        SELECT DISTINCT ON (h.lead_id) h.lead_id, h.decision = 'approve'
        FROM crm.held h JOIN sync.absent a ON a.workspace = h.workspace AND a.lead_id = h.lead_id
        WHERE h.workspace = $1 AND h.lead_id = ANY ($2::uuid[]) AND h.kind = 'delete' AND h.side = 'remote'
          AND h.decision IS NOT NULL AND h.held_at >= a.confirmed_at
        ORDER BY h.lead_id, h.id DESC
    )sql"};
    std::map<sync::LeadId, store::Approval> decided;
    if (ids.empty()) return decided;
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids)))
        decided.emplace(row[0].c_str(), row[1].as<bool>() ? store::Approval::approved : store::Approval::rejected);
    return decided;
}

}  // namespace leadsync::postgres
