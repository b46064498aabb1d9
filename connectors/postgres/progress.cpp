#include "connectors/postgres/progress.hpp"

#include <algorithm>

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/store/store.hpp"

namespace leadsync::postgres {
namespace {

/// The one value of an answer; nothing where it is null, or the workspace unknown.
std::optional<std::chrono::milliseconds> age_of(const pqxx::result& rows) {
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return std::chrono::milliseconds{rows[0][0].as<std::int64_t>()};
}

/// The update was of the range as it was left. Its transaction is rolled back otherwise.
void require_one(const pqxx::result& updated, const store::SweepRange& from) {
    if (updated.affected_rows() == 1) return;
    throw store::StoreError{"range " + std::to_string(from.number) + " does not stand behind "
                            + from.cursor.value_or("its begin")
                            + ", where it was left; it is read from where it stands"};
}

}  // namespace

void Progress::begin_chains(const std::vector<store::Place>& places) {
    static const Statement statement{"begin_chains", R"sql(
        WITH sweep AS (
            DELETE FROM sync.sweeps WHERE workspace = $1
        ), ranges AS (
            DELETE FROM sync.ranges WHERE workspace = $1
        )
        INSERT INTO sync.ranges (workspace, campaign, list_id)
        SELECT $1, u.campaign, u.list_id
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS u(campaign, list_id, place) ORDER BY u.place
    )sql"};
    BinaryArray campaigns{BinaryArray::Element::text};
    BinaryArray lists{BinaryArray::Element::text};
    for (const auto& place : places) {
        campaigns.add_or_null(place.campaign);
        lists.add_or_null(place.list);
    }
    execute(transaction_, statement, workspace_, campaigns.finish(), lists.finish());
}

std::optional<store::SweepState> Progress::chains() { return look_at(Ranges::chains); }

store::SweepState Progress::open_sweep(std::int64_t leads_per_range, std::int64_t ranges_max) {
    static const Statement begin{"begin_sweep", R"sql(
        INSERT INTO sync.sweeps (workspace) VALUES ($1) ON CONFLICT (workspace) DO NOTHING
    )sql"};
    if (execute(transaction_, begin, workspace_).affected_rows() > 0) cut_into_ranges(leads_per_range, ranges_max);
    return look_at(Ranges::of_sweep).value_or(store::SweepState{});
}

std::optional<store::SweepState> Progress::look_at(Ranges which) {
    static const Statement statement{"look_at_ranges", R"sql(
        SELECT number, cursor, ends_at, campaign, list_id, pages, leads, changed, is_complete
        FROM sync.ranges WHERE workspace = $1 ORDER BY number
    )sql"};
    store::SweepState state;
    bool is_any = false;
    for (const auto& row : execute(transaction_, statement, workspace_)) {
        const auto text = [&](int column) {
            return row[column].is_null() ? std::nullopt : std::optional<std::string>{row[column].c_str()};
        };
        const store::SweepRange range{
            row[0].as<std::int64_t>(), text(1), text(2), row[5].as<std::int64_t>(), {text(3), text(4)}};
        state.changed += row[7].as<std::int64_t>();
        const bool is_chain = range.place != store::Place{};
        if (is_chain != (which == Ranges::chains)) continue;
        is_any = true;
        state.pages += range.pages;
        state.leads += row[6].as<std::int64_t>();
        if (!row[8].as<bool>()) state.open.push_back(range);
    }
    return is_any ? std::optional{state} : std::nullopt;
}

void Progress::cut_into_ranges(std::int64_t leads_per_range, std::int64_t ranges_max) {
    // The size is a subquery of its own: joined, it would be counted for each lead where the table is not analysed
    // yet.
    static const Statement statement{"cut_into_ranges", R"sql(
        WITH size AS MATERIALIZED (
            SELECT $2::int8 * (count(*) / ($2::int8 * $3::int8) + 1) AS leads FROM sync.base WHERE workspace = $1
        ), known AS (
            SELECT instantly_id, row_number() OVER (ORDER BY instantly_id) AS n FROM sync.base
            WHERE workspace = $1 AND gone_at IS NULL AND deleted_at IS NULL
        ), cuts AS (
            SELECT known.instantly_id AS id FROM known WHERE known.n % (SELECT size.leads FROM size) = 0
        )
        INSERT INTO sync.ranges (workspace, cursor, ends_at)
        SELECT $1, id::text, (lead(id) OVER (ORDER BY id NULLS FIRST))::text
        FROM (SELECT NULL::uuid AS id UNION ALL SELECT id FROM cuts) AS begins
        ORDER BY id NULLS FIRST
    )sql"};
    execute(transaction_, statement, workspace_, leads_per_range, ranges_max);
}

void Progress::advance_range(const store::SweepRange& from, const std::string& cursor, const store::SweepStep& page) {
    // The page's commit need not wait for the disk: what a crash of the server takes with it, the cursor included, is
    // read again. The range's end does wait, and so does whatever is sent because of the page: before it leaves, that
    // is noted, which takes to the disk what came before.
    static const Statement statement{"advance_range", R"sql(
        WITH relaxed AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true) AS mode)
        UPDATE sync.ranges SET cursor = $3, pages = pages + 1, leads = leads + $4, changed = changed + $5
        FROM relaxed
        WHERE workspace = $1 AND number = $2 AND cursor IS NOT DISTINCT FROM $6 AND NOT is_complete
          AND relaxed.mode = 'off'
    )sql"};
    require_one(
        execute(transaction_, statement, workspace_, from.number, cursor, page.leads, page.changed, from.cursor),
        from);
}

