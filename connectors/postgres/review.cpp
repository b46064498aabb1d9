#include "connectors/postgres/review.hpp"

#include <set>

#include <nlohmann/json.hpp>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {
namespace {

/// A timestamp as ISO 8601 in UTC.
std::string utc(const std::string& column) {
    return "to_char(" + column + R"( AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))";
}

sync::Value value_of(const pqxx::field& field) {
    return field.is_null() ? sync::Value{} : sync::Value{field.as<std::string>()};
}

pqxx::binarystring array_of_numbers(const std::vector<std::int64_t>& numbers) {
    BinaryArray array{BinaryArray::Element::int8};
    for (const auto number : numbers) array.add_int8(number);
    return array.finish();
}

const std::string& conflict_columns() {
    static const auto columns = "SELECT c.id, c.workspace, c.lead_id, l.email, c.field, c.base, c.local, c.remote, "
                                "c.rule, c.resolution, c.resolved_by, "
                                + utc("c.created_at") + " AS created_at, " + utc("c.resolved_at")
                                + " AS resolved_at, extract(epoch FROM now() - c.created_at) AS seconds_ago "
                                  "FROM crm.conflicts c "
                                  "LEFT JOIN crm.leads l ON l.workspace = c.workspace AND l.id = c.lead_id ";
    return columns;
}

std::vector<ConflictRow> conflicts_from(const pqxx::result& rows) {
    std::vector<ConflictRow> conflicts;
    for (const auto& row : rows)
        conflicts.push_back({.id = row["id"].as<std::int64_t>(),
                             .workspace = row["workspace"].c_str(),
                             .lead_id = row["lead_id"].c_str(),
                             .email = value_of(row["email"]),
                             .field = row["field"].c_str(),
                             .base = value_of(row["base"]),
                             .local = value_of(row["local"]),
                             .remote = value_of(row["remote"]),
                             .rule = row["rule"].c_str(),
                             .resolution = value_of(row["resolution"]),
                             .resolved_by = value_of(row["resolved_by"]),
                             .created_at = row["created_at"].c_str(),
                             .resolved_at = value_of(row["resolved_at"]),
                             .seconds_ago = row["seconds_ago"].as<double>()});
    return conflicts;
}

const std::string& held_columns() {
    static const auto columns = "SELECT h.id, h.workspace, h.lead_id, l.email, h.kind, h.side, h.reason, "
                                + utc("h.held_at")
                                + " AS held_at, extract(epoch FROM now() - h.held_at) AS seconds_ago, h.decision, "
                                + utc("h.decided_at")
                                + " AS decided_at, h.decided_by FROM crm.held h "
                                  "LEFT JOIN crm.leads l ON l.workspace = h.workspace AND l.id = h.lead_id ";
    return columns;
}

std::vector<HeldRow> held_from(const pqxx::result& rows) {
    std::vector<HeldRow> held;
    for (const auto& row : rows)
        held.push_back({.id = row["id"].as<std::int64_t>(),
                        .workspace = row["workspace"].c_str(),
                        .lead_id = row["lead_id"].c_str(),
                        .email = value_of(row["email"]),
                        .kind = row["kind"].c_str(),
                        .side = row["side"].c_str(),
                        .reason = row["reason"].c_str(),
                        .held_at = row["held_at"].c_str(),
                        .seconds_ago = row["seconds_ago"].as<double>(),
                        .decision = value_of(row["decision"]),
                        .decided_at = value_of(row["decided_at"]),
                        .decided_by = value_of(row["decided_by"])});
    return held;
}

/// Every id was found, or none of the decisions stands.
void expect_all(const std::vector<std::int64_t>& ids, const pqxx::result& changed, const std::string& what) {
    std::set<std::int64_t> missing{ids.begin(), ids.end()};
    for (const auto& row : changed) missing.erase(row[0].as<std::int64_t>());
    if (missing.empty()) return;
    std::string list;
    for (const auto id : missing) (list += list.empty() ? "" : ", ") += std::to_string(id);
    throw std::runtime_error{"there is no " + what + " " + list + "; nothing was changed"};
}

}  // namespace

std::unique_ptr<pqxx::connection> connect_as_user(const std::string& url) {
    auto connection = std::make_unique<pqxx::connection>(url);
    pqxx::nontransaction session{*connection};
    session.exec(
        "SET application_name = 'leadsync operator'; SET lock_timeout = '10s'; "
        "SET client_min_messages = warning");
    return connection;
}

