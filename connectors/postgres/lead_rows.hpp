#pragma once

#include <span>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "connectors/store/leads.hpp"

namespace leadsync::postgres {

/// The ends of a range of ids that is open there.
inline constexpr auto first_id = "00000000-0000-0000-0000-000000000000";
inline constexpr auto last_id = "ffffffff-ffff-ffff-ffff-ffffffffffff";

/// Rows of `crm.leads` with their bases, to and from SQL. The statements follow from the field table.

std::vector<sync::KnownLead> load_leads(pqxx::transaction_base& transaction, const std::string& workspace,
                                        const std::vector<sync::InstantlyId>& ids, store::Lock lock,
                                        sync::Instant now);

std::vector<store::LocalRow> load_rows(pqxx::transaction_base& transaction, const std::string& workspace,
                                       const std::vector<sync::LeadId>& ids);

enum class Agreement { everywhere, but_for_the_place };
/// SQL: whether row `l` and base `b` hold the same in everything that is pushed. Numbers and texts that count as
/// equal are not the same.
std::string row_agrees_with_base(Agreement agreement);

/// Accepted writes as `sync.base.expected` holds them: {key: value or null}.
nlohmann::json expectations_to_json(const std::map<sync::Key, sync::Value>& expected);

std::map<sync::Key, sync::Value> expectations_from_json(const nlohmann::json& json);

/// One statement for the rows, one for the bases.
void insert_leads(pqxx::transaction_base& transaction, const std::string& workspace,
                  std::span<const sync::LeadRow> leads);
void update_leads(pqxx::transaction_base& transaction, const std::string& workspace,
                  std::span<const sync::LeadRow> leads);

}  // namespace leadsync::postgres
