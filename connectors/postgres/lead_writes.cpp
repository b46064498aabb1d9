#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/json_text.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {

using sync::LeadId;
using enum BinaryArray::Element;

namespace {

/// What a create sends, as it is kept.
sync::Value text_of(const std::map<sync::Key, sync::Value>& sent) {
    return sent.empty() ? sync::Value{} : expectations_to_json(sent).dump();
}

}  // namespace

std::string epoch_seconds(sync::Instant instant) {
    const auto count = instant.time_since_epoch().count();
    auto fraction = std::to_string(1'000'000 + count % 1'000'000);
    return std::to_string(count / 1'000'000) + "." + fraction.substr(1);
}

void Leads::expect(const store::Writes& writes, std::chrono::milliseconds patience) {
    // A row that somebody is writing is not waited for: it is edited anew, or its look tells.
    static const Statement mark{"mark_verifying", R"sql(
        UPDATE crm.leads l SET sync_status = 'verifying', sync_error = NULL
        FROM (SELECT id FROM crm.leads
              WHERE workspace = $1 AND id = ANY ($2::uuid[]) AND sync_status IN ('pending', 'held')
              ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) free
        WHERE l.workspace = $1 AND l.id = free.id
    )sql"};
    static const Statement statement{"expect", R"sql(
        UPDATE sync.base b
        SET expected = coalesce(b.expected, '{}') || u.expected,
            expected_until = now() + $4::int8 * interval '1 millisecond'
        FROM unnest($2::uuid[], $3::jsonb[]) AS u(lead_id, expected)
        WHERE b.workspace = $1 AND b.lead_id = u.lead_id
    )sql"};
    if (writes.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray expected{jsonb};
    for (const auto& [id, values] : writes) {
        ids.add(id.text);
        expected.add(expectations_to_json(values).dump());
    }
    execute(transaction_, mark, workspace_, ids.finish());
    execute(transaction_, statement, workspace_, ids.finish(), expected.finish(), patience.count());
}

void Leads::expect_absence(const std::vector<LeadId>& ids, std::chrono::milliseconds patience) {
    static const Statement statement{"expect_absence", R"sql(
        UPDATE sync.base b
        SET expected = jsonb_build_object('', NULL), expected_until = now() + $3::int8 * interval '1 millisecond',
            buried_at = now()
        WHERE b.workspace = $1 AND b.lead_id = ANY ($2::uuid[]) AND b.deleted_at IS NOT NULL
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids), patience.count());
}

void Leads::expect_no_more(const LeadId& id, const std::vector<sync::Key>& keys) {
    static const Statement statement{"expect_no_more", R"sql(
        UPDATE sync.base SET expected = nullif(expected - $3::text[], '{}')
        WHERE workspace = $1 AND lead_id = $2::uuid
    )sql"};
    if (!keys.empty()) execute(transaction_, statement, workspace_, id.text, array_of(keys));
}

void Leads::wrote(const std::vector<LeadId>& ids, sync::Instant written_at) {
    static const Statement statement{"wrote", R"sql(
        UPDATE sync.base SET written_at = to_timestamp($3::float8)
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids), epoch_seconds(written_at));
}