std::string words_of(const pqxx::sql_error& error) {
    std::string words;
    std::string all = error.what();
    for (std::size_t at = 0; at < all.size();) {
        const auto end = std::min(all.find('\n', at), all.size());
        const auto line = all.substr(at, end - at);
        if (line.starts_with("ERROR:  ")) words = line.substr(8);
        if (line.starts_with("HINT:  ")) words += ": " + line.substr(7);
        at = end + 1;
    }
    return words.empty() ? all : words;
}

std::vector<ConflictRow> Review::conflicts(bool settled_too) {
    static const Statement statement{"list_conflicts", conflict_columns() + R"sql(
        WHERE c.workspace = ANY ($1::text[]) AND ($2 OR c.resolved_at IS NULL) ORDER BY c.workspace, c.id
    )sql"};
    return conflicts_from(execute(transaction_, statement, array_of(workspaces_), settled_too));
}

void Review::resolve(const std::vector<std::int64_t>& ids, const std::string& side) {
    static const Statement statement{"resolve", R"sql(
        UPDATE crm.conflicts SET resolution = $3 WHERE workspace = ANY ($1::text[]) AND id = ANY ($2::int8[])
        RETURNING id
    )sql"};
    expect_all(ids, execute(transaction_, statement, array_of(workspaces_), array_of_numbers(ids), side), "conflict");
}

std::int64_t Review::resolve_all(const std::optional<std::string>& field, const std::string& side) {
    static const Statement statement{"resolve_all", R"sql(
        UPDATE crm.conflicts SET resolution = $3
        WHERE workspace = ANY ($1::text[]) AND resolution IS NULL AND resolved_at IS NULL
          AND field = coalesce($2, field)
    )sql"};
    return static_cast<std::int64_t>(
        execute(transaction_, statement, array_of(workspaces_), field, side).affected_rows());
}

std::vector<HeldRow> Review::held() {
    static const Statement statement{"list_held", held_columns() + R"sql(
        WHERE h.workspace = ANY ($1::text[]) AND h.decision IS NULL ORDER BY h.workspace, h.id
    )sql"};
    return held_from(execute(transaction_, statement, array_of(workspaces_)));
}

std::vector<HeldGroup> Review::held_groups() {
    static const Statement statement{"held_groups", R"sql(
        SELECT h.workspace, h.kind, h.side, h.reason, count(*), extract(epoch FROM now() - min(h.held_at)),
               to_json((array_agg(coalesce(l.email, b.instantly_id::text, h.lead_id::text) ORDER BY h.id))[1:5])::text
        FROM crm.held h
        LEFT JOIN crm.leads l ON l.workspace = h.workspace AND l.id = h.lead_id
        LEFT JOIN sync.base b ON b.workspace = h.workspace AND b.lead_id = h.lead_id
        WHERE h.workspace = ANY ($1::text[]) AND h.decision IS NULL
        GROUP BY h.workspace, h.kind, h.side, h.reason
        ORDER BY h.workspace, h.kind, h.side, min(h.id)
    )sql"};
    std::vector<HeldGroup> groups;
    for (const auto& row : execute(transaction_, statement, array_of(workspaces_)))
        groups.push_back({.workspace = row[0].c_str(),
                          .kind = row[1].c_str(),
                          .side = row[2].c_str(),
                          .reason = row[3].c_str(),
                          .count = row[4].as<std::int64_t>(),
                          .oldest_seconds_ago = row[5].as<double>(),
                          .samples = nlohmann::json::parse(row[6].c_str()).get<std::vector<std::string>>()});
    return groups;
}

void Review::decide(const std::vector<std::int64_t>& ids, const std::string& decision) {
    static const Statement statement{"decide", R"sql(
        UPDATE crm.held SET decision = $3 WHERE workspace = ANY ($1::text[]) AND id = ANY ($2::int8[]) RETURNING id
    )sql"};
    expect_all(ids, execute(transaction_, statement, array_of(workspaces_), array_of_numbers(ids), decision),
               "held change");
}

std::int64_t Review::decide_all(const HeldChoice& choice, const std::string& decision) {
    static const Statement statement{"decide_all", R"sql(
        UPDATE crm.held SET decision = $4
        WHERE workspace = ANY ($1::text[]) AND decision IS NULL
          AND kind = coalesce($2, kind) AND side = coalesce($3, side)
    )sql"};
    return static_cast<std::int64_t>(
        execute(transaction_, statement, array_of(workspaces_), choice.kind, choice.side, decision).affected_rows());
}

