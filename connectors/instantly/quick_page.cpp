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

void read_lead(RemoteLead& lead, ondemand::value& item) {
    LeadBuilder builder{lead};
    const char* begin = item.raw_json_token().data();
    for_each_member(item.get_object(), [&](std::string_view key, ondemand::value& value) {
        if (key == "payload")
            read_payload(builder, value);
        else
            require_plain(builder.add(key, taken(value, field_depth)));
    });
    require_plain(!lead.id.text.empty());
    builder.finish();
    const auto raw = without_blanks_behind(between(begin, item.current_location().value()));
    lead.raw_hash = XXH3_64bits(raw.data(), raw.size());
}

LeadPage read_page(ondemand::document& document) {
    LeadPage page;
    bool items_seen = false;
    auto others = json::object();
    for_each_member(document.get_object(), [&](std::string_view key, ondemand::value& value) {
        if (key != "items") {
            others[std::string{key}] = json_of(taken(value, member_depth));
            return;
        }
        require_plain(!std::exchange(items_seen, true));
        page.leads.reserve(page_limit_max);
        for (ondemand::value item : value.get_array()) read_lead(page.leads.emplace_back(), item);
    });
    const bool at_end = document.current_location().error() == simdjson::OUT_OF_BOUNDS;
    require_plain(items_seen && at_end);
    if (!page.leads.empty()) page.next = cursor_of(others);
    return page;
}

LeadPage read_page(ondemand::parser& parser, simdjson::padded_string_view body) {
    ondemand::document document = parser.iterate(body);
    return read_page(document);
}

/// The body, with as many bytes that may be read behind it as simdjson wants.
LeadPage read_page(ondemand::parser& parser, const std::string& body) {
    if (body.capacity() - body.size() >= simdjson::SIMDJSON_PADDING)
        return read_page(parser, simdjson::padded_string_view{body});
    const simdjson::padded_string copy{body};
    return read_page(parser, copy);
}

}  // namespace

std::optional<LeadPage> quick_page(const std::string& body) {
    // The parser's buffers, some six times the size of a page, are used again for the next one.
    thread_local ondemand::parser kept;
    try {
        if (body.size() <= kept_max) return read_page(kept, body);
        ondemand::parser once;
        return read_page(once, body);
    } catch (const simdjson::simdjson_error&) {
        return std::nullopt;
    } catch (const json::parse_error&) {
        return std::nullopt;
    } catch (const std::invalid_argument&) {
        return std::nullopt;
    }
}

}  // namespace leadsync::instantly