void Leads::created(const std::vector<store::Creation>& creations, std::chrono::milliseconds patience,
                    sync::Instant written_at) {
    // A page that was faster has made a row of its own for the new lead: it gives way to the one the lead was made
    // of.
    static const Statement forget_twins{"forget_twins", R"sql(
        WITH twins AS (
            DELETE FROM sync.base b USING unnest($2::uuid[], $3::uuid[]) AS u(id, instantly_id)
            WHERE b.workspace = $1 AND b.instantly_id = u.instantly_id AND b.lead_id <> u.id
            RETURNING b.lead_id
        ), undecided AS (
            DELETE FROM crm.held h USING twins
            WHERE h.workspace = $1 AND h.lead_id = twins.lead_id AND h.decision IS NULL
        )
        DELETE FROM crm.leads l USING twins WHERE l.workspace = $1 AND l.id = twins.lead_id
    )sql"};
    // A page that was faster and adopted the row has told what Instantly holds: that stands. It may even have been
    // another lead, which the row must not be torn from.
    static const Statement name_rows{"name_rows", R"sql(
        UPDATE crm.leads l SET instantly_id = u.instantly_id, sync_status = 'verifying', sync_error = NULL
        FROM unnest($2::uuid[], $3::uuid[]) AS u(id, instantly_id)
        WHERE l.workspace = $1 AND l.id = u.id
          AND NOT EXISTS (SELECT FROM sync.base b WHERE b.workspace = $1 AND b.lead_id = l.id)
    )sql"};
    static const Statement make_bases{"make_bases", R"sql(
        INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash, expected, expected_until,
                               written_at, deleted_at, deleted_email)
        SELECT $1, u.id, u.instantly_id, u.content, 0, u.expected, now() + $5::int8 * interval '1 millisecond',
               to_timestamp($6::float8),
               CASE WHEN NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = u.id) THEN now() END,
               (SELECT lower(c.email) FROM sync.creates c WHERE c.workspace = $1 AND c.lead_id = u.id)
        FROM unnest($2::uuid[], $3::uuid[], $4::jsonb[], $7::jsonb[]) AS u(id, instantly_id, expected, content)
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    if (creations.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray instantly_ids{uuid};
    BinaryArray expected{jsonb};
    BinaryArray contents{jsonb};
    for (const auto& creation : creations) {
        contents.add(base_text(creation.base));
        ids.add(creation.id.text);
        instantly_ids.add(creation.instantly_id.text);
        expected.add(expectations_to_json(creation.sent).dump());
    }
    execute(transaction_, forget_twins, workspace_, ids.finish(), instantly_ids.finish());
    execute(transaction_, name_rows, workspace_, ids.finish(), instantly_ids.finish());
    execute(transaction_, make_bases, workspace_, ids.finish(), instantly_ids.finish(), expected.finish(),
            patience.count(), epoch_seconds(written_at), contents.finish());
    no_longer_unborn(ids.finish());
}

/// What still waits of rows that have a lead by now are changes of it.
void Leads::no_longer_unborn(const pqxx::binarystring& ids) {
    static const Statement statement{"no_longer_unborn", R"sql(
        WITH unborn AS (
            SELECT lead_id FROM sync.queue
            WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND kind = 'create' ORDER BY lead_id FOR UPDATE
        )
        UPDATE sync.queue q SET kind = 'change' FROM unborn WHERE q.workspace = $1 AND q.lead_id = unborn.lead_id
    )sql"};
    execute(transaction_, statement, workspace_, ids);
}

void Leads::set_status(const std::vector<LeadId>& ids, sync::SyncStatus status, const sync::Value& error) {
    static const Statement statement{"set_status", R"sql(
        UPDATE crm.leads SET sync_status = $3, sync_error = $4 WHERE workspace = $1 AND id = ANY ($2::uuid[])
    )sql"};
    if (ids.empty()) return;
    const std::string name{sync::name_of(status)};
    if (error)
        execute(transaction_, statement, workspace_, array_of(ids), name, *error);
    else
        execute(transaction_, statement, workspace_, array_of(ids), name, nullptr);
}

void Leads::note_creates(const std::map<LeadId, store::NotedCreate>& creates) {
    static const Statement statement{"note_creates", R"sql(
        INSERT INTO sync.creates (workspace, lead_id, attempted_at, last_attempt_at, campaign, list_id,
                                  last_campaign, last_list_id, sent, email)
        SELECT $1, u.id, to_timestamp(u.at::float8), to_timestamp(u.at::float8), u.campaign, u.list_id,
               u.campaign, u.list_id, u.sent, u.email
        FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::jsonb[], $7::text[])
             AS u(id, at, campaign, list_id, sent, email)
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET last_attempt_at = excluded.last_attempt_at, resent = excluded.sent, email = excluded.email,
                last_campaign = excluded.last_campaign, last_list_id = excluded.last_list_id
    )sql"};
    if (creates.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray times{text};
    BinaryArray campaigns{uuid};
    BinaryArray lists{uuid};
    BinaryArray sent{jsonb};
    BinaryArray emails{text};
    for (const auto& [id, create] : creates) {
        emails.add_or_null(create.email);
        ids.add(id.text);
        times.add(epoch_seconds(create.at));
        campaigns.add_or_null(create.campaign);
        lists.add_or_null(create.list);
        sent.add_or_null(text_of(create.sent));
    }
    execute(transaction_, statement, workspace_, ids.finish(), times.finish(), campaigns.finish(), lists.finish(),
            sent.finish(), emails.finish());
}

