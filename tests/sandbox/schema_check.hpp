#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace leadsync::sandbox {

/// Where `value` breaks `schema`, in words; empty when it does not. Looks at type, required, enum, items, properties,
/// anyOf, oneOf and $ref, which is all that the vendor's document uses to describe answers.
std::vector<std::string> schema_errors(const nlohmann::json& document, const nlohmann::json& schema,
                                       const nlohmann::json& value, const std::string& place = "answer");

}  // namespace leadsync::sandbox
