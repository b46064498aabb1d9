#include <charconv>

#include "tests/sandbox/api.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::int64_t seats_without_limit = 1'000'000;

const CatalogEntry& entry_of(const std::vector<CatalogEntry>& entries, std::string_view id, std::string_view what) {
    const auto uuid = parse_uuid(id);
    const auto* entry = uuid ? Catalog::find(entries, *uuid) : nullptr;
    if (!entry) throw refusal(404, std::string{what} + " not found");
    return *entry;
}

bool contains(const Json& entry, const char* key, const std::string& wanted) {
    return lower_case(entry.value(key, "")).find(lower_case(wanted)) != std::string::npos;
}

/// Where a listing continues after its cursor: campaigns are resumed by id, the others by creation time.
std::size_t start_of_page(const std::vector<CatalogEntry>& entries, const std::string& cursor, bool by_id) {
    if (cursor.empty()) return 0;
    if (by_id) return static_cast<std::size_t>(&entry_of(entries, cursor, "starting_after") - entries.data()) + 1;
    const auto time = parse_iso(cursor);
    if (!time) throw refusal(400, "querystring/starting_after must match format \"date-time\"");
    std::size_t start = 0;
    while (start < entries.size() && entries[start].created >= *time) ++start;
    return start;
}

struct Listing {
    const std::vector<CatalogEntry>& entries;
    const char* name_key;
    bool by_id;
};

void answer(Call& call, const Listing& listing) {
    const auto limit = query_limit(call.request.target);
    const auto search = query_value(call.request.target, "search");
    const auto sentiment = query_value(call.request.target, "interest_status");
    auto items = Json::array();
    std::string last;
    const auto& entries = listing.entries;
    const auto start = start_of_page(entries, query_value(call.request.target, "starting_after"), listing.by_id);
    for (auto i = start; i < entries.size() && items.size() < limit; ++i) {
        if (!contains(entries[i].json, listing.name_key, search)) continue;
        if (call.workspace.switches.gone_places.contains(to_text(entries[i].id))) continue;
        if (!sentiment.empty() && entries[i].json.value("interest_status_label", "") != sentiment) continue;
        items.push_back(entries[i].json);
        last = listing.by_id ? to_text(entries[i].id) : to_iso(entries[i].created);
    }
    if (call.is(FaultKind::empty)) items.clear();
    Json page{{"items", items}};
    if (!items.empty()) page["next_starting_after"] = last;
    call.reply.body = dump(page);
}

}  // namespace

std::size_t query_limit(std::string_view target) {
    const auto text = query_value(target, "limit");
    if (text.empty()) return 10;
    std::size_t limit = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (parsed.ptr != text.data() + text.size() || limit < 1) throw refusal(400, "querystring/limit must be >= 1");
    if (limit > 100) throw refusal(400, "querystring/limit must be <= 100");
    return limit;
}

void list_campaigns(Call& call) { answer(call, {call.workspace.catalog.campaigns, "name", true}); }
void list_lead_lists(Call& call) { answer(call, {call.workspace.catalog.lists, "name", false}); }
void list_lead_labels(Call& call) { answer(call, {call.workspace.catalog.labels, "label", false}); }

void get_campaign(Call& call) {
    call.reply.body = dump(entry_of(call.workspace.catalog.campaigns, call.id, "Campaign").json);
}

void get_lead_list(Call& call) {
    call.reply.body = dump(entry_of(call.workspace.catalog.lists, call.id, "Lead list").json);
}

void get_lead_label(Call& call) {
    call.reply.body = dump(entry_of(call.workspace.catalog.labels, call.id, "Lead label").json);
}

void get_workspace(Call& call) { call.reply.body = dump(call.workspace.catalog.workspace); }

void get_plan_details(Call& call) {
    const auto count = static_cast<std::int64_t>(call.workspace.leads.size());
    const auto limit =
        call.workspace.switches.plan_limit < 0 ? count + seats_without_limit : call.workspace.switches.plan_limit;
    const Json outreach{{"plan_name", "Hyper Growth"}, {"addons_qty", 0},          {"total_lead_limit", limit},
                        {"current_lead_count", count}, {"base_lead_limit", limit}, {"interval", "month"},
                        {"product_id", "pid_hg_v1"}};
    call.reply.body = dump({{"organization_id", to_text(call.workspace.catalog.organization)},
                            {"organization_name", call.workspace.settings.name},
                            {"subscriptions", {{"outreach", outreach}}}});
}

}  // namespace leadsync::sandbox
