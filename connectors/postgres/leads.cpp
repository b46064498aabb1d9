#include "connectors/postgres/leads.hpp"

#include <algorithm>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/lead_rows.hpp"

namespace leadsync::postgres {

using sync::InstantlyId;
using sync::LeadId;

namespace {

/// What `Held` is read from, in the order of `add_held`. Most of it is mostly false, and the two ids mostly the same.
constexpr std::string_view look_up_columns = R"sql(
    b.instantly_id, b.content_hash, b.raw_hash, nullif(b.lead_id, b.instantly_id),
    CASE WHEN b.expected IS NOT NULL OR b.deleted_at IS NOT NULL OR b.gone_at IS NOT NULL THEN
        (b.expected IS NOT NULL)::int + 2 * (b.deleted_at IS NOT NULL)::int + 4 * (b.gone_at IS NOT NULL)::int
        + 8 * coalesce(b.expected ? '', false)::int
        + 16 * (b.deleted_at IS NOT NULL AND EXISTS (SELECT FROM sync.queue q WHERE q.workspace = b.workspace
                                                     AND q.lead_id = b.lead_id))::int
    END
)sql";

std::uint64_t hash_from(const pqxx::field& field) {
    return field.is_null() ? 0 : static_cast<std::uint64_t>(field.as<std::int64_t>());
}

void add_held(std::unordered_map<std::string, store::Held>& held, const pqxx::row& row) {
    const auto flags = row[4].is_null() ? 0U : row[4].as<unsigned>();
    held.emplace(row[0].c_str(), store::Held{hash_from(row[1]),
                                             hash_from(row[2]),
                                             {row[row[3].is_null() ? 0 : 3].c_str()},
                                             (flags & 1U) != 0,
                                             (flags & 2U) != 0,
                                             (flags & 4U) != 0,
                                             (flags & 8U) != 0,
                                             (flags & 16U) != 0});
}

/// Identities side by side, as `u(instantly_id, email, campaign, list_id, created)` of a query.
struct IdentityArrays {
    explicit IdentityArrays(const std::vector<store::Identity>& leads)
        : ids{of(leads, BinaryArray::Element::uuid,
                 [](const auto& lead) { return sync::Value{lead.instantly_id.text}; })},
          emails{of(leads, BinaryArray::Element::text, [](const auto& lead) { return lead.email; })},
          campaigns{of(leads, BinaryArray::Element::uuid, [](const auto& lead) { return lead.campaign; })},
          lists{of(leads, BinaryArray::Element::uuid, [](const auto& lead) { return lead.list; })},
          created{of(leads, BinaryArray::Element::timestamptz, [](const auto& lead) { return lead.created; })} {}

    template <class Part>
    static pqxx::binarystring of(const std::vector<store::Identity>& leads, BinaryArray::Element element, Part part) {
        BinaryArray array{element};
        for (const auto& lead : leads) array.add_or_null(part(lead));
        return array.finish();
    }

    pqxx::binarystring ids;
    pqxx::binarystring emails;
    pqxx::binarystring campaigns;
    pqxx::binarystring lists;
    pqxx::binarystring created;
};

}  // namespace

std::unordered_map<std::string, store::Held> Leads::look_up(const std::vector<InstantlyId>& ids) {
    static const Statement statement{"look_up", "SELECT " + std::string{look_up_columns} + R"sql(
        FROM sync.base b WHERE b.workspace = $1 AND b.instantly_id = ANY ($2::uuid[])
    )sql"};
    std::unordered_map<std::string, store::Held> held;
    if (ids.empty()) return held;
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids))) add_held(held, row);
    return held;
}

store::HeldStretch Leads::look_up(const store::Stretch& stretch, std::size_t limit) {
    // The parameters are hidden from the planner: by their values it would plan anew each time, and to no other end.
    static const Statement statement{"look_up_stretch", "SELECT " + std::string{look_up_columns} + R"sql(,
               EXISTS (SELECT FROM sync.absent a WHERE a.workspace = $1 AND a.confirmed_at IS NOT NULL)
        FROM sync.base b
        WHERE b.workspace = $1 AND b.instantly_id > (SELECT $2::uuid) AND b.instantly_id <= (SELECT $3::uuid)
        ORDER BY b.instantly_id LIMIT (SELECT $4::int8)
    )sql"};
    store::HeldStretch held;
    const auto rows = execute(transaction_, statement, workspace_, stretch.after.value_or(first_id),
                              stretch.last.value_or(last_id), limit);
    held.leads.reserve(rows.size());
    for (const auto& row : rows) add_held(held.leads, row);
    held.is_complete = rows.size() < limit;
    held.is_settled = rows.empty() || !rows[0][5].as<bool>();
    return held;
}

