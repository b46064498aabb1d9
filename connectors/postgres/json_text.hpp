#pragma once

#include <string>
#include <string_view>

#include "sync/lead.hpp"

namespace leadsync::postgres {

/// JSON texts of every lead that is written, made without a tree.

/// An object of the custom variables.
void append_json(std::string& out, const sync::CustomVariables& variables);
std::string json_text(const sync::CustomVariables& variables);

/// Their name in a base.
inline constexpr std::string_view custom_variables_name = "custom_variables";

/// What PostgreSQL prints of a jsonb. A number beyond a double, which the triggers refuse but which may have come
/// past them, becomes text.
nlohmann::json parse_jsonb(std::string_view text);

/// A base as `sync.base.content` holds it: the both-ways fields that are present, by name.
std::string base_text(const sync::Content& base);

}  // namespace leadsync::postgres
