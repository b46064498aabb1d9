#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

namespace leadsync::postgres {

/// A campaign, lead list or lead label as `crm` shows it.
struct CatalogRow {
    std::string id;
    std::string name;
    std::optional<int> number;  ///< a campaign's status, a label's interest_status
    nlohmann::json data;
};

/// Which catalogue: `crm.campaigns`, `crm.lead_lists` or `crm.lead_labels`.
enum class Catalog { campaigns, lead_lists, lead_labels };

/// Makes the table equal to a complete listing: rows that are not in it go.
void replace_catalog(pqxx::work& transaction, Catalog catalog, const std::string& workspace,
                     const std::vector<CatalogRow>& rows);

}  // namespace leadsync::postgres
