#include "tests/support/agreement.hpp"

#include <map>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "connectors/instantly/codec.hpp"
#include "sync/lead.hpp"

namespace leadsync::test_support {
namespace {

using sync::Kind;
using sync::Owner;
using sync::Value;

struct Side {
    sync::Content row;
    nlohmann::json base;
};

/// JSON as one text, whatever the order of its keys and the way its numbers are written.
Value normalised(Kind kind, const Value& value) {
    if (kind == Kind::json && value) return nlohmann::json::parse(*value).dump();
    return value;
}

std::string column_as_text(const sync::FieldSpec& line) {
    std::string name{"l."};
    name += line.name;
    if (line.kind == Kind::timestamp)
        return "to_char(" + name + R"( AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))";
    return name + "::text";
}

std::map<std::string, Side> read_rows(const std::string& url, const std::string& workspace) {
    std::string columns;
    for (const auto& line : sync::field_table()) columns += ", " + column_as_text(line);
    pqxx::connection connection{url};
    pqxx::work transaction{connection};
    std::map<std::string, Side> rows;
    for (const auto& row :
         transaction.exec_params("SELECT l.instantly_id, l.custom_variables::text, b.content::text" + columns
                                     + " FROM crm.leads l LEFT JOIN sync.base b ON b.workspace = "
                                       "l.workspace AND b.lead_id = l.id WHERE l.workspace = $1 AND "
                                       "l.instantly_id IS NOT NULL",
                                 workspace)) {
        auto& side = rows[row[0].c_str()];
        side.row.custom_variables = nlohmann::json::parse(row[1].c_str()).get<sync::CustomVariables>();
        side.base = nlohmann::json::parse(row[2].as<std::string>("{}"));
        int column = 3;
        for (const auto& line : sync::field_table())
            if (const auto value = row[column++]; !value.is_null())
                side.row[line.field] =
                    line.kind == Kind::boolean ? (value.as<bool>() ? "true" : "false") : value.c_str();
    }
    return rows;
}

class Comparison {
public:
    void compare(const std::string& id, const sync::RemoteLead& remote, const Side& local) {
        for (const auto& line : sync::field_table()) {
            const auto& there = remote.content[line.field];
            const auto& here = local.row[line.field];
            if (remote.unreadable.test(sync::index(line.field))) continue;
            if (!sync::agree(normalised(line.kind, there), normalised(line.kind, here)))
                tell(id, std::string{line.name}, here, there);
            if (line.owner != Owner::both_ways) continue;
            const auto held = local.base.find(line.name);
            const Value base = held == local.base.end() ? Value{} : held->get<std::string>();
            if (!sync::agree(there, base)) tell(id, "base of " + std::string{line.name}, base, there);
        }
        compare_variables(id, "custom_variables.", local.row.custom_variables, remote.content.custom_variables);
        compare_variables(id, "base of custom_variables.",
                          local.base.value("custom_variables", sync::CustomVariables{}),
                          remote.content.custom_variables);
    }

    void missing(const std::string& id, const std::string& side) {
        found.push_back(fmt::format("lead {}: not {}", id, side));
    }

    std::vector<std::string> found;

private:
    void compare_variables(const std::string& id, const std::string& what, const sync::CustomVariables& here,
                           const sync::CustomVariables& there) {
        auto both = here;
        both.insert(there.begin(), there.end());
        for (const auto& [name, value] : both)
            if (!sync::agree(sync::text_of(here, name), sync::text_of(there, name)))
                tell(id, what + name, sync::text_of(here, name), sync::text_of(there, name));
    }

    void tell(const std::string& id, const std::string& field, const Value& here, const Value& there) {
        found.push_back(fmt::format("lead {}: {}: \"{}\" here, \"{}\" on Instantly", id, field,
                                    here.value_or("(none)"), there.value_or("(none)")));
    }
};

}  // namespace

std::vector<std::string> differences(const std::string& database_url, const std::string& workspace,
                                     const std::vector<nlohmann::json>& truth) {
    auto rows = read_rows(database_url, workspace);
    Comparison comparison;
    for (const auto& lead : truth) {
        const auto remote = instantly::parse_lead(lead);
        const auto row = rows.find(remote.id.text);
        if (row == rows.end()) {
            comparison.missing(remote.id.text, "in crm.leads");
            continue;
        }
        comparison.compare(remote.id.text, remote, row->second);
        rows.erase(row);
    }
    for (const auto& [id, row] : rows) comparison.missing(id, "on Instantly");
    return std::move(comparison.found);
}

}  // namespace leadsync::test_support
