#include "connectors/instantly/lead_builder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include <xxhash.h>

#include "connectors/instantly/codec.hpp"

namespace leadsync::instantly {

using nlohmann::json;
using sync::Kind;
using sync::RemoteLead;
using sync::Value;

namespace {

/// Custom variables that only repeat a standard field, possibly a stale one (INSTANTLY.md, Reading leads).
constexpr std::array<std::string_view, 10> mirrors{"firstName", "lastName", "companyName",     "jobTitle", "website",
                                                   "phone",     "email",    "personalization", "campaign", "list_id"};

/// Far more than an address may have (RFC 5321: 254), and less than an index of PostgreSQL takes: a page of leads
/// does not fail for one of them.
constexpr std::size_t email_bytes_max = 1000;

/// A bit for each length of a mirror's key: most other keys are told by theirs.
constexpr std::uint32_t mirror_lengths = [] {
    std::uint32_t lengths = 0;
    for (const auto mirror : mirrors) lengths |= 1U << mirror.size();
    return lengths;
}();

/// Finds a field by its JSON key. Every key of every lead passes here: a hash of three of its characters is as good
/// for fifty names as one of all, and costs a fifth.
class FieldsByName {
public:
    FieldsByName() {
        for (const auto& spec : sync::field_table()) {
            auto at = slot_of(spec.name);
            while (slots_[at] != nullptr) at = next(at);
            slots_[at] = &spec;
        }
    }

    [[nodiscard]] const sync::FieldSpec* find(std::string_view key) const {
        if (key.empty()) return nullptr;
        auto at = slot_of(key);
        while (slots_[at] != nullptr && slots_[at]->name != key) at = next(at);
        return slots_[at];
    }

private:
    static constexpr std::size_t slot_count = 256;
    static_assert(sync::field_count < slot_count / 2);

    static std::size_t slot_of(std::string_view key) {
        const auto character = [&](std::size_t i) { return std::size_t{static_cast<unsigned char>(key[i])}; };
        return (key.size() * 31 + character(0) * 7 + character(key.size() / 2) * 5 + character(key.size() - 1) * 3)
               % slot_count;
    }
    static std::size_t next(std::size_t slot) { return (slot + 1) % slot_count; }

