#include "tests/sandbox/lead_edit.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace leadsync::sandbox {
namespace {

using Mirror = std::pair<std::string_view, const char*>;

constexpr std::array<const char*, 8> text_fields{"personalization", "website",   "last_name", "first_name",
                                                 "company_name",    "job_title", "phone",     "pl_value_lead"};
constexpr std::array<Mirror, 8> mirrors{{{"firstName", "first_name"},
                                         {"lastName", "last_name"},
                                         {"companyName", "company_name"},
                                         {"jobTitle", "job_title"},
                                         {"website", "website"},
                                         {"phone", "phone"},
                                         {"personalization", "personalization"},
                                         {"email", "email"}}};
constexpr std::array<const char*, 12> sequence_fields{
    "last_step_from",        "last_step_id",       "last_step_timestamp_executed", "email_opened_step",
    "email_opened_variant",  "email_replied_step", "email_replied_variant",        "email_clicked_step",
    "email_clicked_variant", "subsequence_id",     "timestamp_added_subsequence",  "status_summary_subseq"};

std::string trimmed(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const auto first = text.find_first_not_of(blanks);
    if (first == text.npos) return {};
    return std::string{text.substr(first, text.find_last_not_of(blanks) - first + 1)};
}

std::string dialable(std::string_view phone) {
    std::string digits;
    for (const char c : phone) {
        if ((c >= '0' && c <= '9') || (c == '+' && digits.empty())) digits += c;
    }
    return digits;
}

std::string normalised(std::string_view field, std::string text, const Switches& switches) {
    if (switches.normalise_trim) text = trimmed(text);
    if (switches.normalise_website && field == "website") text = lower_case(text);
    if (switches.normalise_email && field == "email") text = lower_case(text);
    if (switches.normalise_phone && field == "phone") text = dialable(text);
    return text;
}

void set_field(Json& lead, const char* field, const Json& value, const Switches& switches) {
    if (value.is_null()) {
        lead.erase(field);
    } else {
        lead[field] = value.is_string() ? Json(normalised(field, value.get<std::string>(), switches)) : value;
    }
}

void set_variable(Json& payload, const std::string& key, const Json& value, const Switches& switches) {
    const bool removes = (value.is_null() && switches.null_removes) || (value == Json("") && switches.empty_removes);
    if (removes) {
        payload.erase(key);
    } else if (value.is_number() && switches.numbers_as_text) {
        payload[key] = value.dump();
    } else if (value.is_string()) {
        payload[key] = normalised({}, value.get<std::string>(), switches);
    } else {
        payload[key] = value;
    }
}

bool is_mirror(std::string_view key) { return std::ranges::count(mirrors, key, &Mirror::first) > 0; }

void set_variables(Json& lead, const Json& variables, const Switches& switches) {
    auto payload = lead.value("payload", Json::object());
    if (switches.custom_variables == "replace") {
        auto kept = Json::object();
        for (const auto& [key, value] : payload.items()) {
            if (is_mirror(key)) kept[key] = value;
        }
        payload = std::move(kept);
    }
    for (const auto& [key, value] : variables.items()) set_variable(payload, key, value, switches);
    lead["payload"] = std::move(payload);
}

std::string domain_of(const std::string& email) {
    const auto at = email.rfind('@');
    return at == email.npos ? std::string{} : lower_case(email.substr(at + 1));
}

Json mirrored(const Json& lead) {
    auto payload = Json::object();
    for (const auto& [mirror, field] : mirrors) {
        if (const auto value = lead.find(field); value != lead.end()) payload[std::string{mirror}] = *value;
    }
    return payload;
}

}  // namespace

void touch(Json& lead, std::int64_t now) { lead["timestamp_updated"] = to_iso(now); }

void check_profile(const Json& fields) {
    const auto refuse = [](std::string_view key, std::string_view must) {
        throw refusal(400, "body/" + std::string{key} + " must be " + std::string{must});
    };
    const auto check_text = [&](const char* key) {
        const auto found = fields.find(key);
        if (found != fields.end() && !found->is_string() && !found->is_null()) refuse(key, "string,null");
    };
    for (const char* key : text_fields) check_text(key);
    check_text("assigned_to");
    check_text("email");
    if (const auto interest = fields.find("lt_interest_status"); interest != fields.end() && !interest->is_number()) {
        refuse("lt_interest_status", "number");
    }
    const auto variables = fields.find("custom_variables");
    if (variables == fields.end() || variables->is_null()) return;
    if (!variables->is_object()) refuse("custom_variables", "object");
    for (const auto& [key, value] : variables->items()) {
        if (value.is_structured()) refuse("custom_variables/" + key, "string,number,boolean,null");
    }
}

