#include <set>
#include <string>

#include <spdlog/spdlog.h>

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/progress.hpp"

namespace leadsync::postgres {

using store::Catalog;

namespace {

struct Table {
    const char* forget_name;
    const char* write_name;
    std::string name;
    std::string name_column;
    std::string number_column;  // empty: the table has none
};

const Table& table_of(Catalog catalog) {
    static const Table campaigns{"forget_campaigns", "write_campaigns", "crm.campaigns", "name", "status"};
    static const Table lists{"forget_lead_lists", "write_lead_lists", "crm.lead_lists", "name", ""};
    static const Table labels{"forget_lead_labels", "write_lead_labels", "crm.lead_labels", "label",
                              "interest_status"};
    switch (catalog) {
        case Catalog::campaigns:
            return campaigns;
        case Catalog::lead_lists:
            return lists;
        case Catalog::lead_labels:
            break;
    }
    return labels;
}

Statement write_statement(const Table& table) {
    const auto& number = table.number_column;
    const std::string more = number.empty() ? "" : ", " + number;
    const std::string set = number.empty() ? "" : ", " + number + " = excluded." + number;
    return {table.write_name, "INSERT INTO " + table.name + " (workspace, id, data, " + table.name_column + more +
                                  ") SELECT $1, u.id, u.data, u.name" + (number.empty() ? "" : ", u.number") +
                                  " FROM unnest($2::uuid[], $3::jsonb[], $4::text[], $5::int4[])"
                                  " AS u(id, data, name, number)"
                                  " ON CONFLICT (workspace, id) DO UPDATE SET seen_at = now(), data = excluded.data, " +
                                  table.name_column + " = excluded." + table.name_column + set};
}

}  // namespace

void Progress::replace_catalog(Catalog catalog, const std::vector<store::CatalogRow>& rows) {
    using enum BinaryArray::Element;
    BinaryArray ids{uuid};
    BinaryArray data{jsonb};
    BinaryArray names{text};
    BinaryArray numbers{int4};
    std::set<std::string> known;
    for (const auto& row : rows) {
        const auto id = sync::canonical(sync::Kind::uuid, row.id);
        if (!id) {
            spdlog::warn(R"(workspace {}: {} "{}" has no usable id ("{}") and is left out)", workspace_,
                         table_of(catalog).name, row.name, row.id);
            continue;
        }
        if (!known.insert(*id).second) continue;  // PostgreSQL refuses an upsert that meets a row twice
        ids.add(*id);
        data.add(row.data.dump());
        names.add(row.name);
        numbers.add_or_null(row.number ? sync::Value{std::to_string(*row.number)} : std::nullopt);
    }
    const auto& table = table_of(catalog);
    execute(transaction_,
            {table.forget_name, "DELETE FROM " + table.name + " WHERE workspace = $1 AND id <> ALL ($2::uuid[])"},
            workspace_, ids.finish());
    execute(transaction_, write_statement(table), workspace_, ids.finish(), data.finish(), names.finish(),
            numbers.finish());
}

}  // namespace leadsync::postgres
