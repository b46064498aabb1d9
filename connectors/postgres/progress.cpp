#include "connectors/postgres/progress.hpp"

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {

store::Checkpoint Progress::open_sweep() {
    static const Statement statement{"open_sweep", R"sql(
        INSERT INTO sync.checkpoints AS c (workspace, name) VALUES ($1, 'sweep')
        ON CONFLICT (workspace, name) DO UPDATE SET updated_at = now()
        RETURNING c.cursor, c.pages, c.leads, c.changed
    )sql"};
    const auto row = execute(transaction_, statement, workspace_)[0];
    store::Checkpoint checkpoint{
        .pages = row[1].as<std::int64_t>(), .leads = row[2].as<std::int64_t>(), .changed = row[3].as<std::int64_t>()};
    if (!row[0].is_null()) checkpoint.cursor = row[0].as<std::string>();
    return checkpoint;
}

void Progress::advance_sweep(const std::string& cursor, std::int64_t leads, std::int64_t changed) {
    static const Statement statement{"advance_sweep", R"sql(
        UPDATE sync.checkpoints
        SET cursor = $2, pages = pages + 1, leads = leads + $3, changed = changed + $4, updated_at = now()
        WHERE workspace = $1 AND name = 'sweep'
    )sql"};
    execute(transaction_, statement, workspace_, cursor, leads, changed);
}

void Progress::finish_sweep() {
    static const Statement statement{"finish_sweep", R"sql(
        WITH finished AS (
            DELETE FROM sync.checkpoints WHERE workspace = $1 AND name = 'sweep' RETURNING started_at
        )
        UPDATE crm.workspaces w
        SET backfilled_at = coalesce(w.backfilled_at, now()), sweep_completed_at = now(),
            fresh_as_of = finished.started_at, updated_at = now()
        FROM finished WHERE w.name = $1
    )sql"};
    execute(transaction_, statement, workspace_);
}

bool Progress::is_backfilled() {
    static const Statement statement{"is_backfilled",
                                     "SELECT backfilled_at IS NOT NULL FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction_, statement, workspace_);
    return !rows.empty() && rows[0][0].as<bool>();
}

std::optional<std::chrono::milliseconds> Progress::fresh_ago() {
    static const Statement statement{
        "fresh_ago",
        "SELECT (extract(epoch FROM now() - fresh_as_of) * 1000)::int8 FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction_, statement, workspace_);
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return std::chrono::milliseconds{rows[0][0].as<std::int64_t>()};
}

void Progress::checked_new_leads() {
    static const Statement statement{
        "checked_new_leads",
        "UPDATE crm.workspaces SET new_leads_checked_at = now(), updated_at = now() WHERE name = $1"};
    execute(transaction_, statement, workspace_);
}

void Progress::set_state(const std::string& state, const std::optional<std::string>& reason) {
    static const Statement statement{"set_state", R"sql(
        UPDATE crm.workspaces SET state = $2, state_reason = $3, updated_at = now() WHERE name = $1
    )sql"};
    if (reason)
        execute(transaction_, statement, workspace_, state, *reason);
    else
        execute(transaction_, statement, workspace_, state, nullptr);
}

bool Progress::pin(const std::string& instantly_id, const std::string& instantly_name) {
    static const Statement statement{"pin_workspace", R"sql(
        UPDATE crm.workspaces SET instantly_workspace_id = $2, instantly_name = $3, updated_at = now()
        WHERE name = $1 AND coalesce(instantly_workspace_id, $2) = $2
    )sql"};
    return execute(transaction_, statement, workspace_, instantly_id, instantly_name).affected_rows() == 1;
}

void Progress::set_lead_count(std::int64_t leads) {
    static const Statement statement{"set_lead_count",
                                     "UPDATE crm.workspaces SET leads_on_instantly = $2 WHERE name = $1"};
    execute(transaction_, statement, workspace_, leads);
}

std::optional<std::int64_t> Progress::lead_count() {
    static const Statement statement{"lead_count", "SELECT leads_on_instantly FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction_, statement, workspace_);
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return rows[0][0].as<std::int64_t>();
}

void Progress::report_requests(std::size_t last_minute) {
    static const Statement statement{
        "report_requests", "UPDATE crm.workspaces SET requests_last_minute = $2, updated_at = now() WHERE name = $1"};
    execute(transaction_, statement, workspace_, last_minute);
}

void Progress::record_spent(const std::vector<store::SpentSecond>& seconds) {
    static const Statement statement{"record_spent", R"sql(
        INSERT INTO sync.request_budget (workspace, seconds, requests) VALUES ($1, $2, $3)
        ON CONFLICT (workspace) DO UPDATE SET seconds = excluded.seconds, requests = excluded.requests
    )sql"};
    BinaryArray begins{BinaryArray::Element::int8};
    BinaryArray requests{BinaryArray::Element::int8};
    for (const auto& second : seconds) {
        begins.add_int8(std::chrono::floor<std::chrono::seconds>(second.begin).time_since_epoch().count());
        requests.add_int8(second.requests);
    }
    execute(transaction_, statement, workspace_, begins.finish(), requests.finish());
}

std::vector<store::SpentSecond> Progress::spent() {
    static const Statement statement{"spent", R"sql(
        SELECT u.second, u.requests
        FROM sync.request_budget b, unnest(b.seconds, b.requests) WITH ORDINALITY AS u(second, requests, place)
        WHERE b.workspace = $1 ORDER BY u.place
    )sql"};
    std::vector<store::SpentSecond> seconds;
    for (const auto& row : execute(transaction_, statement, workspace_))
        seconds.push_back({sync::Instant{std::chrono::seconds{row[0].as<std::int64_t>()}}, row[1].as<int>()});
    return seconds;
}

std::int64_t Progress::prune_history(std::chrono::hours keep, std::int64_t limit) {
    static const Statement statement{"prune_history", R"sql(
        DELETE FROM crm.history
        WHERE workspace = $1 AND at < now() - $2::int8 * interval '1 hour'
          AND id IN (SELECT id FROM crm.history WHERE workspace = $1 ORDER BY id LIMIT $3)
    )sql"};
    // Those of a lead given up on stay with it.
    static const Statement attempts{"prune_attempts", R"sql(
        DELETE FROM crm.attempts a
        WHERE a.workspace = $1 AND a.at < now() - $2::int8 * interval '1 hour'
          AND NOT EXISTS (SELECT FROM sync.queue q
                          WHERE q.workspace = $1 AND q.lead_id = a.lead_id AND q.dead_at IS NOT NULL)
    )sql"};
    execute(transaction_, attempts, workspace_, keep.count());
    return static_cast<std::int64_t>(
        execute(transaction_, statement, workspace_, keep.count(), limit).affected_rows());
}

}  // namespace leadsync::postgres
