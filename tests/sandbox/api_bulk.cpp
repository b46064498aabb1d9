#include <algorithm>
#include <set>

#include "tests/sandbox/api.hpp"
#include "tests/sandbox/lead_edit.hpp"
#include "tests/sandbox/lead_filter.hpp"

namespace leadsync::sandbox {
namespace {

std::vector<Uuid> ids_of(const std::vector<LeadRef>& refs) {
    std::vector<Uuid> ids;
    for (const auto& ref : refs) ids.push_back(ref.id);
    return ids;
}

// The two asynchronous endpoints refuse in shapes of their own.
Refusal interest_refusal(std::string_view error) { return {400, {{"error", std::string{error}}}}; }
Refusal assign_refusal(std::string_view message) { return {400, {{"message", std::string{message}}}}; }

struct InterestChange {
    std::string email;
    std::optional<std::int64_t> value;
    std::optional<Uuid> campaign;
    std::optional<Uuid> list;

    bool concerns(const Home& home) const {
        if (!campaign && !list) return true;
        return (campaign && home.campaign == *campaign) || (list && home.list == *list);
    }
};

InterestChange interest_change(const Body& body) {
    const auto& json = body.json();
    if (!json.contains("lead_email") || !json["lead_email"].is_string()) throw interest_refusal("Invalid lead email");
    const auto value = json.find("interest_value");
    if (value == json.end()) throw interest_refusal("Missing interest value");
    if (!value->is_null() && !value->is_number()) throw interest_refusal("Invalid interest value");
    InterestChange change{json["lead_email"].get<std::string>(), {}, body.id("campaign_id"), body.id("list_id")};
    if (value->is_number()) change.value = value->get<std::int64_t>();
    return change;
}

void apply_interest(Workspace& workspace, const InterestChange& change, const Moment& now) {
    for (const auto& id : ids_of(workspace.leads.with_email(change.email, truth))) {
        const auto ref = workspace.leads.find(id, truth);
        if (!change.concerns(workspace.leads.home(*ref))) continue;
        auto lead = workspace.leads.json(*ref);
        set_interest(lead, change.value, now.unix_ms);
        workspace.put(id, lead, now);
    }
}

void assign(Workspace& workspace, const std::vector<Uuid>& ids, const std::vector<std::string>& users,
            const Moment& now) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
        auto lead = workspace.lead(ids[i]);
        if (!lead) continue;
        (*lead)["assigned_to"] = users[i % users.size()];
        touch(*lead, now.unix_ms);
        workspace.put(ids[i], *lead, now);
    }
}

}  // namespace

void update_interest_status(Call& call) {
    const auto change = interest_change(Body{call.request});
    auto& workspace = call.workspace;
    if (!call.is(FaultKind::ignored)) {
        workspace.later(call.now.tick + milliseconds{workspace.switches.interest_delay_ms},
                        [&workspace, change](const Moment& now) { apply_interest(workspace, change, now); });
    }
    call.reply.status = static_cast<unsigned>(workspace.switches.interest_status_code);
    call.reply.body = R"({"message":"Lead interest status update background job submitted"})";
}

void bulk_assign(Call& call) {
    const Body body{call.request};
    auto& workspace = call.workspace;
    const auto& json = body.json();
    const auto users = json.find("organization_user_ids");
    const bool usable = users != json.end() && users->is_array() && !users->empty()
                        && std::ranges::all_of(*users, [](const Json& user) {
                               return user.is_string() && parse_uuid(user.get<std::string>());
                           });
    if (!usable) throw assign_refusal("Invalid ID on `organization_user_ids` field");
    if (body.names_one_of("ids", workspace.switches.refused_ids)) throw assign_refusal("Invalid ID on `ids` field");
    std::optional<std::vector<Uuid>> owner;
    if (const auto id = body.id("assigned_to")) owner = {*id};
    const LeadFilter filter{body, owner};
    const auto limit = body.integer("limit").value_or(0);
    std::vector<Uuid> ids;
    filter.select(workspace.leads, std::nullopt, false, call.now, truth, [&](const LeadRef& ref) {
        ids.push_back(ref.id);
        return limit == 0 || std::cmp_less(ids.size(), limit);
    });
    if (!call.is(FaultKind::ignored)) {
        const auto due = call.now.tick + milliseconds{workspace.switches.assign_delay_ms};
        workspace.later(due, [&workspace, ids, names = users->get<std::vector<std::string>>()](const Moment& now) {
            assign(workspace, ids, names, now);
        });
    }
    call.reply.status = 202;
    call.reply.body = R"({"status":"accepted","message":"Your request will be processed in a background job"})";
}

void delete_leads(Call& call) {
    const Body body{call.request};
    auto& workspace = call.workspace;
    const auto campaign = body.id("campaign_id");
    const auto list = body.id("list_id");
    if (!campaign && !list) throw refusal(400, "Either campaign_id or list_id is required");
    workspace.refuse_if_held({campaign.value_or(Uuid{}), list.value_or(Uuid{})});
    const auto ids = body.ids("ids");
    const std::set<Uuid> wanted = ids ? std::set<Uuid>{ids->begin(), ids->end()} : std::set<Uuid>{};
    const auto status = body.integer("status");
    const auto limit = body.integer("limit");
    std::vector<Uuid> doomed;
    workspace.leads.walk(std::nullopt, false, truth, [&](const LeadRef& ref) {
        if (limit && std::cmp_greater_equal(doomed.size(), *limit)) return false;
        const auto home = workspace.leads.home(ref);
        const bool matches = (!campaign || home.campaign == *campaign) && (!list || home.list == *list)
                             && (!ids || wanted.contains(ref.id))
                             && (!status || workspace.leads.facts(ref).status == *status);
        if (matches) doomed.push_back(ref.id);
        return true;
    });
    if (!call.is(FaultKind::ignored)) {
        for (const auto& id : doomed) workspace.erase(id, call.now);
    }
    call.reply.body = dump({{"count", doomed.size()}});
}

}  // namespace leadsync::sandbox
