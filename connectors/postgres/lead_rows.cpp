#include "connectors/postgres/lead_rows.hpp"

#include <fmt/format.h>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/json_text.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {
namespace {

using sync::Field;
using sync::Instant;
using sync::KnownLead;
using sync::LeadRow;
using sync::Owner;
using Arrays = std::vector<pqxx::binarystring>;

std::string column_list(std::string_view prefix) {
    std::string list;
    for (const auto& line : sync::field_table()) list.append(", ").append(prefix).append(line.name);
    return list;
}

/// The arrays of `row_arrays` as rows `u`, the first of them being parameter 2. In the select list they are unnested
/// in step; as functions of FROM each would be written to a table of its own first.
std::string unnest_rows() {
    std::string columns =
        "unnest($2::uuid[]) AS id, unnest($3::uuid[]) AS instantly_id, unnest($4::jsonb[]) AS custom_variables, "
        "unnest($5::jsonb[]) AS extra, unnest($6::text[]) AS sync_status, unnest($7::text[]) AS sync_error";
    int next = 8;
    for (const auto& line : sync::field_table())
        columns.append(", unnest($")
            .append(std::to_string(next++))
            .append("::")
            .append(BinaryArray::sql_type_of(line.kind))
            .append(") AS ")
            .append(line.name);
    return "(SELECT " + columns + ") AS u";
}

Arrays row_arrays(std::span<const LeadRow> leads) {
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    BinaryArray instantly_ids{uuid};
    BinaryArray variables{jsonb};
    BinaryArray extras{jsonb};
    BinaryArray statuses{text};
    BinaryArray errors{text};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        instantly_ids.add(lead.instantly_id.text);
        variables.add(json_text(lead.local.custom_variables));
        extras.add(lead.extra.empty() ? "{}" : lead.extra.dump());
        statuses.add(name_of(lead.status));
        errors.add_or_null(lead.error);
    }
    Arrays arrays{ids.finish(),    instantly_ids.finish(), variables.finish(),
                  extras.finish(), statuses.finish(),      errors.finish()};
    for (const auto& line : sync::field_table()) {
        BinaryArray column{BinaryArray::element_of(line.kind)};
        for (const auto& lead : leads) column.add_or_null(lead.local[line.field]);
        arrays.push_back(column.finish());
    }
    return arrays;
}

sync::Content base_from_json(const nlohmann::json& json) {
    sync::Content base;
    for (const auto& line : sync::field_table())
        if (const auto found = json.find(line.name); found != json.end())
            base[line.field] = found->get<std::string>();
    if (const auto found = json.find(custom_variables_name); found != json.end())
        base.custom_variables = found->get<sync::CustomVariables>();
    return base;
}

/// {key: [side, count, since in microseconds]}
sync::Value flips_to_text(const std::map<sync::Key, sync::Flip>& flips) {
    if (flips.empty()) return std::nullopt;
    auto json = nlohmann::json::object();
    for (const auto& [key, flip] : flips)
        json[key] = {name_of(flip.last), flip.count, flip.since.time_since_epoch().count()};
    return json.dump();
}

std::map<sync::Key, sync::Flip> flips_from_json(const nlohmann::json& json) {
    std::map<sync::Key, sync::Flip> flips;
    for (const auto& [key, flip] : json.items())
        flips[key] = {flip.at(0) == name_of(sync::Side::local) ? sync::Side::local : sync::Side::remote,
                      flip.at(1).get<int>(), Instant{std::chrono::microseconds{flip.at(2).get<std::int64_t>()}}};
    return flips;
}

/// {key: [value, until in microseconds]}
sync::Value late_to_text(const std::map<sync::Key, sync::LateWrite>& late) {
    if (late.empty()) return std::nullopt;
    auto json = nlohmann::json::object();
    for (const auto& [key, write] : late) {
        auto& slot = json[key] = {nullptr, write.until.time_since_epoch().count()};
        if (write.value) slot.at(0) = *write.value;
    }
    return json.dump();
}

