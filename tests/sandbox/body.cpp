#include "tests/sandbox/body.hpp"

#include <algorithm>

namespace leadsync::sandbox {
namespace {

Refusal wrong_type(const char* key, std::string_view type) {
    return refusal(400, "body/" + std::string{key} + " must be " + std::string{type});
}

Json parse(const Request& request) {
    if (request.body.empty()) {
        if (request.content_type.empty()) throw refusal(400, "body must be object");
        throw Refusal{400,
                      {{"statusCode", 400},
                       {"code", "FST_ERR_CTP_EMPTY_JSON_BODY"},
                       {"error", "Bad Request"},
                       {"message", "Body cannot be empty when content-type is set to 'application/json'"}}};
    }
    if (!request.content_type.starts_with("application/json")) {
        throw Refusal{415,
                      {{"statusCode", 415},
                       {"code", "FST_ERR_CTP_INVALID_MEDIA_TYPE"},
                       {"error", "Unsupported Media Type"},
                       {"message", "Unsupported Media Type: " + std::string{request.content_type}}}};
    }
    auto json = Json::parse(request.body, nullptr, false);
    if (json.is_discarded()) throw refusal(400, "Body is not valid JSON");
    if (!json.is_object()) throw refusal(400, "body must be object");
    return json;
}

}  // namespace

Body::Body(const Request& request) : json_{} { json_ = parse(request); }

const Json* Body::find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
}

bool Body::has(const char* key) const { return find(key) != nullptr; }

std::optional<std::string> Body::text(const char* key) const {
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) throw wrong_type(key, "string");
    return value->get<std::string>();
}

std::string Body::required_text(const char* key) const {
    const auto value = text(key);
    if (!value) throw refusal(400, "body must have required property '" + std::string{key} + "'");
    return *value;
}

std::optional<bool> Body::boolean(const char* key) const {
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) throw wrong_type(key, "boolean");
    return value->get<bool>();
}

std::optional<std::int64_t> Body::integer(const char* key) const {
    const auto* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number_integer()) throw wrong_type(key, "integer");
    return value->get<std::int64_t>();
}

std::optional<Uuid> Body::id(const char* key) const {
    const auto value = text(key);
    if (!value) return std::nullopt;
    return parse_uuid(*value).value_or(Uuid{});
}

std::optional<std::vector<std::string>> Body::texts(const char* key) const {
    const auto* value = find(key);
    if (!value) return std::nullopt;
    const bool all_texts =
        value->is_array() && std::ranges::all_of(*value, [](const Json& v) { return v.is_string(); });
    if (!all_texts) throw wrong_type(key, "array of strings");
    return value->get<std::vector<std::string>>();
}

std::optional<std::vector<Uuid>> Body::ids(const char* key) const {
    const auto values = texts(key);
    if (!values) return std::nullopt;
    std::vector<Uuid> ids;
    for (const auto& value : *values) ids.push_back(parse_uuid(value).value_or(Uuid{}));
    return ids;
}

bool Body::names_one_of(const char* key, const std::set<std::string>& wanted) const {
    if (wanted.empty()) return false;
    const auto named = texts(key);
    return named && std::ranges::any_of(*named, [&](const std::string& text) { return wanted.contains(text); });
}

}  // namespace leadsync::sandbox
