#include "connectors/postgres/lead_rows.hpp"

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {
namespace {

using sync::Field;
using sync::FieldSpec;
using sync::Kind;
using sync::Owner;
using Arrays = std::vector<pqxx::binarystring>;

constexpr std::string_view variables_key = "custom_variables";

std::string column_list(std::string_view prefix) {
    std::string list;
    for (const auto& line : sync::field_table()) {
        list.append(", ").append(prefix).append(line.name);
        if (!prefix.empty() && line.kind == Kind::timestamp) list.append("::timestamptz");
    }
    return list;
}

/// `unnest(...) AS u(...)` over the arrays of `row_arrays`, the first of them being parameter 2.
std::string unnest_rows() {
    std::string parameters = "$2::uuid[], $3::uuid[], $4::jsonb[], $5::jsonb[], $6::text[]";
    int next = 7;
    for (const auto& line : sync::field_table())
        parameters.append(", $")
            .append(std::to_string(next++))
            .append("::")
            .append(BinaryArray::sql_type_of(line.kind));
    return "unnest(" + parameters + ") AS u(id, instantly_id, custom_variables, extra, sync_status" + column_list("")
           + ")";
}

Arrays row_arrays(std::span<const LeadRow> leads) {
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    BinaryArray instantly_ids{uuid};
    BinaryArray variables{jsonb};
    BinaryArray extras{jsonb};
    BinaryArray statuses{text};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        instantly_ids.add(lead.instantly_id.text);
        variables.add(nlohmann::json(lead.local.custom_variables).dump());
        extras.add(lead.extra.dump());
        statuses.add(name_of(lead.status));
    }
    Arrays arrays{ids.finish(), instantly_ids.finish(), variables.finish(), extras.finish(), statuses.finish()};
    for (const auto& line : sync::field_table()) {
        BinaryArray column{BinaryArray::element_of(line.kind)};
        for (const auto& lead : leads) column.add_or_null(lead.local[line.field]);
        arrays.push_back(column.finish());
    }
    return arrays;
}

/// The both-ways fields that are present, by name.
nlohmann::json base_to_json(const sync::Content& base) {
    auto json = nlohmann::json::object();
    for (const auto& line : sync::field_table())
        if (line.owner == Owner::both_ways && base[line.field]) json[std::string{line.name}] = *base[line.field];
    if (!base.custom_variables.empty()) json[std::string{variables_key}] = base.custom_variables;
    return json;
}

sync::Content base_from_json(const nlohmann::json& json) {
    sync::Content base;
    for (const auto& line : sync::field_table())
        if (const auto found = json.find(line.name); found != json.end())
            base[line.field] = found->get<std::string>();
    if (const auto found = json.find(variables_key); found != json.end())
        base.custom_variables = found->get<sync::CustomVariables>();
    return base;
}

std::map<sync::Key, sync::Value> expectations_from_json(const nlohmann::json& json) {
    std::map<sync::Key, sync::Value> expected;
    for (const auto& [key, value] : json.items())
        expected[key] = value.is_null() ? sync::Value{} : value.get<std::string>();
    return expected;
}

void write_bases(pqxx::work& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{"write_bases", R"sql(
        INSERT INTO sync.base AS b (workspace, lead_id, instantly_id, content, content_hash, remote_updated_at, expected)
        SELECT $1, u.id, u.instantly_id, u.content, u.content_hash, u.remote_updated_at::timestamptz, u.expected
        FROM unnest($2::uuid[], $3::uuid[], $4::jsonb[], $5::int8[], $6::text[], $7::jsonb[])
             AS u(id, instantly_id, content, content_hash, remote_updated_at, expected)
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET instantly_id = excluded.instantly_id, content = excluded.content,
                content_hash = excluded.content_hash, remote_updated_at = excluded.remote_updated_at,
                expected = excluded.expected,
                expected_until = CASE WHEN excluded.expected IS NOT NULL THEN b.expected_until END
    )sql"};
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    BinaryArray instantly_ids{uuid};
    BinaryArray contents{jsonb};
    BinaryArray hashes{int8};
    BinaryArray updated{text};
    BinaryArray expected{jsonb};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        instantly_ids.add(lead.instantly_id.text);
        contents.add(base_to_json(lead.base.content).dump());
        hashes.add_int8(static_cast<std::int64_t>(lead.content_hash));
        updated.add_or_null(lead.local[Field::timestamp_updated]);
        expected.add_or_null(lead.base.expected.empty() ? sync::Value{}
                                                        : expectations_to_json(lead.base.expected).dump());
    }
    execute(transaction, statement, workspace, ids.finish(), instantly_ids.finish(), contents.finish(),
            hashes.finish(), updated.finish(), expected.finish());
}

}  // namespace