void Progress::finish_range(const store::SweepRange& from, const store::SweepStep& page) {
    static const Statement statement{"finish_range", R"sql(
        UPDATE sync.ranges SET is_complete = true, pages = pages + 1, leads = leads + $3, changed = changed + $4
        WHERE workspace = $1 AND number = $2 AND cursor IS NOT DISTINCT FROM $5 AND NOT is_complete
          AND ($6::text IS NULL OR ends_at COLLATE "C" <= $6)
    )sql"};
    require_one(
        execute(transaction_, statement, workspace_, from.number, page.leads, page.changed, from.cursor, from.end),
        from);
}

std::optional<std::int64_t> Progress::cut_range(std::int64_t number, const std::string& at) {
    static const Statement statement{"cut_range", R"sql(
        WITH cut AS (
            UPDATE sync.ranges r SET ends_at = $3
            FROM (SELECT ends_at FROM sync.ranges WHERE workspace = $1 AND number = $2 AND NOT is_complete FOR UPDATE) old
            WHERE r.workspace = $1 AND r.number = $2
            RETURNING old.ends_at
        )
        INSERT INTO sync.ranges (workspace, cursor, ends_at) SELECT $1, $3, ends_at FROM cut RETURNING number
    )sql"};
    const auto rows = execute(transaction_, statement, workspace_, number, at);
    return rows.empty() ? std::nullopt : std::optional{rows[0][0].as<std::int64_t>()};
}

void Progress::finish_sweep() {
    static const Statement statement{"finish_sweep", R"sql(
        WITH finished AS (
            DELETE FROM sync.sweeps WHERE workspace = $1 RETURNING started_at
        ), ranges AS (
            DELETE FROM sync.ranges WHERE workspace = $1
        )
        UPDATE crm.workspaces w
        SET backfilled_at = coalesce(w.backfilled_at, now()), sweep_completed_at = now(),
            fresh_as_of = finished.started_at, updated_at = now()
        FROM finished WHERE w.name = $1
    )sql"};
    execute(transaction_, statement, workspace_);
}

bool Progress::begin_repair(std::chrono::milliseconds every) {
    static const Statement statement{"begin_repair", R"sql(
        INSERT INTO sync.repairs AS r (workspace) VALUES ($1)
        ON CONFLICT (workspace) DO UPDATE SET done_at = NULL
            WHERE r.done_at IS NULL OR r.done_at <= now() - $2::int8 * interval '1 millisecond'
    )sql"};
    return execute(transaction_, statement, workspace_, every.count()).affected_rows() > 0;
}