std::vector<sync::KnownLead> Leads::load(const std::vector<InstantlyId>& ids, store::Lock lock, sync::Instant now) {
    return load_leads(transaction_, workspace_, ids, lock, now);
}

std::unordered_set<std::string> Leads::here_or_deleted(const std::vector<LeadId>& ids) {
    // In one statement: a deletion that commits between two would show in neither.
    static const Statement statement{"here_or_deleted", R"sql(
        SELECT id FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[])
        UNION SELECT lead_id FROM sync.base
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND deleted_at IS NOT NULL
    )sql"};
    std::unordered_set<std::string> found;
    if (ids.empty()) return found;
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids))) found.insert(row[0].c_str());
    return found;
}

std::unordered_map<std::string, store::LocalRow> Leads::adoptable(const std::vector<store::Identity>& leads,
                                                                  store::Lock lock) {
    std::unordered_map<std::string, store::LocalRow> found;
    auto row_of_lead = look_for_rows(leads, nullptr);
    if (lock == store::Lock::rows && !row_of_lead.empty()) {
        // Looked for anew behind the lock: whoever held one of the rows may have written it.
        const auto locked = lock_free_of(row_of_lead, found);
        row_of_lead = look_for_rows(leads, &locked);
    }
    add_rows(row_of_lead, found);
    return found;
}

/// Locks the rows that nobody else is writing; notes the others in `found`.
std::unordered_set<std::string> Leads::lock_free_of(const std::unordered_map<std::string, LeadId>& row_of_lead,
                                                    std::unordered_map<std::string, store::LocalRow>& found) {
    std::vector<LeadId> ids;
    for (const auto& [lead, row] : row_of_lead) ids.push_back(row);
    const auto written = lock_free(ids);
    std::unordered_set<std::string> locked;
    for (const auto& [lead, row] : row_of_lead)
        if (written.contains(row.text))
            found.emplace(lead, store::LocalRow{.id = row, .content = {}, .is_being_written = true});
        else
            locked.insert(row.text);
    return locked;
}

void Leads::add_rows(const std::unordered_map<std::string, LeadId>& row_of_lead,
                     std::unordered_map<std::string, store::LocalRow>& found) {
    std::vector<LeadId> ids;
    std::unordered_map<std::string, std::string> lead_of_row;
    for (const auto& [lead, row] : row_of_lead) {
        ids.push_back(row);
        lead_of_row.emplace(row.text, lead);
    }
    for (auto& row : rows(ids)) {
        auto lead = lead_of_row.at(row.id.text);
        found.emplace(std::move(lead), std::move(row));
    }
}

// Looks for a few rows of many are functions that read by index (migration 0026), or planned each time, not prepared:
// by a plan that was kept from when the table was small each of them would read all of it. And one by one, behind
// OFFSET 0: a hundred ids at once are half of a table of which nothing is known yet, as during a first backfill.

/// Mostly there are none, which saves the look.
bool Leads::has_rows_without_lead() {
    static const Statement statement{"has_rows_without_lead", "SELECT sync.has_rows_without_lead($1)"};
    return execute(transaction_, statement, workspace_)[0][0].as<bool>();
}