std::map<sync::Key, sync::LateWrite> late_from_json(const nlohmann::json& json) {
    std::map<sync::Key, sync::LateWrite> late;
    for (const auto& [key, write] : json.items())
        late[key] = {write.at(0).is_null() ? sync::Value{} : write.at(0).get<std::string>(),
                     Instant{std::chrono::microseconds{write.at(1).get<std::int64_t>()}}};
    return late;
}

/// [[id, field, local, remote, resolution], …]
std::map<sync::Key, sync::OpenConflict> conflicts_from_json(const nlohmann::json& json) {
    const auto value_of = [](const nlohmann::json& value) {
        return value.is_null() ? sync::Value{} : sync::Value{value.get<std::string>()};
    };
    std::map<sync::Key, sync::OpenConflict> open;
    for (const auto& row : json) {
        sync::OpenConflict conflict{row.at(0).get<std::int64_t>(), value_of(row.at(2)), value_of(row.at(3)), {}};
        if (row.at(4) == "local") conflict.resolution = sync::Side::local;
        if (row.at(4) == "remote") conflict.resolution = sync::Side::remote;
        open.emplace(row.at(1).get<std::string>(), std::move(conflict));
    }
    return open;
}

void write_bases(pqxx::transaction_base& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{"write_bases", R"sql(
        INSERT INTO sync.base AS b (workspace, lead_id, instantly_id, content, content_hash, raw_hash, remote_updated_at,
                                    expected, flips, late, observed_at)
        SELECT $1, unnest($2::uuid[]), unnest($3::uuid[]), unnest($4::jsonb[]), unnest($5::int8[]), unnest($6::int8[]),
               unnest($7::timestamptz[]), unnest($8::jsonb[]), unnest($9::jsonb[]), unnest($10::jsonb[]),
               unnest($11::timestamptz[])
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET instantly_id = excluded.instantly_id, content = excluded.content,
                content_hash = excluded.content_hash, raw_hash = excluded.raw_hash,
                remote_updated_at = excluded.remote_updated_at,
                expected = excluded.expected, flips = excluded.flips, late = excluded.late,
                observed_at = excluded.observed_at, gone_at = NULL,
                expected_until = CASE WHEN excluded.expected IS NOT NULL THEN b.expected_until END
    )sql"};
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    BinaryArray instantly_ids{uuid};
    BinaryArray contents{jsonb};
    BinaryArray hashes{int8};
    BinaryArray raw_hashes{int8};
    BinaryArray updated{timestamptz};
    BinaryArray expected{jsonb};
    BinaryArray flips{jsonb};
    BinaryArray late{jsonb};
    BinaryArray observed{timestamptz};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        instantly_ids.add(lead.instantly_id.text);
        contents.add(base_text(lead.base ? lead.base->content : lead.local));
        hashes.add_int8(static_cast<std::int64_t>(lead.content_hash));
        if (lead.raw_hash != 0)
            raw_hashes.add_int8(static_cast<std::int64_t>(lead.raw_hash));
        else
            raw_hashes.add_null();
        updated.add_or_null(lead.local[Field::timestamp_updated]);
        const bool awaits = lead.base && !lead.base->expected.empty();
        expected.add_or_null(awaits ? sync::Value{expectations_to_json(lead.base->expected).dump()} : std::nullopt);
        flips.add_or_null(lead.base ? flips_to_text(lead.base->flips) : std::nullopt);
        late.add_or_null(lead.base ? late_to_text(lead.base->late) : std::nullopt);
        observed.add_instant(lead.observed_at);
    }
    execute(transaction, statement, workspace, ids.finish(), instantly_ids.finish(), contents.finish(),
            hashes.finish(), raw_hashes.finish(), updated.finish(), expected.finish(), flips.finish(), late.finish(),
            observed.finish());
}

