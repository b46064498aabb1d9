#include "connectors/postgres/json_text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>

namespace leadsync::postgres {
namespace {

void append_quoted(std::string& out, std::string_view text) {
    const bool is_plain = std::ranges::none_of(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; });
    if (!is_plain) {
        out += nlohmann::json(text).dump();
        return;
    }
    out += '"';
    out += text;
    out += '"';
}

void append_key(std::string& out, std::string_view key) {
    if (out.back() != '{') out += ',';
    append_quoted(out, key);
    out += ':';
}

/// Without the quotes of a text, in which nothing counts but the end.
std::size_t end_of_text(std::string_view json, std::size_t from) {
    std::size_t at = from + 1;
    while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2U : 1U;
    return std::min(at + 1, json.size());
}

std::string with_large_numbers_as_text(std::string_view json) {
    constexpr std::string_view of_numbers = "+-.0123456789eE";
    std::string mended;
    for (std::size_t at = 0; at < json.size();) {
        const char c = json[at];
        const bool is_number = c == '-' || (c >= '0' && c <= '9');
        const auto end = c == '"'    ? end_of_text(json, at)
                         : is_number ? std::min(json.find_first_not_of(of_numbers, at), json.size())
                                     : at + 1;
        const std::string part{json.substr(at, end - at)};
        const bool is_too_large = is_number && std::isinf(std::strtod(part.c_str(), nullptr));
        mended += is_too_large ? '"' + part + '"' : part;
        at = end;
    }
    return mended;
}

}  // namespace

nlohmann::json parse_jsonb(std::string_view text) {
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::out_of_range&) {
        return nlohmann::json::parse(with_large_numbers_as_text(text));
    }
}

void append_json(std::string& out, const sync::CustomVariables& variables) {
    out += '{';
    for (const auto& [key, value] : variables) {
        append_key(out, key);
        if (value.is_string())
            append_quoted(out, value.get_ref<const std::string&>());
        else
            out += value.dump();
    }
    out += '}';
}

std::string json_text(const sync::CustomVariables& variables) {
    std::string text;
    append_json(text, variables);
    return text;
}

std::string base_text(const sync::Content& base) {
    std::string text = "{";
    for (const auto& line : sync::field_table()) {
        const auto& value = base[line.field];
        if (line.owner != sync::Owner::both_ways || !value) continue;
        append_key(text, line.name);
        append_quoted(text, *value);
    }
    if (!base.custom_variables.empty()) {
        append_key(text, custom_variables_name);
        append_json(text, base.custom_variables);
    }
    text += '}';
    return text;
}

}  // namespace leadsync::postgres
