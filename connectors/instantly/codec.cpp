#include "connectors/instantly/codec.hpp"

#include <stdexcept>

#include "connectors/instantly/lead_builder.hpp"

namespace leadsync::instantly {

using nlohmann::json;
using sync::Kind;
using sync::RemoteLead;
using sync::Value;

std::string compact(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

RemoteLead parse_lead(json&& lead) {
    RemoteLead result;
    LeadBuilder builder{result};
    // First what may refuse the lead.
    const auto id = lead.is_object() ? lead.find("id") : lead.end();
    if (!lead.is_object() || id == lead.end()) throw std::invalid_argument{"a lead without an id"};
    builder.add("id", piece_of(json(*id)));
    if (const auto payload = lead.find("payload"); payload != lead.end()) builder.add_payload(payload->type());

    for (auto& [key, value] : lead.get_ref<json::object_t&>()) {
        if (key != "payload") {
            builder.add(key, piece_of(std::move(value)));
        } else if (value.is_object()) {
            for (auto& [name, variable] : value.get_ref<json::object_t&>())
                builder.add_variable(name, piece_of(std::move(variable)));
        }
    }
    builder.finish();
    return result;
}

RemoteLead parse_lead(const json& lead) { return parse_lead(json(lead)); }

json to_json(sync::Field field, const Value& value) {
    if (!value) return nullptr;
    const auto kind = sync::spec(field).kind;
    const auto text = sync::canonical(kind, *value);
    if (!text) throw std::invalid_argument{std::string{sync::spec(field).name} + " has no canonical value"};
    switch (kind) {
        case Kind::integer:
            return std::stoi(*text);
        case Kind::boolean:
            return *text == "true";
        case Kind::json:
            return parse_json(*text);
        case Kind::text:
        case Kind::uuid:
        case Kind::timestamp:
            break;
    }
    return *text;
}

json to_json(const sync::CustomVariables& variables) {
    json object = variables;
    return object;
}

}  // namespace leadsync::instantly
