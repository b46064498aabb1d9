#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "sync/lead.hpp"

namespace leadsync::instantly {

/// Parses an answer's JSON. What a strict parser refuses but servers do send is mended: invalid UTF-8 and lone
/// surrogate escapes become U+FFFD, and a number beyond a double (1e999) becomes text, so that one lead's value never
/// costs a page. Throws nlohmann::json::parse_error when it is no JSON (a cut or foreign answer) or nests deeper than
/// 128 levels. `depth` is how deep the text lies in its document: 0 for all of it.
nlohmann::json parse_json(std::string_view text, int depth = 0);

/// What stands between the quotes of a JSON string, its escapes read as parse_json reads them; it is taken for valid
/// UTF-8 without control characters. Throws nlohmann::json::parse_error for an escape that is none.
std::string unescaped(std::string_view text);

/// The text with U+FFFD in place of invalid UTF-8 and NUL: what PostgreSQL takes as text.
std::string well_formed(std::string_view text);

/// Compact JSON text; invalid UTF-8 in it becomes U+FFFD.
std::string compact(const nlohmann::json& value);

/// compact(parse_json(text)), made without a tree where that is simple: of objects with few keys, plain texts,
/// literals and whole numbers, as summaries mostly are. Nothing for any other text. Texts in it are taken for valid
/// UTF-8 without control characters.
std::optional<std::string> compacted(std::string_view text);

/// A lead as it came. Absent and null fields are absent. A field whose value has another type than the field table
/// says is kept in `extra` under its own key and marked unreadable; numbers and booleans in text fields are taken as
/// text. Unknown keys go to `extra`. `payload` becomes custom variables, less its mirrors of standard fields; nested
/// values, which no custom variable may have, go to `extra["payload"]`. U+0000, which PostgreSQL cannot hold, becomes
/// U+FFFD.
/// "" where a UUID or a time belongs is absence. Throws std::invalid_argument when there is no usable id, or when
/// `payload` is no object: taken for data, that would read as the removal of every custom variable.
/// Source: INSTANTLY.md, Reading leads.
sync::RemoteLead parse_lead(const nlohmann::json& lead);

/// The same; takes the texts out of `lead` instead of copying them, but leaves it as it is when it throws.
sync::RemoteLead parse_lead(nlohmann::json&& lead);

/// The given both-ways field as JSON for a write: its typed value, null when absent. Throws std::invalid_argument
/// when `value` is no canonical text of the field's kind.
nlohmann::json to_json(sync::Field field, const sync::Value& value);

/// The complete custom-variable map for a write.
nlohmann::json to_json(const sync::CustomVariables& variables);

}  // namespace leadsync::instantly
