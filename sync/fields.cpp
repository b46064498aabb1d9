#include "sync/fields.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "sync/policy.hpp"

namespace leadsync::sync {
namespace {

using enum Kind;
using enum Owner;
using enum Call;

constexpr std::array<FieldSpec, field_count> table{{
    {Field::email, "email", text, on_insert, Call::none},
    {Field::first_name, "first_name", text, both_ways, patch},
    {Field::last_name, "last_name", text, both_ways, patch},
    {Field::company_name, "company_name", text, both_ways, patch},
    {Field::job_title, "job_title", text, both_ways, patch},
    {Field::phone, "phone", text, both_ways, patch},
    {Field::website, "website", text, both_ways, patch},
    {Field::personalization, "personalization", text, both_ways, patch},
    {Field::pl_value_lead, "pl_value_lead", text, both_ways, patch},
    {Field::lt_interest_status, "lt_interest_status", integer, both_ways, interest},
    {Field::assigned_to, "assigned_to", uuid, both_ways, patch},
    {Field::campaign, "campaign", uuid, both_ways, move},
    {Field::list_id, "list_id", uuid, both_ways, move},
    {Field::subsequence_id, "subsequence_id", uuid, both_ways, subsequence},
    {Field::status, "status", integer, instantly, Call::none},
    {Field::verification_status, "verification_status", integer, instantly, Call::none},
    {Field::enrichment_status, "enrichment_status", integer, instantly, Call::none},
    {Field::esp_code, "esp_code", integer, instantly, Call::none},
    {Field::esg_code, "esg_code", integer, instantly, Call::none},
    {Field::email_open_count, "email_open_count", integer, instantly, Call::none},
    {Field::email_reply_count, "email_reply_count", integer, instantly, Call::none},
    {Field::email_click_count, "email_click_count", integer, instantly, Call::none},
    {Field::email_opened_step, "email_opened_step", integer, instantly, Call::none},
    {Field::email_opened_variant, "email_opened_variant", integer, instantly, Call::none},
    {Field::email_replied_step, "email_replied_step", integer, instantly, Call::none},
    {Field::email_replied_variant, "email_replied_variant", integer, instantly, Call::none},
    {Field::email_clicked_step, "email_clicked_step", integer, instantly, Call::none},
    {Field::email_clicked_variant, "email_clicked_variant", integer, instantly, Call::none},
    {Field::company_domain, "company_domain", text, instantly, Call::none},
    {Field::status_summary, "status_summary", json, instantly, Call::none},
    {Field::status_summary_subseq, "status_summary_subseq", json, instantly, Call::none},
    {Field::last_step_from, "last_step_from", text, instantly, Call::none},
    {Field::last_step_id, "last_step_id", uuid, instantly, Call::none},
    {Field::last_step_timestamp_executed, "last_step_timestamp_executed", timestamp, instantly, Call::none},
    {Field::timestamp_created, "timestamp_created", timestamp, instantly, Call::none},
    {Field::timestamp_updated, "timestamp_updated", timestamp, instantly, Call::none},
    {Field::timestamp_added_subsequence, "timestamp_added_subsequence", timestamp, instantly, Call::none},
    {Field::timestamp_last_contact, "timestamp_last_contact", timestamp, instantly, Call::none},
    {Field::timestamp_last_open, "timestamp_last_open", timestamp, instantly, Call::none},
    {Field::timestamp_last_reply, "timestamp_last_reply", timestamp, instantly, Call::none},
    {Field::timestamp_last_interest_change, "timestamp_last_interest_change", timestamp, instantly, Call::none},
    {Field::timestamp_last_click, "timestamp_last_click", timestamp, instantly, Call::none},
    {Field::timestamp_last_touch, "timestamp_last_touch", timestamp, instantly, Call::none},
    {Field::last_contacted_from, "last_contacted_from", text, instantly, Call::none},
    {Field::uploaded_by_user, "uploaded_by_user", uuid, instantly, Call::none},
    {Field::upload_method, "upload_method", text, instantly, Call::none},
    {Field::is_website_visitor, "is_website_visitor", boolean, instantly, Call::none},
    {Field::organization, "organization", uuid, instantly, Call::none},
}};

constexpr bool in_enum_order() {
    for (std::size_t i = 0; i < table.size(); ++i)
        if (index(table[i].field) != i) return false;
    return true;
}
static_assert(in_enum_order());

template <class Number>
std::optional<Number> whole_number(std::string_view digits) {
    Number number{};
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number);
    if (error != std::errc{} || stop != end || digits.empty()) return std::nullopt;
    return number;
}

std::optional<std::string> canonical_uuid(std::string_view value) {
    if (value.size() != 36) return std::nullopt;
    std::string result;
    result.reserve(36);
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen != (c == '-')) return std::nullopt;
        if (!hyphen && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
            return std::nullopt;
        result.push_back(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    }
    return result;
}

/// The offset of an ISO-8601 time behind its seconds: `Z`, `+02:00` or `-0330`.
std::optional<std::chrono::minutes> utc_offset(std::string_view zone) {
    if (zone == "Z" || zone == "z") return std::chrono::minutes{0};
    if (zone.size() != 5 && zone.size() != 6) return std::nullopt;
    if (zone[0] != '+' && zone[0] != '-') return std::nullopt;
    if (zone.size() == 6 && zone[3] != ':') return std::nullopt;
    const auto hours = whole_number<unsigned>(zone.substr(1, 2));
    const auto minutes = whole_number<unsigned>(zone.substr(zone.size() - 2));
    if (!hours || !minutes || *hours > 14 || *minutes > 59) return std::nullopt;
    const std::chrono::minutes offset{static_cast<int>(*hours * 60 + *minutes)};
    return zone[0] == '-' ? -offset : offset;
}

std::optional<std::string> canonical_timestamp(std::string_view value) {
    using namespace std::chrono;
    if (value.size() < 20 || value[4] != '-' || value[7] != '-' || (value[10] != 'T' && value[10] != ' ')
        || value[13] != ':' || value[16] != ':')
        return std::nullopt;
    const auto years = whole_number<int>(value.substr(0, 4));
    const auto months = whole_number<unsigned>(value.substr(5, 2));
    const auto days_ = whole_number<unsigned>(value.substr(8, 2));
    const auto hours_ = whole_number<unsigned>(value.substr(11, 2));
    const auto minutes_ = whole_number<unsigned>(value.substr(14, 2));
    const auto seconds_ = whole_number<unsigned>(value.substr(17, 2));
    if (!years || !months || !days_ || !hours_ || !minutes_ || !seconds_) return std::nullopt;
    const year_month_day date{year{*years}, month{*months}, day{*days_}};
    if (!date.ok() || *years < 1 || *hours_ > 23 || *minutes_ > 59 || *seconds_ > 59) return std::nullopt;

    std::size_t at = 19;
    int milli = 0;
    if (value[at] == '.') {
        int scale = 100;
        for (++at; at < value.size() && value[at] >= '0' && value[at] <= '9'; ++at, scale /= 10)
            milli += (value[at] - '0') * scale;
    }
    const auto offset = utc_offset(value.substr(at));
    if (!offset) return std::nullopt;
    const auto instant =
        sys_days{date} + hours{*hours_} + minutes{*minutes_} + seconds{*seconds_} + milliseconds{milli} - *offset;
    const auto whole_days = floor<days>(instant);
    const year_month_day utc{whole_days};
    const hh_mm_ss time{duration_cast<milliseconds>(instant - whole_days)};
    if (static_cast<int>(utc.year()) < 1 || static_cast<int>(utc.year()) > 9999) return std::nullopt;
    std::array<char, 40> buffer{};
    const int length = std::snprintf(
        buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", static_cast<int>(utc.year()),
        static_cast<unsigned>(utc.month()), static_cast<unsigned>(utc.day()), static_cast<int>(time.hours().count()),
        static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
        static_cast<int>(time.subseconds().count()));
    return std::string(buffer.data(), static_cast<std::size_t>(length));
}

/// A value that is a number, without blanks and the plus in front: digits, with points and commas between them.
std::optional<std::string> number_in(const Value& value) {
    std::string number = value.value_or("");
    std::erase(number, ' ');
    if (number.starts_with('+')) number.erase(0, 1);
    const auto digits = std::string_view{number}.substr(number.starts_with('-') ? 1 : 0);
    const auto belongs = [](char c) { return (c >= '0' && c <= '9') || c == '.' || c == ','; };
    return !digits.empty() && std::ranges::all_of(digits, belongs) ? std::optional{number} : std::nullopt;
}

}  // namespace