std::map<LeadId, store::NotedCreate> Leads::noted_creates(const std::vector<LeadId>& ids) {
    static const Statement statement{"noted_creates", R"sql(
        SELECT lead_id, (extract(epoch FROM attempted_at) * 1000000)::int8, campaign, list_id, sent::text,
               (extract(epoch FROM last_attempt_at) * 1000000)::int8, resent::text, last_campaign, last_list_id,
               email
        FROM sync.creates WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    std::map<LeadId, store::NotedCreate> noted;
    if (ids.empty()) return noted;
    const auto value = [](const pqxx::field& field) {
        return field.is_null() ? sync::Value{} : sync::Value{field.c_str()};
    };
    for (const auto& row : execute(transaction_, statement, workspace_, array_of(ids))) {
        const auto values = [](const pqxx::field& field) {
            return field.is_null() ? std::map<sync::Key, sync::Value>{}
                                   : expectations_from_json(nlohmann::json::parse(field.c_str()));
        };
        const auto instant = [](const pqxx::field& field) {
            return sync::Instant{std::chrono::microseconds{field.as<std::int64_t>()}};
        };
        noted.emplace(LeadId{row[0].c_str()}, store::NotedCreate{instant(row[1]), value(row[2]), value(row[3]),
                                                                 values(row[4]), instant(row[5]), values(row[6]),
                                                                 value(row[7]), value(row[8]), value(row[9])});
    }
    return noted;
}

void Leads::creates_ended(const std::vector<LeadId>& ids, sync::Instant at) {
    static const Statement statement{"creates_ended", R"sql(
        UPDATE sync.creates SET last_attempt_at = to_timestamp($3::float8)
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids), epoch_seconds(at));
}

void Leads::take_back_creates(const std::map<LeadId, store::UnsentCreate>& unsent) {
    static const Statement forget{"forget_unsent_creates", R"sql(
        DELETE FROM sync.creates c USING unnest($2::uuid[], $3::text[]) AS u(id, noted_at)
        WHERE c.workspace = $1 AND c.lead_id = u.id AND c.last_attempt_at = to_timestamp(u.noted_at::float8)
        RETURNING c.lead_id
    )sql"};
    if (unsent.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray times{text};
    for (const auto& [id, create] : unsent) {
        ids.add(id.text);
        times.add(epoch_seconds(create.noted_at));
    }
    std::map<LeadId, store::NotedCreate> before;
    for (const auto& row : execute(transaction_, forget, workspace_, ids.finish(), times.finish())) {
        const LeadId id{row[0].c_str()};
        const auto& earlier = unsent.at(id).before;
        if (earlier) before.emplace(id, *earlier);
    }
    put_back_creates(before);
}

void Leads::put_back_creates(const std::map<LeadId, store::NotedCreate>& creates) {
    static const Statement statement{"put_back_creates", R"sql(
        INSERT INTO sync.creates (workspace, lead_id, attempted_at, last_attempt_at, campaign, list_id,
                                  last_campaign, last_list_id, sent, resent, email)
        SELECT $1, u.id, to_timestamp(u.at::float8), to_timestamp(u.last_at::float8), u.campaign, u.list_id,
               u.last_campaign, u.last_list_id, u.sent, u.resent, u.email
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::jsonb[],
                    $10::jsonb[], $11::text[])
             AS u(id, at, last_at, campaign, list_id, last_campaign, last_list_id, sent, resent, email)
    )sql"};
    if (creates.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray times{text};
    BinaryArray last_times{text};
    BinaryArray campaigns{uuid};
    BinaryArray lists{uuid};
    BinaryArray last_campaigns{uuid};
    BinaryArray last_lists{uuid};
    BinaryArray sent{jsonb};
    BinaryArray resent{jsonb};
    BinaryArray emails{text};
    for (const auto& [id, create] : creates) {
        ids.add(id.text);
        times.add(epoch_seconds(create.at));
        last_times.add(epoch_seconds(create.last_at));
        campaigns.add_or_null(create.campaign);
        lists.add_or_null(create.list);
        last_campaigns.add_or_null(create.last_campaign);
        last_lists.add_or_null(create.last_list);
        sent.add_or_null(text_of(create.sent));
        resent.add_or_null(text_of(create.resent));
        emails.add_or_null(create.email);
    }
    execute(transaction_, statement, workspace_, ids.finish(), times.finish(), last_times.finish(),
            campaigns.finish(), lists.finish(), last_campaigns.finish(), last_lists.finish(), sent.finish(),
            resent.finish(), emails.finish());
}

void Leads::forget_creates(const std::vector<LeadId>& ids) {
    static const Statement statement{"forget_creates", R"sql(
        DELETE FROM sync.creates WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (!ids.empty()) execute(transaction_, statement, workspace_, array_of(ids));
}

}  // namespace leadsync::postgres