/// The columns that a row's content is read from, in the order of `content_from`.
std::string content_columns() {
    std::string columns = "l.custom_variables::text";
    for (const auto& line : sync::field_table())
        if (line.owner != Owner::instantly) columns.append(", l.").append(line.name);
    return columns;
}

sync::Content content_from(const pqxx::row& row, int first_column) {
    sync::Content content;
    content.custom_variables = parse_jsonb(row[first_column].c_str()).get<sync::CustomVariables>();
    for (const auto& line : sync::field_table()) {
        if (line.owner == Owner::instantly) continue;
        if (const auto value = row[++first_column]; !value.is_null()) content[line.field] = value.c_str();
    }
    return content;
}

Instant instant_from(const pqxx::field& microseconds) {
    return Instant{std::chrono::microseconds{microseconds.as<std::int64_t>()}};
}

KnownLead known_lead(const pqxx::row& row, Instant now) {
    KnownLead lead{.id = {row["lead_id"].c_str()}, .instantly_id = {row["instantly_id"].c_str()}};
    lead.base.content = base_from_json(parse_jsonb(row["content"].c_str()));
    if (const auto field = row["expected"]; !field.is_null())
        lead.base.expected = expectations_from_json(parse_jsonb(field.c_str()));
    lead.base.expectations_expired = row["expired"].as<bool>();
    if (const auto field = row["flips"]; !field.is_null())
        lead.base.flips = flips_from_json(nlohmann::json::parse(field.c_str()));
    if (const auto field = row["late"]; !field.is_null())
        lead.base.late = late_from_json(nlohmann::json::parse(field.c_str()));
    lead.remote_updated_at = row["remote_updated_at"].as<std::string>("");
    if (const auto field = row["written_at"]; !field.is_null()) lead.written_at = instant_from(field);
    if (const auto field = row["observed_at"]; !field.is_null()) lead.observed_at = instant_from(field);
    if (const auto field = row["edited_ago"]; !field.is_null())
        lead.edited_at = now - std::chrono::microseconds{field.as<std::int64_t>()};
    if (const auto field = row["conflicts"]; !field.is_null())
        lead.open = conflicts_from_json(nlohmann::json::parse(field.c_str()));
    lead.status = sync::sync_status_named(row["sync_status"].c_str());
    if (const auto field = row["sync_error"]; !field.is_null()) lead.error = field.c_str();
    lead.local = content_from(row, static_cast<int>(row.column_number("custom_variables")));
    return lead;
}

}  // namespace

std::map<sync::Key, sync::Value> expectations_from_json(const nlohmann::json& json) {
    std::map<sync::Key, sync::Value> expected;
    for (const auto& [key, value] : json.items())
        expected[key] = value.is_null() ? sync::Value{} : value.get<std::string>();
    return expected;
}

nlohmann::json expectations_to_json(const std::map<sync::Key, sync::Value>& expected) {
    auto json = nlohmann::json::object();
    for (const auto& [key, value] : expected) {
        auto& slot = json[key];
        if (value) slot = *value;
    }
    return json;
}

std::string row_agrees_with_base(Agreement agreement) {
    auto sql = fmt::format("l.{0} = coalesce(b.content->'{0}', '{{}}')", custom_variables_name);
    for (const auto& line : sync::field_table()) {
        const bool is_left_out = agreement == Agreement::but_for_the_place && line.call == sync::Call::move;
        if (line.owner == Owner::both_ways && !is_left_out)
            sql += fmt::format(" AND coalesce(l.{0}::text, '') = coalesce(b.content->>'{0}', '')", line.name);
    }
    return sql;
}