    std::array<const sync::FieldSpec*, slot_count> slots_{};
};

const sync::FieldSpec* field_called(std::string_view key) {
    static const FieldsByName fields;
    return fields.find(key);
}

/// Makes of a text one that PostgreSQL can hold.
void make_storable(std::string& text) {
    for (auto at = text.find('\0'); at != std::string::npos; at = text.find('\0', at)) text.replace(at, 1, "\uFFFD");
}

std::string storable(std::string_view text) {
    std::string result{text};
    make_storable(result);
    return result;
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

}  // namespace

json storable_tree(json value) {
    if (is_storable(value)) return value;
    if (value.is_string()) make_storable(value.get_ref<std::string&>());
    if (value.is_array())
        for (auto& item : value) item = storable_tree(std::move(item));
    if (!value.is_object()) return value;
    auto result = json::object();
    for (auto& [key, item] : value.get_ref<json::object_t&>())
        result.emplace(storable(key), storable_tree(std::move(item)));
    return result;
}

namespace {

json storable_json(Piece&& value) { return storable_tree(json_of(std::move(value))); }

bool is_decimal(char c) { return c >= '0' && c <= '9'; }

/// Whether a text is a canonical timestamp beyond doubt: the common case, told without parsing it.
bool is_canonical_timestamp(std::string_view text) {
    static constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd.dddZ";
    if (text.size() != form.size()) return false;
    for (std::size_t i = 0; i < form.size(); ++i)
        if (form[i] == 'd' ? !is_decimal(text[i]) : text[i] != form[i]) return false;
    const auto two_digits = [&](std::size_t at) { return (text[at] - '0') * 10 + (text[at + 1] - '0'); };
    const auto within = [](int number, int low, int high) { return number >= low && number <= high; };
    return text[0] != '0' && within(two_digits(5), 1, 12) && within(two_digits(8), 1, two_digits(5) == 2 ? 28 : 30)
           && two_digits(11) < 24 && two_digits(14) < 60 && two_digits(17) < 60;
}

/// Whether a text is a canonical UUID, likewise.
bool is_canonical_uuid(std::string_view text) {
    if (text.size() != 36) return false;
    bool canonical = true;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        const char c = text[i];
        canonical &= hyphen ? c == '-' : is_decimal(c) || (c >= 'a' && c <= 'f');
    }
    return canonical;
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

/// The canonical text of a value that is not null; nothing when it is of another type. Takes what it needs out of
/// `value` only when it succeeds.
Value canonical_text(Kind kind, Piece& value) {
    if (kind == Kind::json) {
        const auto* raw = std::get_if<RawJson>(&value);
        auto compact_text = raw == nullptr ? std::nullopt : compacted(raw->text);
        return compact_text ? compact_text : compact(storable_json(std::move(value)));
    }
    auto* text = std::get_if<std::string>(&value);
    if (text != nullptr) {
        if (kind == Kind::text) {
            make_storable(*text);
            return std::move(*text);
        }
        if (kind == Kind::timestamp && is_canonical_timestamp(*text)) return std::move(*text);
        if (kind == Kind::uuid && is_canonical_uuid(*text)) return std::move(*text);
        return kind == Kind::uuid || kind == Kind::timestamp ? sync::canonical(kind, *text) : std::nullopt;
    }
    const auto* scalar = std::get_if<json>(&value);
    if (scalar == nullptr) return std::nullopt;
    const auto& other = *scalar;
    if (kind == Kind::integer) return integer_text(other);
    if (kind == Kind::boolean) return other.is_boolean() ? Value{other.get<bool>() ? "true" : "false"} : std::nullopt;
    return kind == Kind::text && other.is_primitive() ? Value{compact(other)} : std::nullopt;
}

bool is_null(const Piece& value) {
    const auto* other = std::get_if<json>(&value);
    return other != nullptr && other->is_null();
}

bool is_absent(Kind kind, const Piece& value) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) return is_null(value);
    return (kind == Kind::uuid || kind == Kind::timestamp) && text->empty();
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

}  // namespace

Piece piece_of(json&& value) {
    if (value.is_string()) return std::move(value.get_ref<std::string&>());
    return std::move(value);
}

json json_of(Piece&& value) {
    if (auto* text = std::get_if<std::string>(&value)) return std::move(*text);
    if (const auto* raw = std::get_if<RawJson>(&value)) return parse_json(raw->text, raw->depth);
    return std::move(std::get<json>(value));
}

void LeadBuilder::identify(Piece&& value) {
    const bool is_text = std::holds_alternative<std::string>(value);
    auto id = is_text ? canonical_text(Kind::uuid, value) : std::nullopt;
    if (!id)
        throw std::invalid_argument{"a lead whose id is no UUID: "
                                    + compact(storable_json(std::move(value))).substr(0, 80)};
    lead_.id.text = std::move(*id);
}

void LeadBuilder::set(const sync::FieldSpec& spec, Piece&& value) {
    if (is_absent(spec.kind, value)) return;
    auto text = canonical_text(spec.kind, value);
    if (text && spec.field == sync::Field::email && text->size() > email_bytes_max) {
        auto too_long = *std::move(text);
        text = std::nullopt;
        value = std::move(too_long);
    }
    if (!text) {
        lead_.unreadable.set(sync::index(spec.field));
        lead_.extra.emplace(spec.name, storable_json(std::move(value)));
    }
    lead_.content[spec.field] = std::move(text);
}

bool LeadBuilder::add(std::string_view key, Piece&& value) {
    if (const auto* spec = field_called(key)) {
        const auto at = sync::index(spec->field);
        if (seen_.test(at)) return false;
        seen_.set(at);
        set(*spec, std::move(value));
        return true;
    }
    if (key == "id") {
        if (!lead_.id.text.empty()) return false;
        identify(std::move(value));
        return true;
    }
    if (is_null(value)) return !lead_.extra.contains(storable(key));
    return lead_.extra.emplace(storable(key), storable_json(std::move(value))).second;
}

bool LeadBuilder::add_payload(json::value_t type) {
    if (type != json::value_t::object && type != json::value_t::null)
        throw std::invalid_argument{"a lead whose payload is no object: " + lead_.id.text};
    return !std::exchange(payload_seen_, true);
}

bool LeadBuilder::is_mirror(std::string_view key) {
    return (mirror_lengths >> std::min<std::size_t>(key.size(), 31) & 1U) != 0
           && std::ranges::find(mirrors, key) != mirrors.end();
}

bool LeadBuilder::add_variable(std::string_view key, Piece&& value) {
    if (std::holds_alternative<RawJson>(value)) value = json_of(std::move(value));
    if (is_mirror(key)) return true;
    auto& variables = lead_.content.custom_variables;
    auto name = storable(key);
    if (!nested_.empty() && nested_.contains(name)) return false;
    if (auto* text = std::get_if<std::string>(&value)) {
        make_storable(*text);
        return variables.try_emplace(std::move(name), std::move(*text)).second;
    }
    auto& other = std::get<json>(value);
    if (!other.is_structured()) return variables.try_emplace(std::move(name), std::move(other)).second;
    if (variables.contains(name)) return false;
    nested_.emplace(std::move(name), storable_tree(std::move(other)));
    return true;
}

void LeadBuilder::finish() {
    if (!nested_.empty()) lead_.extra.emplace("payload", std::move(nested_));
    lead_.content_hash = hash_of(lead_);
}

}  // namespace leadsync::instantly
