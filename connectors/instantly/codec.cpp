#include "connectors/instantly/codec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <unordered_map>

#include <xxhash.h>

namespace leadsync::instantly {

using nlohmann::json;
using sync::Kind;
using sync::RemoteLead;
using sync::Value;

namespace {

/// Custom variables that only repeat a standard field, possibly a stale one (INSTANTLY.md, Reading leads).
constexpr std::array<std::string_view, 10> mirrors{"firstName", "lastName", "companyName",     "jobTitle", "website",
                                                   "phone",     "email",    "personalization", "campaign", "list_id"};

const sync::FieldSpec* field_called(std::string_view key) {
    static const auto by_name = [] {
        std::unordered_map<std::string_view, const sync::FieldSpec*> result;
        for (const auto& spec : sync::field_table()) result.emplace(spec.name, &spec);
        return result;
    }();
    const auto found = by_name.find(key);
    return found == by_name.end() ? nullptr : found->second;
}

/// Text that PostgreSQL can hold.
std::string storable(std::string text) {
    for (auto at = text.find('\0'); at != std::string::npos; at = text.find('\0', at)) text.replace(at, 1, "\uFFFD");
    return text;
}

bool is_storable(const json& value) {
    const auto holds_nul = [](const std::string& text) { return text.find('\0') != std::string::npos; };
    if (value.is_string()) return !holds_nul(value.get_ref<const std::string&>());
    if (value.is_array()) return std::ranges::all_of(value.get_ref<const json::array_t&>(), is_storable);
    if (!value.is_object()) return true;
    return std::ranges::all_of(value.get_ref<const json::object_t&>(), [&](const auto& member) {
        return !holds_nul(member.first) && is_storable(member.second);
    });
}

/// The same for every text and key in a value.
json storable(json value) {
    if (is_storable(value)) return value;
    if (value.is_string()) return storable(std::move(value.get_ref<std::string&>()));
    if (value.is_array())
        for (auto& item : value) item = storable(std::move(item));
    if (!value.is_object()) return value;
    auto result = json::object();
    for (auto& [key, item] : value.get_ref<json::object_t&>())
        result.emplace(storable(key), storable(std::move(item)));
    return result;
}

std::string compact(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

/// Whether a text is a canonical timestamp beyond doubt: the common case, told without parsing it.
bool is_canonical_timestamp(std::string_view text) {
    static constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (text.size() != form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i)
        if (form[i] == 'd' ? !is_decimal(text[i]) : text[i] != form[i]) return false;
    const auto two_digits = [&](std::size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); };
    const auto within = [](int number, int low, int high) { return number >= low && number <= high; };
    return text[0] != '0' && within(two_digits(5), 1, 12) && within(two_digits(8), 1, 28) && two_digits(11) < 24
           && two_digits(14) < 60 && two_digits(17) < 60;
}

Value integer_text(const json& value) {
    std::int64_t number = 0;
    if (value.is_number_unsigned()) {
        const auto unsigned_number = value.get<std::uint64_t>();
        if (unsigned_number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
        number = static_cast<std::int64_t>(unsigned_number);
    } else if (value.is_number_integer()) {
        number = value.get<std::int64_t>();
    } else if (value.is_number_float()) {
        const auto real = value.get<double>();
        if (!(real >= std::numeric_limits<std::int32_t>::min() && real <= std::numeric_limits<std::int32_t>::max()))
            return std::nullopt;
        number = static_cast<std::int64_t>(real);
        if (static_cast<double>(number) != real) return std::nullopt;
    } else {
        return std::nullopt;
    }
    if (number < std::numeric_limits<std::int32_t>::min() || number > std::numeric_limits<std::int32_t>::max())
        return std::nullopt;
    return std::to_string(number);
}

/// The canonical text of a value that is not null; nothing when it is of another type. Takes texts out of `value`
/// only when it succeeds.
Value canonical_text(Kind kind, json& value) {
    if (kind == Kind::json) return compact(storable(std::move(value)));
    if (kind == Kind::integer) return integer_text(value);
    if (kind == Kind::boolean) return value.is_boolean() ? Value{value.get<bool>() ? "true" : "false"} : std::nullopt;
    if (!value.is_string()) return kind == Kind::text && value.is_primitive() ? Value{compact(value)} : std::nullopt;
    auto& text = value.get_ref<std::string&>();
    if (kind == Kind::text) return storable(std::move(text));
    if (kind == Kind::timestamp && is_canonical_timestamp(text)) return std::move(text);
    return sync::canonical(kind, text);
}

bool is_absent(Kind kind, const json& value) {
    if (value.is_null()) return true;
    return (kind == Kind::uuid || kind == Kind::timestamp) && value.is_string()
           && value.get_ref<const std::string&>().empty();
}

void read_field(RemoteLead& lead, const sync::FieldSpec& spec, json& value) {
    if (is_absent(spec.kind, value)) return;
    auto text = canonical_text(spec.kind, value);
    if (!text) {
        lead.unreadable.set(sync::index(spec.field));
        lead.extra.emplace(spec.name, storable(std::move(value)));
    }
    lead.content[spec.field] = std::move(text);
}

void read_payload(RemoteLead& lead, json& payload) {
    if (payload.is_null()) return;
    auto& variables = lead.content.custom_variables;
    payload = storable(std::move(payload));
    variables = std::move(payload.get_ref<json::object_t&>());
    for (const auto mirror : mirrors)
        if (const auto found = variables.find(mirror); found != variables.end()) variables.erase(found);
    auto nested = json::object();
    for (auto& [key, value] : variables)
        if (value.is_structured()) nested.emplace(key, std::move(value));
    for (const auto& [key, value] : nested.items()) variables.erase(key);
    if (!nested.empty()) lead.extra.emplace("payload", std::move(nested));
}

/// Bytes for the hash: every part carries its length, so that no two contents share a serialisation.
class Serialisation {
public:
    Serialisation() { bytes_.reserve(4096); }

    void add(std::string_view part) {
        const auto size = static_cast<std::uint32_t>(part.size());
        std::array<char, sizeof size> prefix{};
        std::memcpy(prefix.data(), &size, sizeof size);
        bytes_.append(prefix.data(), prefix.size()).append(part);
    }
    void add(char tag, std::string_view part) {
        bytes_.push_back(tag);
        add(part);
    }
    [[nodiscard]] std::uint64_t hash() const { return XXH3_64bits(bytes_.data(), bytes_.size()); }

private:
    std::string bytes_;
};

void add_variable(Serialisation& bytes, const json& value) {
    if (value.is_string())
        bytes.add('s', value.get_ref<const std::string&>());
    else if (value.is_number_float())
        bytes.add('d', compact(value));
    else if (value.is_number())
        bytes.add('i', compact(value));
    else
        bytes.add('b', compact(value));
}

std::uint64_t hash_of(const RemoteLead& lead) {
    Serialisation bytes;
    bytes.add(lead.id.text);
    for (const auto& spec : sync::field_table()) {
        const auto& value = lead.content[spec.field];
        if (value) bytes.add(static_cast<char>(sync::index(spec.field)), *value);
    }
    for (const auto& [key, value] : lead.content.custom_variables) {
        bytes.add('\xFD', key);
        add_variable(bytes, value);
    }
    if (!lead.extra.empty()) bytes.add('\xFE', compact(lead.extra));
    if (lead.unreadable.any()) bytes.add('\xFF', lead.unreadable.to_string());
    return bytes.hash();
}

sync::InstantlyId read_id(const json& lead) {
    const auto found = lead.is_object() ? lead.find("id") : lead.end();
    if (!lead.is_object() || found == lead.end()) throw std::invalid_argument{"a lead without an id"};
    const auto id =
        found->is_string() ? sync::canonical(Kind::uuid, found->get_ref<const std::string&>()) : std::nullopt;
    if (!id) throw std::invalid_argument{"a lead whose id is no UUID: " + compact(*found).substr(0, 80)};
    return {*id};
}

}  // namespace

RemoteLead parse_lead(json&& lead) {
    RemoteLead result;
    result.id = read_id(lead);
    if (const auto payload = lead.find("payload");
        payload != lead.end() && !payload->is_object() && !payload->is_null())
        throw std::invalid_argument{"a lead whose payload is no object: " + result.id.text};
    for (auto& [key, value] : lead.get_ref<json::object_t&>()) {
        if (const auto* spec = field_called(key))
            read_field(result, *spec, value);
        else if (key == "payload")
            read_payload(result, value);
        else if (key != "id" && !value.is_null())
            result.extra.emplace(storable(key), storable(std::move(value)));
    }
    result.content_hash = hash_of(result);
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