std::vector<KnownLead> load_leads(pqxx::transaction_base& transaction, const std::string& workspace,
                                  const std::vector<sync::InstantlyId>& ids, store::Lock lock, Instant now) {
    static const std::string query = R"sql(
        SELECT b.lead_id, b.instantly_id, b.content::text, b.expected::text, b.flips::text, b.late::text,
               coalesce(b.expected_until <= now(), false) AS expired,
               to_char(b.remote_updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS remote_updated_at,
               (extract(epoch FROM b.written_at) * 1000000)::int8 AS written_at,
               (extract(epoch FROM b.observed_at) * 1000000)::int8 AS observed_at,
               (SELECT (extract(epoch FROM clock_timestamp() - q.edited_at) * 1000000)::int8 FROM sync.queue q
                WHERE q.workspace = b.workspace AND q.lead_id = b.lead_id) AS edited_ago,
               (SELECT jsonb_agg(jsonb_build_array(c.id, c.field, c.local, c.remote, c.resolution))::text
                FROM crm.conflicts c WHERE c.workspace = b.workspace AND c.lead_id = b.lead_id
                                       AND c.resolved_at IS NULL) AS conflicts,
               l.sync_status, l.sync_error, )sql"
                                     + content_columns() + R"sql(
        FROM sync.base b
        JOIN crm.leads l ON l.workspace = b.workspace AND l.id = b.lead_id
        WHERE b.workspace = $1 AND b.instantly_id = ANY ($2::uuid[]) AND b.deleted_at IS NULL
        ORDER BY b.lead_id)sql";
    static const Statement look{"load_leads", query};
    // The base too: of a row that was written since the statement began, PostgreSQL reads again what it locks, and
    // only that. A new row beside an old base would look like an edit.
    static const Statement lock_too{"load_and_lock_leads", query + " FOR NO KEY UPDATE OF l, b SKIP LOCKED"};

    std::vector<KnownLead> known;
    if (ids.empty()) return known;
    for (const auto& row :
         execute(transaction, lock == store::Lock::rows ? lock_too : look, workspace, array_of(ids)))
        known.push_back(known_lead(row, now));
    return known;
}

std::vector<store::LocalRow> load_rows(pqxx::transaction_base& transaction, const std::string& workspace,
                                       const std::vector<sync::LeadId>& ids) {
    // Planned each time, as in leads.cpp.
    static const std::string query = "SELECT l.id, " + content_columns() + R"sql(
        FROM crm.leads l WHERE l.workspace = $1 AND l.id = ANY ($2::uuid[]) ORDER BY l.id)sql";
    std::vector<store::LocalRow> rows;
    if (ids.empty()) return rows;
    for (const auto& row : transaction.exec_params(query, workspace, array_of(ids)))
        rows.push_back({{row[0].c_str()}, content_from(row, 1)});
    return rows;
}

void insert_leads(pqxx::transaction_base& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{
        "insert_leads",
        "INSERT INTO crm.leads (workspace, id, instantly_id, custom_variables, extra, sync_status, sync_error, "
        "synced_at"
            + column_list("")
            + ") SELECT $1, u.id, u.instantly_id, u.custom_variables, u.extra, u.sync_status, u.sync_error, now()"
            + column_list("u.") + " FROM " + unnest_rows()};
    if (leads.empty()) return;
    execute(transaction, statement, workspace, pqxx::prepare::make_dynamic_params(row_arrays(leads)));
    write_bases(transaction, workspace, leads);
}

void update_leads(pqxx::transaction_base& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{
        "update_leads", [] {
            std::string assignments;
            for (const auto& line : sync::field_table())
                assignments.append(", ").append(line.name).append(" = u.").append(line.name);
            return R"sql(
            UPDATE crm.leads l
            SET instantly_id = u.instantly_id, custom_variables = u.custom_variables, extra = u.extra,
                sync_status = u.sync_status, sync_error = u.sync_error, deleted_at = NULL,
                synced_at = CASE WHEN u.sync_status = 'synced' THEN now() ELSE l.synced_at END,
                updated_at = now())sql"
                   + assignments + " FROM " + unnest_rows() + " WHERE l.workspace = $1 AND l.id = u.id";
        }()};
    if (leads.empty()) return;
    execute(transaction, statement, workspace, pqxx::prepare::make_dynamic_params(row_arrays(leads)));
    write_bases(transaction, workspace, leads);
}

}  // namespace leadsync::postgres