/// Which row is which lead, without a lock, by the lead's id on Instantly. With `among` only these rows are looked
/// at.
std::unordered_map<std::string, LeadId> Leads::look_for_rows(const std::vector<store::Identity>& leads,
                                                             const std::unordered_set<std::string>* among) {
    // Each lead by its email, behind OFFSET 0: of rows without a lead there may be a million, and as long as nothing
    // is known of how many, PostgreSQL would begin with those.
    static const std::string query = R"sql(
        WITH without_email AS MATERIALIZED (
            SELECT r.* FROM sync.creates n
            CROSS JOIN LATERAL (
                SELECT r.id, r.campaign, r.list_id, r.instantly_id, r.email FROM crm.leads r
                WHERE r.workspace = $1 AND r.id = n.lead_id OFFSET 0
            ) r
            WHERE n.workspace = $1 AND r.email IS NULL
        )
        SELECT u.instantly_id, l.id, u.email IS NULL, c.sent::text,
               (l.campaign = u.campaign OR (l.campaign IS NULL AND l.list_id = u.list_id)) IS TRUE
        FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[])
             AS u(instantly_id, email, campaign, list_id, created)
        CROSS JOIN LATERAL (
            SELECT r.id, r.campaign, r.list_id, r.instantly_id, r.email FROM crm.leads r
            WHERE r.workspace = $1 AND lower(r.email) = lower(u.email)
            UNION ALL
            SELECT * FROM without_email WHERE u.email IS NULL
            OFFSET 0
        ) l
        LEFT JOIN sync.creates c ON c.workspace = $1 AND c.lead_id = l.id
        WHERE l.instantly_id IS NULL
          AND (l.campaign = u.campaign OR (l.campaign IS NULL AND l.list_id = u.list_id)
               OR u.created >= c.attempted_at - $7::int8 * interval '1 second')
        ORDER BY l.id
    )sql";
    std::unordered_map<std::string, LeadId> row_of_lead;
    if (leads.empty() || !has_rows_without_lead()) return row_of_lead;
    const IdentityArrays arrays{leads};
    std::unordered_map<std::string, const sync::Content*> contents;
    for (const auto& lead : leads) contents.emplace(lead.instantly_id.text, lead.content);
    const auto is_as_sent = [&](const pqxx::row& row) {
        const auto* content = contents.at(row[0].c_str());
        return content != nullptr && !row[3].is_null()
               && sync::shows_all(*content, expectations_from_json(nlohmann::json::parse(row[3].c_str())));
    };
    const auto pairs =
        transaction_.exec_params(query, workspace_, arrays.ids, arrays.emails, arrays.campaigns, arrays.lists,
                                 arrays.created, store::NotedCreate::clock_slack.count());
    std::unordered_set<std::string> taken;
    for (const bool where_it_says : {true, false})
        for (const auto& row : pairs) {
            if (row[4].as<bool>() != where_it_says || (row[2].as<bool>() && !is_as_sent(row))) continue;
            if (among != nullptr && !among->contains(row[1].c_str())) continue;
            if (taken.contains(row[1].c_str()) || row_of_lead.contains(row[0].c_str())) continue;
            taken.insert(row[1].c_str());
            row_of_lead.emplace(row[0].c_str(), LeadId{row[1].c_str()});
        }
    return row_of_lead;
}

std::unordered_map<std::string, LeadId> Leads::bury_withdrawn(const std::vector<store::Identity>& leads) {
    // Not prepared, and one by one, as in look_for_rows(). Mostly no create is noted at all. A row that is missing
    // without a deletion in the queue was taken away behind the triggers, and its lead is brought back. Whoever has
    // tied the lead to a row meanwhile comes first, seen or not.
    static const std::string query = R"sql(
        INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash, deleted_at, deleted_email)
        SELECT $1, lead_id, instantly_id, '{}', 0, now(), lower(email) FROM (
            SELECT DISTINCT ON (c.lead_id) c.lead_id, u.instantly_id, c.email
            FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::timestamptz[])
                 AS u(instantly_id, email, campaign, list_id, created)
            CROSS JOIN LATERAL (
                SELECT * FROM sync.creates n WHERE n.workspace = $1 AND lower(n.email) = lower(u.email) OFFSET 0
            ) c
            WHERE (coalesce(c.campaign, c.list_id) = CASE WHEN c.campaign IS NULL THEN u.list_id ELSE u.campaign END
                   OR coalesce(c.last_campaign, c.last_list_id)
                      = CASE WHEN c.last_campaign IS NULL THEN u.list_id ELSE u.campaign END)
              AND u.created BETWEEN c.attempted_at - $7::int8 * interval '1 second'
                                AND c.last_attempt_at + ($7::int8 + $8::int8) * interval '1 second'
              AND EXISTS (SELECT FROM sync.queue q
                          WHERE q.workspace = $1 AND q.lead_id = c.lead_id AND q.kind = 'delete')
              AND NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = c.lead_id)
              AND NOT EXISTS (SELECT FROM crm.leads l
                              WHERE l.workspace = $1 AND l.instantly_id = u.instantly_id)
            ORDER BY c.lead_id, u.created, u.instantly_id
        ) made
        ON CONFLICT DO NOTHING
        RETURNING instantly_id, lead_id
    )sql";
    std::unordered_map<std::string, LeadId> found;
    if (leads.empty()) return found;
    const IdentityArrays arrays{leads};
    for (const auto& row : transaction_.exec_params(
             query, workspace_, arrays.ids, arrays.emails, arrays.campaigns, arrays.lists, arrays.created,
             store::NotedCreate::clock_slack.count(), store::NotedCreate::under_way_max.count()))
        found.emplace(row[0].c_str(), LeadId{row[1].c_str()});
    return found;
}

std::vector<store::LocalRow> Leads::rows(const std::vector<LeadId>& ids) {
    return load_rows(transaction_, workspace_, ids);
}

