#include "connectors/instantly/quick_page.hpp"

#include <stdexcept>
#include <string_view>
#include <utility>
#include <variant>

#include <simdjson.h>
#include <xxhash.h>

#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/lead_builder.hpp"

namespace leadsync::instantly {

using nlohmann::json;
using sync::RemoteLead;
namespace ondemand = simdjson::ondemand;

namespace {

/// How deep a page's members, a lead's members and custom variables lie.
constexpr int member_depth = 1;
constexpr int field_depth = 3;
constexpr int variable_depth = 4;

constexpr std::size_t kept_max = 4U << 20U;  ///< Larger bodies are read by a parser that goes with them.

/// What is not plain is thrown as std::invalid_argument, and the page is left to the tree.
void require_plain(bool condition) {
    if (!condition) throw std::invalid_argument{"not plain"};
}

std::string_view between(const char* begin, const char* end) {
    return {begin, static_cast<std::size_t>(end - begin)};
}

std::string_view without_blanks_behind(std::string_view text) {
    const auto is_blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

/// What stands between the quotes. simdjson vouches for its UTF-8 and for its end, not for its escapes.
std::string_view unquoted(std::string_view text) {
    require_plain(text.size() >= 2 && text.back() == '"');
    return text.substr(1, text.size() - 2);
}

/// The key before the value that starts at `value`. `buffer` keeps it when it has escapes.
std::string_view key_of(const ondemand::field& member, const char* value, std::string& buffer) {
    const char* begin = member.key().raw();
    const auto rest = between(begin, value);
    const auto key = rest.substr(0, rest.find('"'));
    if (key.find('\\') == std::string_view::npos) return key;
    auto quoted = without_blanks_behind(between(begin - 1, value));
    require_plain(quoted.ends_with(':'));
    quoted.remove_suffix(1);
    buffer = unescaped(unquoted(without_blanks_behind(quoted)));
    require_plain(buffer.find('\0') == std::string::npos);  // by its mended key a member may be like another
    return buffer;
}

/// Takes a value. simdjson only knows where one begins and ends, and that by counting brackets: what it is, is said
/// by parse_json, here or where raw JSON is read.
Piece taken(ondemand::value& value, int depth) {
    const std::string_view token = value.raw_json_token();
    switch (token.front()) {
        case '"':
            static_cast<void>(value.get_raw_json_string().value());
            return unescaped(unquoted(without_blanks_behind(token)));
        case '{': {
            ondemand::object object = value.get_object();
            return RawJson{object.raw_json(), depth};
        }
        case '[': {
            ondemand::array array = value.get_array();
            return RawJson{array.raw_json(), depth};
        }
        default:
            return piece_of(parse_json(token, depth));  // a number may be mended to a text
    }
}

/// Passes over a value that nobody wants, but not over what is none.
void pass(ondemand::value& value) {
    const auto token = without_blanks_behind(value.raw_json_token());
    if (token.front() == '"' && unquoted(token).find('\\') == std::string_view::npos)
        static_cast<void>(value.get_raw_json_string().value());
    else
        static_cast<void>(json_of(taken(value, variable_depth)));
}

/// Calls `each(key, value)` for each member of an object, in order.
template <class Each>
void for_each_member(ondemand::object object, Each each) {
    std::string buffer;
    for (ondemand::field member : object) {
        auto& value = member.value();
        each(key_of(member, value.raw_json_token().data(), buffer), value);
    }
}

bool is_at_end(ondemand::document& document) {
    return document.current_location().error() == simdjson::OUT_OF_BOUNDS;
}

bool is_object(ondemand::value& value) { return value.raw_json_token().front() == '{'; }

void read_payload(LeadBuilder& builder, ondemand::value& payload) {
    if (!is_object(payload)) {
        require_plain(builder.add_payload(json_of(taken(payload, field_depth)).type()));
        return;
    }
    require_plain(builder.add_payload(json::value_t::object));
    for_each_member(payload.get_object(), [&](std::string_view key, ondemand::value& value) {
        if (LeadBuilder::is_mirror(key))
            pass(value);
        else
            require_plain(builder.add_variable(key, taken(value, variable_depth)));
    });
}

void read_lead(RemoteLead& lead, ondemand::object object) {
    LeadBuilder builder{lead};
    for_each_member(object, [&](std::string_view key, ondemand::value& value) {
        if (key == "payload")
            read_payload(builder, value);
        else
            require_plain(builder.add(key, taken(value, field_depth)));
    });
    require_plain(!lead.id.text.empty());
    builder.finish();
}

void read_item(RemoteLead& lead, ondemand::value& item) {
    const char* begin = item.raw_json_token().data();
    read_lead(lead, item.get_object());
    const auto raw = without_blanks_behind(between(begin, item.current_location().value()));
    lead.raw_hash = XXH3_64bits(raw.data(), raw.size());
}

/// The id of a lead that begins with it, as the API writes them; nothing of any other.
std::string_view leading_id(std::string_view lead) {
    static constexpr std::string_view before = R"({"id":")";
    static constexpr std::size_t length = 36;
    const auto end = before.size() + length;
    if (!lead.starts_with(before) || lead.size() < end + 2 || lead[end] != '"' || lead[end + 1] != ',') return {};
    return lead.substr(before.size(), length);
}

std::string id_anywhere_in(std::string_view lead);

/// What is scanned is a lead by its id alone: whether it is one, quick_lead says, or has said of the same bytes.
ScannedLead scan_item(ondemand::value& item) {
    ondemand::object object = item.get_object();
    ScannedLead lead;
    lead.text = without_blanks_behind(object.raw_json().value());
    lead.raw_hash = XXH3_64bits(lead.text.data(), lead.text.size());
    lead.id.text = leading_id(lead.text);
    if (lead.id.text.empty()) lead.id.text = id_anywhere_in(lead.text);
    require_plain(sync::canonical(sync::Kind::uuid, lead.id.text) == lead.id.text);
    return lead;
}

/// Calls `each` for each item of a page; its cursor.
template <class Each>
std::optional<std::string> for_each_item(ondemand::document& document, Each each) {
    bool items_seen = false;
    bool is_empty = true;
    auto others = json::object();
    for_each_member(document.get_object(), [&](std::string_view key, ondemand::value& value) {
        if (key != "items") {
            others[std::string{key}] = json_of(taken(value, member_depth));
            return;
        }
        require_plain(!std::exchange(items_seen, true));
        for (ondemand::value item : value.get_array()) {
            each(item);
            is_empty = false;
        }
    });
    require_plain(items_seen && is_at_end(document));
    return is_empty ? std::nullopt : cursor_of(others);
}

LeadPage read_page(ondemand::parser& parser, simdjson::padded_string_view body) {
    ondemand::document document = parser.iterate(body);
    LeadPage page;
    page.leads.reserve(page_limit_max);
    page.next = for_each_item(document, [&](ondemand::value& item) { read_item(page.leads.emplace_back(), item); });
    return page;
}

/// The body, with as many bytes that may be read behind it as simdjson wants.
LeadPage read_page(ondemand::parser& parser, const std::string& body) {
    if (body.capacity() - body.size() >= simdjson::SIMDJSON_PADDING)
        return read_page(parser, simdjson::padded_string_view{body});
    const simdjson::padded_string copy{body};
    return read_page(parser, copy);
}

/// The buffers of `kept`, some six times the size of a text, are used again for the next one. Nothing for a text that
/// is not plain.
template <class Read>
auto plainly(ondemand::parser& kept, std::size_t size, Read read)
    -> std::optional<std::invoke_result_t<Read&, ondemand::parser&>> {
    try {
        if (size <= kept_max) return read(kept);
        ondemand::parser once;
        return read(once);
    } catch (const simdjson::simdjson_error&) {
        return std::nullopt;
    } catch (const json::parse_error&) {
        return std::nullopt;
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
}

/// A part of a body with room behind it.
simdjson::padded_string_view part(std::string_view text) {
    return simdjson::padded_string_view{text.data(), text.size(), text.size() + simdjson::SIMDJSON_PADDING};
}

ondemand::parser& parser_of_pages() {
    thread_local ondemand::parser kept;
    return kept;
}

/// Another one: a page may be in the middle of being scanned.
ondemand::parser& parser_of_leads() {
    thread_local ondemand::parser kept;
    return kept;
}

std::string id_anywhere_in(std::string_view lead) {
    std::string id;
    ondemand::document document = parser_of_leads().iterate(part(lead));
    for_each_member(document.get_object(), [&](std::string_view key, ondemand::value& value) {
        if (key != "id") return;
        const auto token = without_blanks_behind(value.raw_json_token());
        require_plain(id.empty() && token.starts_with('"'));
        id = unquoted(token);
    });
    return id;
}

}  // namespace

std::optional<LeadPage> quick_page(const std::string& body) {
    return plainly(parser_of_pages(), body.size(), [&](ondemand::parser& parser) { return read_page(parser, body); });
}

std::optional<Scan> quick_scan(const std::string& body) {
    if (body.capacity() - body.size() < room_behind) return std::nullopt;
    return plainly(parser_of_pages(), body.size(), [&](ondemand::parser& parser) {
        ondemand::document document = parser.iterate(part(body));
        Scan scan;
        scan.leads.reserve(page_limit_max);
        scan.next = for_each_item(document, [&](ondemand::value& item) { scan.leads.push_back(scan_item(item)); });
        return scan;
    });
}

std::optional<RemoteLead> quick_lead(std::string_view text) {
    return plainly(parser_of_leads(), text.size(), [&](ondemand::parser& parser) {
        ondemand::document document = parser.iterate(part(text));
        RemoteLead lead;
        read_lead(lead, document.get_object());
        require_plain(is_at_end(document));
        lead.raw_hash = XXH3_64bits(text.data(), text.size());
        return lead;
    });
}

}  // namespace leadsync::instantly
