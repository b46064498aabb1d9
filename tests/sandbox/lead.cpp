#include "tests/sandbox/lead.hpp"

#include <algorithm>

#include "tests/sandbox/instant.hpp"

namespace leadsync::sandbox {
namespace {

std::string text_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

int number_of(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? static_cast<int>(found->get<std::int64_t>()) : 0;
}

Uuid uuid_of(const Json& json, const char* key) { return parse_uuid(text_of(json, key)).value_or(Uuid{}); }

std::int64_t time_of(const Json& json, const char* key) { return parse_iso(text_of(json, key)).value_or(0); }

Facts facts_of(const Json& json) {
    Facts facts;
    facts.home = {uuid_of(json, "campaign"), uuid_of(json, "list_id")};
    facts.assigned_to = uuid_of(json, "assigned_to");
    facts.status = number_of(json, "status");
    if (json.contains("lt_interest_status")) facts.interest = number_of(json, "lt_interest_status");
    facts.verification = number_of(json, "verification_status");
    facts.enrichment = number_of(json, "enrichment_status");
    facts.opens = number_of(json, "email_open_count");
    facts.replies = number_of(json, "email_reply_count");
    facts.clicks = number_of(json, "email_click_count");
    facts.in_subsequence = !text_of(json, "subsequence_id").empty();
    facts.website_visitor = json.value("is_website_visitor", Json{}) == Json(true);
    facts.created = time_of(json, "timestamp_created");
    facts.updated = time_of(json, "timestamp_updated");
    facts.contacted = time_of(json, "timestamp_last_contact");
    facts.opened = time_of(json, "timestamp_last_open");
    facts.replied = time_of(json, "timestamp_last_reply");
    facts.clicked = time_of(json, "timestamp_last_click");
    facts.interest_changed = time_of(json, "timestamp_last_interest_change");
    return facts;
}

}  // namespace

Lead make_lead(const Json& json) {
    return {dump(json), facts_of(json), text_of(json, "email"), text_of(json, "first_name"),
            text_of(json, "last_name")};
}

std::string lower_case(std::string_view text) {
    std::string lower{text};
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    return lower;
}

void append_json_string(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    for (const char c : text) {
        const auto code = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (code < 0x20) {
            out += "\\u00";
            out += digits[code >> 4];
            out += digits[code & 15];
        } else {
            out += c;
        }
    }
    out += '"';
}

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace leadsync::sandbox