std::span<const FieldSpec, field_count> field_table() { return table; }

const FieldSpec& spec(Field field) { return table.at(index(field)); }

std::optional<Field> field_named(std::string_view name) {
    const auto* found = std::ranges::find(table, name, &FieldSpec::name);
    if (found == table.end()) return std::nullopt;
    return found->field;
}

bool agree(const Value& one, const Value& other) { return one.value_or("") == other.value_or(""); }

bool same_but_for_form(const Value& one, const Value& other) {
    const auto number = number_in(one);
    const auto other_number = number_in(other);
    if (number && other_number) return *number == *other_number;
    const auto essence = [](const Value& value) {
        std::string letters;
        for (const char c : value.value_or("")) {
            const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
            if (c >= 'A' && c <= 'Z')
                letters.push_back(static_cast<char>(c - 'A' + 'a'));
            else if (beyond_ascii || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
                letters.push_back(c);
        }
        return letters;
    };
    return essence(one) == essence(other) && !essence(one).empty();
}

std::optional<std::string> canonical(Kind kind, std::string_view value) {
    switch (kind) {
        case text:
        case json:
            return std::string{value};
        case integer: {
            const auto number = whole_number<std::int32_t>(value);
            return number ? std::optional{std::to_string(*number)} : std::nullopt;
        }
        case boolean:
            return value == "true" || value == "false" ? std::optional{std::string{value}} : std::nullopt;
        case uuid:
            return canonical_uuid(value);
        case timestamp:
            return canonical_timestamp(value);
    }
    return std::nullopt;
}

std::string_view name_of(Side side) { return side == Side::local ? "local" : "remote"; }

std::string_view name_of(Rule rule) {
    switch (rule) {
        case Rule::local:
            return "local";
        case Rule::remote:
            return "remote";
        case Rule::newest:
            return "newest";
        case Rule::manual:
            return "manual";
        case Rule::keep_value:
            return "keep_value";
        case Rule::flip_flop:
            return "flip_flop";
        case Rule::late_write:
            return "late_write";
    }
    return "local";
}

Rule ConflictPolicy::of(Field field) const {
    const auto found = fields.find(ruled_by(field));
    return found == fields.end() ? fallback : found->second;
}

}  // namespace leadsync::sync