void patch_lead(Json& lead, const Json& fields, const Switches& switches, std::int64_t now) {
    for (const char* field : text_fields) {
        if (const auto value = fields.find(field); value != fields.end()) set_field(lead, field, *value, switches);
    }
    if (const auto user = fields.find("assigned_to"); user != fields.end()) {
        set_field(lead, "assigned_to", *user, switches);
    }
    if (const auto interest = fields.find("lt_interest_status"); interest != fields.end()) {
        set_interest(lead, interest->get<std::int64_t>(), now);
    }
    if (const auto variables = fields.find("custom_variables"); variables != fields.end() && variables->is_object()) {
        set_variables(lead, *variables, switches);
    }
    touch(lead, now);
}

Json new_lead(const NewLead& origin, const Json& fields, const Switches& switches, std::int64_t now) {
    Json lead{{"id", to_text(origin.id)},
              {"timestamp_created", to_iso(now)},
              {"timestamp_updated", to_iso(now)},
              {"organization", to_text(origin.organization)}};
    if (origin.campaign) lead["campaign"] = to_text(*origin.campaign);
    lead["status"] = 1;
    if (const auto email = fields.find("email"); email != fields.end()) set_field(lead, "email", *email, switches);
    for (const char* count : {"email_open_count", "email_reply_count", "email_click_count"}) lead[count] = 0;
    lead["company_domain"] = domain_of(lead.value("email", ""));
    lead["status_summary"] = Json::object();
    patch_lead(lead, fields, switches, now);
    const auto variables = lead.value("payload", Json::object());
    lead["payload"] = mirrored(lead);
    lead["payload"].update(variables);
    lead["verification_status"] = 1;
    if (origin.list) lead["list_id"] = to_text(*origin.list);
    lead["uploaded_by_user"] = to_text(origin.uploaded_by);
    lead["upload_method"] = "api";
    lead["is_website_visitor"] = false;
    lead["esp_code"] = 1000;
    return lead;
}

void set_interest(Json& lead, std::optional<std::int64_t> interest, std::int64_t now) {
    const Json value = interest ? Json(*interest) : Json();
    if (lead.value("lt_interest_status", Json()) != value) lead["timestamp_last_interest_change"] = to_iso(now);
    if (interest) {
        lead["lt_interest_status"] = value;
    } else {
        lead.erase("lt_interest_status");
    }
    touch(lead, now);
}

void move_lead(Json& lead, std::optional<Uuid> campaign, std::optional<Uuid> list, bool reset_interest,
               std::int64_t now) {
    lead.erase("campaign");
    lead.erase("list_id");
    if (campaign) lead["campaign"] = to_text(*campaign);
    if (list) lead["list_id"] = to_text(*list);
    for (const char* field : sequence_fields) lead.erase(field);
    lead["status_summary"] = Json::object();
    lead["status"] = 1;
    if (reset_interest) set_interest(lead, std::nullopt, now);
    touch(lead, now);
}

void merge_lead(Json& destination, const Json& source, std::int64_t now) {
    for (const char* field : text_fields) {
        if (!destination.contains(field) && source.contains(field)) destination[field] = source[field];
    }
    auto payload = source.value("payload", Json::object());
    payload.update(destination.value("payload", Json::object()));
    destination["payload"] = std::move(payload);
    touch(destination, now);
}

void edit_lead(Json& lead, const Json& fields, std::int64_t now) {
    const auto before = lead.value("lt_interest_status", Json());
    for (const auto& [key, value] : fields.items()) {
        if (key == "custom_variables") {
            for (const auto& [name, variable] : value.items()) {
                if (variable.is_null()) {
                    lead["payload"].erase(name);
                } else {
                    lead["payload"][name] = variable;
                }
            }
        } else if (value.is_null()) {
            lead.erase(key);
        } else {
            lead[key] = value;
        }
    }
    if (!fields.contains("timestamp_updated")) touch(lead, now);
    if (lead.value("lt_interest_status", Json()) != before) lead["timestamp_last_interest_change"] = to_iso(now);
}

}  // namespace leadsync::sandbox