void Progress::finish_repair() {
    static const Statement statement{"finish_repair", "UPDATE sync.repairs SET done_at = now() WHERE workspace = $1"};
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
    return age_of(execute(transaction_, statement, workspace_));
}

std::chrono::milliseconds Progress::sweep_took() {
    static const Statement statement{"sweep_took", R"sql(
        SELECT (extract(epoch FROM sweep_completed_at - fresh_as_of) * 1000)::int8 FROM crm.workspaces WHERE name = $1
    )sql"};
    return age_of(execute(transaction_, statement, workspace_)).value_or(std::chrono::milliseconds{0});
}

std::optional<std::chrono::milliseconds> Progress::new_leads_ago() {
    static const Statement statement{"new_leads_ago", R"sql(
        SELECT (extract(epoch FROM age) * 1000)::int8 FROM crm.freshness WHERE workspace = $1 AND class = 'new'
    )sql"};
    return age_of(execute(transaction_, statement, workspace_));
}

void Progress::report_active(std::int64_t leads, std::optional<std::chrono::milliseconds> ago) {
    static const Statement statement{"report_active", R"sql(
        UPDATE crm.workspaces
        SET active_leads = $2, active_as_of = now() - $3::int8 * interval '1 millisecond', updated_at = now()
        WHERE name = $1
    )sql"};
    if (ago)
        execute(transaction_, statement, workspace_, leads, ago->count());
    else
        execute(transaction_, statement, workspace_, leads, nullptr);
}

std::optional<std::chrono::milliseconds> Progress::active_ago() {
    static const Statement statement{"active_ago", R"sql(
        SELECT (extract(epoch FROM now() - active_as_of) * 1000)::int8 FROM crm.workspaces WHERE name = $1
    )sql"};
    return age_of(execute(transaction_, statement, workspace_));
}

void Progress::checked_new_leads(std::chrono::milliseconds ago, const std::optional<sync::InstantlyId>& last) {
    static const Statement statement{"checked_new_leads", R"sql(
        UPDATE crm.workspaces
        SET new_leads_checked_at = now() - $2::int8 * interval '1 millisecond', updated_at = now()
        WHERE name = $1
    )sql"};
    static const Statement remember{"remember_new_leads", R"sql(
        INSERT INTO sync.new_leads (workspace, read_to) VALUES ($1, $2::uuid)
        ON CONFLICT (workspace) DO UPDATE SET read_to = excluded.read_to
    )sql"};
    execute(transaction_, statement, workspace_, ago.count());
    if (last) execute(transaction_, remember, workspace_, last->text);
}

std::optional<sync::InstantlyId> Progress::new_leads_read_to() {
    static const Statement statement{"new_leads_read_to", "SELECT read_to FROM sync.new_leads WHERE workspace = $1"};
    const auto rows = execute(transaction_, statement, workspace_);
    if (rows.empty()) return std::nullopt;
    return sync::InstantlyId{rows[0][0].c_str()};
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
    static const Statement holds{"prune_holds", R"sql(
        DELETE FROM crm.held WHERE workspace = $1 AND id IN (
            SELECT h.id FROM crm.held h
            WHERE h.workspace = $1 AND h.decision IS NOT NULL AND h.decided_at < now() - $2::int8 * interval '1 hour'
              AND NOT EXISTS (SELECT FROM sync.absent a WHERE a.workspace = $1 AND a.lead_id = h.lead_id)
            ORDER BY h.decided_at LIMIT $3)
    )sql"};
    execute(transaction_, attempts, workspace_, keep.count());
    const auto lines = execute(transaction_, statement, workspace_, keep.count(), limit).affected_rows();
    const auto decided = execute(transaction_, holds, workspace_, keep.count(), limit).affected_rows();
    return static_cast<std::int64_t>(std::max(lines, decided));
}

}  // namespace leadsync::postgres