std::vector<QueueRow> Review::queue(bool everything) {
    static const Statement statement{"list_queue", R"sql(
        SELECT workspace, lead_id, email, kind, state, extract(epoch FROM now() - queued_at) AS queued_ago,
               extract(epoch FROM due_at - now()) AS due_in, attempts, resends, last_error, )sql"
                                                       + utc("given_up_at") + R"sql( AS given_up_at
        FROM crm.queue
        WHERE workspace = ANY ($1::text[]) AND ($2 OR state = 'given up' OR attempts > 0 OR resends > 0)
        ORDER BY workspace, queued_at, lead_id
    )sql"};
    std::vector<QueueRow> queued;
    for (const auto& row : execute(transaction_, statement, array_of(workspaces_), everything))
        queued.push_back({.workspace = row["workspace"].c_str(),
                          .lead_id = row["lead_id"].c_str(),
                          .email = value_of(row["email"]),
                          .kind = row["kind"].c_str(),
                          .state = row["state"].c_str(),
                          .queued_seconds_ago = row["queued_ago"].as<double>(),
                          .due_in_seconds = row["due_in"].as<double>(),
                          .attempts = row["attempts"].as<int>(),
                          .resends = row["resends"].as<int>(),
                          .last_error = value_of(row["last_error"]),
                          .given_up_at = value_of(row["given_up_at"])});
    return queued;
}

bool Review::decide_queued(const LeadState& lead, const std::string& decision) {
    static const Statement statement{
        "decide_queued", "UPDATE crm.queue SET decision = $3 WHERE workspace = $1 AND lead_id = $2::uuid"};
    return execute(transaction_, statement, lead.workspace, lead.lead_id, decision).affected_rows() > 0;
}

std::int64_t Review::decide_given_up(const std::string& decision) {
    static const Statement statement{
        "decide_given_up",
        "UPDATE crm.queue SET decision = $2 WHERE workspace = ANY ($1::text[]) AND state = 'given up'"};
    return static_cast<std::int64_t>(
        execute(transaction_, statement, array_of(workspaces_), decision).affected_rows());
}

std::vector<AttemptRow> Review::attempts_of(const LeadState& lead) {
    static const Statement statement{"attempts_of",
                                     "SELECT " + utc("at") + R"sql( AS at, outcome, error, request, sent, answer
        FROM crm.attempts WHERE workspace = $1 AND lead_id = $2::uuid ORDER BY id
    )sql"};
    std::vector<AttemptRow> attempts;
    for (const auto& row : execute(transaction_, statement, lead.workspace, lead.lead_id))
        attempts.push_back({.at = row["at"].c_str(),
                            .outcome = row["outcome"].c_str(),
                            .error = row["error"].c_str(),
                            .request = value_of(row["request"]),
                            .sent = value_of(row["sent"]),
                            .answer = value_of(row["answer"])});
    return attempts;
}

// --- one lead ------------------------------------------------------------------------------------------------------

std::vector<LeadState> Review::find(const std::string& lead) {
    static const Statement by_id{"find_by_id", R"sql(
        SELECT workspace, id FROM crm.leads
        WHERE workspace = ANY ($1::text[]) AND (id = $2::uuid OR instantly_id = $2::uuid)
        UNION SELECT workspace, lead_id FROM sync.base
        WHERE workspace = ANY ($1::text[]) AND (lead_id = $2::uuid OR instantly_id = $2::uuid)
        UNION SELECT workspace, lead_id FROM crm.history WHERE workspace = ANY ($1::text[]) AND lead_id = $2::uuid
        UNION SELECT workspace, lead_id FROM crm.conflicts WHERE workspace = ANY ($1::text[]) AND lead_id = $2::uuid
        ORDER BY 1, 2
    )sql"};
    // A lead that is gone is known by the email that its making, or its end, has left in the history.
    static const Statement by_email{"find_by_email", R"sql(
        SELECT workspace, id FROM crm.leads WHERE workspace = ANY ($1::text[]) AND lower(email) = lower($2)
        UNION SELECT workspace, lead_id FROM crm.history
        WHERE workspace = ANY ($1::text[]) AND field IS NULL AND lower($2) IN (lower(old), lower(new))
        ORDER BY 1, 2
    )sql"};
    const auto id = sync::canonical(sync::Kind::uuid, lead);
    std::vector<LeadState> found;
    for (const auto& row : id ? execute(transaction_, by_id, array_of(workspaces_), *id)
                              : execute(transaction_, by_email, array_of(workspaces_), lead))
        found.push_back(state_of(row[0].c_str(), row[1].c_str()));
    return found;
}