nlohmann::json expectations_to_json(const std::map<sync::Key, sync::Value>& expected) {
    auto json = nlohmann::json::object();
    for (const auto& [key, value] : expected) {
        auto& slot = json[key];
        if (value) slot = *value;
    }
    return json;
}

std::string_view name_of(SyncStatus status) {
    switch (status) {
        case SyncStatus::synced:
            return "synced";
        case SyncStatus::pending:
            return "pending";
        case SyncStatus::verifying:
            return "verifying";
    }
    return "pending";
}

std::vector<KnownLead> load_and_lock(pqxx::work& transaction, const std::string& workspace,
                                     const std::vector<sync::InstantlyId>& ids) {
    static const Statement statement{"load_and_lock", [] {
                                         std::string columns;
                                         for (const auto& line : sync::field_table())
                                             if (line.owner != Owner::instantly)
                                                 columns.append(", l.").append(line.name);
                                         return R"sql(
            SELECT b.lead_id, b.instantly_id, b.content::text, b.expected::text,
                   coalesce(b.expected_until <= now(), false),
                   to_char(b.remote_updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
                   (extract(epoch FROM b.written_at) * 1000000)::int8, l.custom_variables::text)sql"
                                                + columns + R"sql(
            FROM sync.base b
            JOIN crm.leads l ON l.workspace = b.workspace AND l.id = b.lead_id
            WHERE b.workspace = $1 AND b.instantly_id = ANY ($2::uuid[]) AND b.deleted_at IS NULL
            ORDER BY b.lead_id
            FOR NO KEY UPDATE OF l SKIP LOCKED)sql";
                                     }()};
    BinaryArray wanted{BinaryArray::Element::uuid};
    for (const auto& id : ids) wanted.add(id.text);

    std::vector<KnownLead> known;
    for (const auto& row : execute(transaction, statement, workspace, wanted.finish())) {
        KnownLead lead{.id = {row[0].c_str()}, .instantly_id = {row[1].c_str()}};
        lead.base.content = base_from_json(nlohmann::json::parse(row[2].c_str()));
        if (!row[3].is_null()) lead.base.expected = expectations_from_json(nlohmann::json::parse(row[3].c_str()));
        lead.base.expectations_expired = row[4].as<bool>();
        lead.remote_updated_at = row[5].as<std::string>("");
        lead.written_at = row[6].as<std::int64_t>(0);
        lead.local.custom_variables = nlohmann::json::parse(row[7].c_str()).get<sync::CustomVariables>();
        int column = 8;
        for (const auto& line : sync::field_table()) {
            if (line.owner == Owner::instantly) continue;
            if (const auto value = row[column++]; !value.is_null()) lead.local[line.field] = value.c_str();
        }
        known.push_back(std::move(lead));
    }
    return known;
}

void insert_leads(pqxx::work& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{
        "insert_leads",
        "INSERT INTO crm.leads (workspace, id, instantly_id, custom_variables, extra, sync_status, "
        "synced_at"
            + column_list("") + ") SELECT $1, u.id, u.instantly_id, u.custom_variables, u.extra, u.sync_status, now()"
            + column_list("u.") + " FROM " + unnest_rows()};
    if (leads.empty()) return;
    execute(transaction, statement, workspace, pqxx::prepare::make_dynamic_params(row_arrays(leads)));
    write_bases(transaction, workspace, leads);
}

void update_leads(pqxx::work& transaction, const std::string& workspace, std::span<const LeadRow> leads) {
    static const Statement statement{
        "update_leads", [] {
            std::string assignments;
            for (const auto& line : sync::field_table())
                assignments.append(", ").append(line.name).append(" = u.").append(line.name).append(
                    line.kind == Kind::timestamp ? "::timestamptz" : "");
            return R"sql(
            UPDATE crm.leads l
            SET instantly_id = u.instantly_id, custom_variables = u.custom_variables, extra = u.extra,
                sync_status = CASE WHEN l.sync_status = 'error' AND u.sync_status = 'pending' THEN 'error'
                                   ELSE u.sync_status END,
                sync_error = CASE WHEN l.sync_status = 'error' AND u.sync_status = 'pending' THEN l.sync_error END,
                synced_at = CASE WHEN u.sync_status = 'synced' THEN now() ELSE l.synced_at END,
                updated_at = now())sql"
                   + assignments + " FROM " + unnest_rows() + " WHERE l.workspace = $1 AND l.id = u.id";
        }()};
    if (leads.empty()) return;
    execute(transaction, statement, workspace, pqxx::prepare::make_dynamic_params(row_arrays(leads)));
    write_bases(transaction, workspace, leads);
}

}  // namespace leadsync::postgres
