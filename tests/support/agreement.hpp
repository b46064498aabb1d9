#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace leadsync::test_support {

/// Where `crm.leads`, `sync.base` and Instantly's truth differ, a line for each lead and field; nothing: local = base
/// = remote for every both-ways field, and the row shows every other field as Instantly has it. `truth`: every lead
/// of the workspace as Instantly answers it. Rows that are local only are no difference.
std::vector<std::string> differences(const std::string& database_url, const std::string& workspace,
                                     const std::vector<nlohmann::json>& truth);

}  // namespace leadsync::test_support
