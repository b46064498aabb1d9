#include "connectors/postgres/json_text.hpp"

#include <algorithm>
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

}  // namespace

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
