#include "tests/sandbox/api.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::size_t oversize_bytes = 5'000'000;

std::string oversize_text() {
    std::string text(oversize_bytes + 2, 'x');
    text.front() = text.back() = '"';
    return text;
}

void insert_variable(std::string& lead, std::string_view json_value) {
    constexpr std::string_view payload = R"("payload":{)";
    const auto found = lead.find(payload);
    if (found == lead.npos) {
        lead.insert(1, std::string{payload} + R"("broken":)" + std::string{json_value} + "},");
        return;
    }
    const auto at = found + payload.size();
    lead.insert(at, R"("broken":)" + std::string{json_value} + (lead[at] == '}' ? "" : ","));
}

std::string without_required(const std::string& lead) {
    auto json = Json::parse(lead);
    for (const char* key : {"timestamp_updated", "organization", "company_domain", "status_summary"}) json.erase(key);
    return dump(json);
}

/// No client can make a lead of that.
std::string with_a_list_as_payload(const std::string& lead) {
    auto json = Json::parse(lead);
    json["payload"] = Json::array({"a", "list"});
    return dump(json);
}

std::string broken(std::string lead, std::string_view how) {
    if (how == "missing_required") return without_required(lead);
    if (how == "payload_list") return with_a_list_as_payload(lead);
    if (how == "invalid_utf8") insert_variable(lead, "\"\xC3\x28\xFF\"");
    if (how == "lone_surrogate") insert_variable(lead, R"("\ud83d")");
    if (how == "nul_character") insert_variable(lead, R"("a\u0000b")");
    if (how == "oversize") insert_variable(lead, oversize_text());
    return lead;
}

}  // namespace

void append_answer(const Workspace& workspace, const LeadRef& ref, std::string& out) {
    const auto& broken_leads = workspace.switches.broken_leads;
    const auto how = broken_leads.empty() ? broken_leads.end() : broken_leads.find(to_text(ref.id));
    if (how == broken_leads.end()) {
        workspace.leads.append_json(ref, out);
        return;
    }
    std::string lead;
    workspace.leads.append_json(ref, lead);
    out += broken(std::move(lead), how->second);
}

Json existing_lead(Call& call, std::string_view id) {
    const auto uuid = parse_uuid(id);
    auto lead = uuid ? call.workspace.lead(*uuid) : std::nullopt;
    if (!lead) throw refusal(404, "Lead not found");
    return std::move(*lead);
}

}  // namespace leadsync::sandbox