std::unordered_set<std::string> Leads::lock_free(const std::vector<LeadId>& ids) {
    // Planned each time, as above.
    static const std::string query = R"sql(
        WITH free AS MATERIALIZED (
            SELECT id FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[])
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        )
        SELECT id FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[])
        EXCEPT SELECT id FROM free
    )sql";
    std::unordered_set<std::string> taken;
    if (ids.empty()) return taken;
    for (const auto& row : transaction_.exec_params(query, workspace_, array_of(ids))) taken.insert(row[0].c_str());
    return taken;
}

std::unordered_map<std::string, store::LocalRow> Leads::rows_without_base(const std::vector<InstantlyId>& leads,
                                                                          store::Lock lock) {
    static const Statement look{"leads_with_row", "SELECT sync.leads_with_row($1, $2, $3, $4)"};
    static const std::string query = R"sql(
        SELECT l.id, l.instantly_id FROM crm.leads l
        WHERE l.workspace = $1 AND l.instantly_id = ANY ($2::uuid[])
          AND NOT EXISTS (SELECT FROM sync.base b WHERE b.workspace = $1 AND b.instantly_id = l.instantly_id)
        ORDER BY l.id
    )sql";
    std::unordered_map<std::string, store::LocalRow> found;
    if (leads.empty()) return found;
    std::vector<InstantlyId> with_row;
    const auto [lowest, highest] = std::ranges::minmax(leads);
    for (const auto& row : execute(transaction_, look, workspace_, array_of(leads), lowest.text, highest.text))
        with_row.push_back({row[0].c_str()});
    if (with_row.empty()) return found;
    const auto look_again = [&] {
        std::unordered_map<std::string, LeadId> row_of_lead;
        for (const auto& row : transaction_.exec_params(query, workspace_, array_of(with_row)))
            row_of_lead.emplace(row[1].c_str(), LeadId{row[0].c_str()});
        return row_of_lead;
    };
    auto row_of_lead = look_again();
    if (lock == store::Lock::rows && !row_of_lead.empty()) {
        const auto locked = lock_free_of(row_of_lead, found);
        row_of_lead = look_again();
        std::erase_if(row_of_lead, [&](const auto& pair) { return !locked.contains(pair.second.text); });
    }
    add_rows(row_of_lead, found);
    return found;
}

std::unordered_set<std::string> Leads::forget_tombstones(const std::vector<LeadId>& ids) {
    static const Statement statement{"forget_tombstones", R"sql(
        DELETE FROM sync.base WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND deleted_at IS NOT NULL
        RETURNING lead_id
    )sql"};
    std::unordered_set<std::string> forgotten;
    if (ids.empty()) return forgotten;
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids)))
        forgotten.insert(row[0].c_str());
    return forgotten;
}

std::unordered_set<std::string> Leads::taken(const std::vector<LeadId>& ids) {
    static const Statement statement{"taken_ids", "SELECT sync.taken_ids($1, $2, $3, $4)"};
    std::unordered_set<std::string> found;
    if (ids.empty()) return found;
    const auto [lowest, highest] = std::ranges::minmax(ids);
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids), lowest.text, highest.text))
        found.insert(row[0].c_str());
    return found;
}

std::unordered_set<std::string> Leads::without_lead(const std::vector<LeadId>& ids) {
    static const std::string query = R"sql(
        SELECT id FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[]) AND instantly_id IS NULL
        ORDER BY id FOR NO KEY UPDATE
    )sql";
    std::unordered_set<std::string> found;
    if (ids.empty()) return found;
    for (const auto& row : transaction_.exec_params(query, workspace_, array_of(ids))) found.insert(row[0].c_str());
    return found;
}

std::vector<LeadId> Leads::with_emails(const std::vector<std::string>& emails) {
    static const Statement statement{"with_emails", R"sql(
        SELECT l.id FROM unnest($2::text[]) AS u(email)
        JOIN crm.leads l ON l.workspace = $1 AND lower(l.email) = lower(u.email)
        WHERE l.instantly_id IS NOT NULL AND l.deleted_at IS NULL
        ORDER BY l.id
    )sql"};
    std::vector<LeadId> ids;
    if (emails.empty()) return ids;
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(emails)))
        ids.push_back({row[0].c_str()});
    return ids;
}

void Leads::insert(std::span<const sync::LeadRow> leads) { insert_leads(transaction_, workspace_, leads); }

void Leads::update(std::span<const sync::LeadRow> leads) {
    std::vector<InstantlyId> ids;
    BinaryArray rows{BinaryArray::Element::uuid};
    for (const auto& lead : leads) {
        ids.push_back(lead.instantly_id);
        rows.add(lead.id.text);
    }
    seen(ids);
    update_leads(transaction_, workspace_, leads);
    if (!leads.empty()) no_longer_unborn(rows.finish());
}