LeadState Review::state_of(const std::string& workspace, const std::string& lead_id) {
    // A lead that is gone still has its address in the history.
    static const Statement statement{
        "lead_state", "SELECT coalesce(l.instantly_id, b.instantly_id) AS instantly_id, "
                      "coalesce(l.email, (SELECT coalesce(CASE WHEN h.new LIKE '%@%' THEN h.new END, h.old) "
                      "FROM crm.history h WHERE h.workspace = $1 AND h.lead_id = $2::uuid AND h.field IS NULL "
                      "AND coalesce(h.new, h.old) LIKE '%@%' ORDER BY h.id LIMIT 1)) AS email, "
                      "l.sync_status, l.sync_error, "
                          + utc("l.synced_at") + " AS synced_at, " + utc("coalesce(l.deleted_at, b.deleted_at)")
                          + " AS deleted_at, l.id IS NULL AND b.deleted_at IS NOT NULL AS tombstone, b.expected::text, "
                            "m.destination_id, q.lead_id IS NOT NULL AS queued, "
                          + utc("q.queued_at")
                          + " AS queued_at, extract(epoch FROM q.due_at - now()) AS due_in, q.attempts, q.resends, "
                            "coalesce(q.lease_until > now(), false) AS in_hand, q.last_error, "
                          + utc("q.dead_at") + " AS dead_at, " + utc("q.held_at")
                          + " AS held_at, q.decision, q.decided, " + utc("q.edited_at") + R"sql( AS edited_at, q.edited_by
        FROM (SELECT $1::text AS workspace, $2::uuid AS id) w
        LEFT JOIN crm.leads l ON l.workspace = w.workspace AND l.id = w.id
        LEFT JOIN sync.base b ON b.workspace = w.workspace AND b.lead_id = w.id
        LEFT JOIN sync.queue q ON q.workspace = w.workspace AND q.lead_id = w.id
        LEFT JOIN sync.merges m ON m.workspace = w.workspace AND m.source_id = w.id
    )sql"};
    const auto row = execute(transaction_, statement, workspace, lead_id)[0];
    LeadState lead{.workspace = workspace,
                   .lead_id = lead_id,
                   .instantly_id = value_of(row["instantly_id"]),
                   .email = value_of(row["email"]),
                   .sync_status = value_of(row["sync_status"]),
                   .sync_error = value_of(row["sync_error"]),
                   .synced_at = value_of(row["synced_at"]),
                   .deleted_at = value_of(row["deleted_at"]),
                   .tombstone = row["tombstone"].as<bool>(),
                   .awaited = value_of(row["expected"]),
                   .merge_into = value_of(row["destination_id"])};
    if (row["queued"].as<bool>())
        lead.pending = LeadState::Pending{.queued_at = row["queued_at"].c_str(),
                                          .due_in_seconds = row["due_in"].as<double>(),
                                          .attempts = row["attempts"].as<int>(),
                                          .resends = row["resends"].as<int>(),
                                          .in_hand = row["in_hand"].as<bool>(),
                                          .last_error = value_of(row["last_error"]),
                                          .dead_at = value_of(row["dead_at"]),
                                          .held_at = value_of(row["held_at"]),
                                          .decision = value_of(row["decision"]),
                                          .decided = value_of(row["decided"]),
                                          .edited_at = value_of(row["edited_at"]),
                                          .edited_by = value_of(row["edited_by"])};
    return lead;
}

std::vector<HistoryRow> Review::history_of(const LeadState& lead) {
    static const Statement statement{"history_of",
                                     "SELECT " + utc("at") + R"sql( AS at, field, old, new, side, rule, request
        FROM crm.history WHERE workspace = $1 AND lead_id = $2::uuid ORDER BY id
    )sql"};
    std::vector<HistoryRow> history;
    for (const auto& row : execute(transaction_, statement, lead.workspace, lead.lead_id))
        history.push_back({.at = row["at"].c_str(),
                           .field = value_of(row["field"]),
                           .before = value_of(row["old"]),
                           .after = value_of(row["new"]),
                           .side = row["side"].c_str(),
                           .rule = row["rule"].c_str(),
                           .request = value_of(row["request"])});
    return history;
}

std::vector<ConflictRow> Review::conflicts_of(const LeadState& lead) {
    static const Statement statement{
        "conflicts_of", conflict_columns() + "WHERE c.workspace = $1 AND c.lead_id = $2::uuid ORDER BY c.id"};
    return conflicts_from(execute(transaction_, statement, lead.workspace, lead.lead_id));
}

std::vector<HeldRow> Review::held_of(const LeadState& lead) {
    static const Statement statement{
        "held_of", held_columns() + "WHERE h.workspace = $1 AND h.lead_id = $2::uuid ORDER BY h.id"};
    return held_from(execute(transaction_, statement, lead.workspace, lead.lead_id));
}

}  // namespace leadsync::postgres
