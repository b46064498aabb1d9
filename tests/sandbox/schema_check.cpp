#include "tests/sandbox/schema_check.hpp"

#include <algorithm>

namespace leadsync::sandbox {
namespace {

using Document = nlohmann::json;
using Errors = std::vector<std::string>;

bool has_type(const Document& value, const std::string& type) {
    if (type == "object") return value.is_object();
    if (type == "array") return value.is_array();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_boolean();
    if (type == "null") return value.is_null();
    if (type == "integer") return value.is_number_integer();
    return type == "number" && value.is_number();
}

bool has_one_type(const Document& value, const Document& types) {
    if (types.is_string()) return has_type(value, types.get<std::string>());
    return std::ranges::any_of(types, [&](const Document& type) { return has_type(value, type.get<std::string>()); });
}

void append(Errors& errors, Errors more) { errors.insert(errors.end(), more.begin(), more.end()); }

Errors choice_errors(const Document& document, const Document& choices, const Document& value,
                     const std::string& place) {
    Errors errors{place + " fits no alternative"};
    for (const auto& choice : choices) {
        auto found = schema_errors(document, choice, value, place);
        if (found.empty()) return {};
        append(errors, std::move(found));
    }
    return errors;
}

Errors object_errors(const Document& document, const Document& schema, const Document& value,
                     const std::string& place) {
    Errors errors;
    for (const auto& key : schema.value("required", Document::array())) {
        if (!value.contains(key)) errors.push_back(place + " lacks " + key.get<std::string>());
    }
    const auto properties = schema.value("properties", Document::object());
    for (const auto& [key, member] : value.items()) {
        if (properties.contains(key)) {
            append(errors, schema_errors(document, properties[key], member, place + '.' + key));
        } else if (schema.value("additionalProperties", Document(true)) == Document(false)) {
            errors.push_back(place + " may not have " + key);
        }
    }
    return errors;
}

}  // namespace

Errors schema_errors(const Document& document, const Document& schema, const Document& value,
                     const std::string& place) {
    if (schema.contains("$ref")) {
        const auto pointer = schema["$ref"].get<std::string>().substr(1);
        return schema_errors(document, document.at(Document::json_pointer{pointer}), value, place);
    }
    if (schema.contains("type") && !has_one_type(value, schema["type"])) return {place + " has the wrong type"};
    Errors errors;
    if (schema.contains("enum") && std::ranges::count(schema["enum"], value) == 0) {
        errors.push_back(place + " cannot be " + value.dump());
    }
    for (const char* key : {"anyOf", "oneOf"}) {
        if (schema.contains(key)) append(errors, choice_errors(document, schema[key], value, place));
    }
    if (value.is_object()) append(errors, object_errors(document, schema, value, place));
    if (value.is_array() && schema.contains("items")) {
        for (std::size_t i = 0; i < value.size(); ++i) {
            append(errors, schema_errors(document, schema["items"], value[i], place + '[' + std::to_string(i) + ']'));
        }
    }
    return errors;
}

}  // namespace leadsync::sandbox