void Leads::note_reformatted(std::span<const store::Reformatted> leads) {
    static const Statement statement{"note_reformatted", R"sql(
        WITH due AS (
            SELECT o.lead_id, u.raw_hash, u.requested_at
            FROM unnest($2::uuid[], $3::int8[], $4::int8[], $5::timestamptz[])
                 AS u(lead_id, content_hash, raw_hash, requested_at)
            JOIN sync.base o ON o.workspace = $1 AND o.lead_id = u.lead_id AND o.content_hash = u.content_hash
            WHERE coalesce(greatest(o.written_at, o.observed_at) < u.requested_at, true)
              AND (o.raw_hash IS NULL
                   OR coalesce(o.observed_at < u.requested_at - $6::int8 * interval '1 second', true))
            ORDER BY o.lead_id FOR NO KEY UPDATE OF o SKIP LOCKED
        )
        UPDATE sync.base b SET raw_hash = due.raw_hash, observed_at = due.requested_at FROM due
        WHERE b.workspace = $1 AND b.lead_id = due.lead_id
    )sql"};
    if (leads.empty()) return;
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray contents{BinaryArray::Element::int8};
    BinaryArray bytes{BinaryArray::Element::int8};
    BinaryArray requested{BinaryArray::Element::timestamptz};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        requested.add_instant(lead.requested_at);
        contents.add_int8(static_cast<std::int64_t>(lead.content_hash));
        bytes.add_int8(static_cast<std::int64_t>(lead.raw_hash));
    }
    execute(transaction_, statement, workspace_, ids.finish(), contents.finish(), bytes.finish(), requested.finish(),
            std::chrono::seconds{raw_hash_kept}.count());
}

std::vector<InstantlyId> Leads::newest_time_ordered(int limit, const std::optional<InstantlyId>& up_to) {
    // Ids from the far future of the version-7 clock are random old ones: a year ahead leaves those few behind.
    static const Statement statement{"newest_time_ordered", R"sql(
        SELECT instantly_id FROM sync.base
        WHERE workspace = $1 AND substr(instantly_id::text, 15, 1) = '7' AND gone_at IS NULL AND deleted_at IS NULL
          AND instantly_id < (lpad(to_hex((extract(epoch FROM now() + interval '1 year') * 1000)::int8), 12, '0')
                              || '70008000000000000000')::uuid
          AND instantly_id <= coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        ORDER BY instantly_id DESC LIMIT $2
    )sql"};
    const auto known = up_to ? std::optional{up_to->text} : std::nullopt;
    std::vector<InstantlyId> ids;
    for (const auto& row : execute(transaction_, statement, workspace_, limit, known))
        ids.push_back({row[0].c_str()});
    return ids;
}

std::optional<std::string> Leads::id_before(const std::string& id, std::int64_t leads) {
    static const Statement statement{"id_before", R"sql(
        SELECT instantly_id FROM sync.base
        WHERE workspace = $1 AND instantly_id < $2::uuid AND gone_at IS NULL AND deleted_at IS NULL
        ORDER BY instantly_id DESC LIMIT 1 OFFSET $3::int8 - 1
    )sql"};
    const auto rows = execute(transaction_, statement, workspace_, id, leads);
    if (rows.empty()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

std::optional<std::string> Leads::halfway(const std::string& cursor, const std::optional<std::string>& end,
                                          int page) {
    // Of a stretch that is longer than any range should be, the beginning has to do.
    static const Statement statement{"halfway", R"sql(
        WITH known AS MATERIALIZED (
            SELECT instantly_id, row_number() OVER (ORDER BY instantly_id) AS n FROM (
                SELECT instantly_id FROM sync.base
                WHERE workspace = $1 AND instantly_id > $2::uuid AND instantly_id <= $3::uuid
                  AND gone_at IS NULL AND deleted_at IS NULL
                ORDER BY instantly_id LIMIT 20000
            ) stretch
        )
        SELECT instantly_id FROM known WHERE n = (SELECT count(*) FROM known) / 2 / $4 * $4
    )sql"};
    const auto rows = execute(transaction_, statement, workspace_, cursor, end.value_or(last_id), page);
    if (rows.empty()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

std::int64_t Leads::count() {
    static const Statement statement{"count_leads", R"sql(
        SELECT count(*) FROM sync.base WHERE workspace = $1 AND deleted_at IS NULL AND gone_at IS NULL
    )sql"};
    return execute(transaction_, statement, workspace_)[0][0].as<std::int64_t>();
}

}  // namespace leadsync::postgres
