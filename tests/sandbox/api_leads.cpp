#include "tests/sandbox/api.hpp"
#include "tests/sandbox/body.hpp"
#include "tests/sandbox/lead_edit.hpp"

namespace leadsync::sandbox {
namespace {

Uuid id_of(const Json& lead) { return *parse_uuid(lead.at("id").get<std::string>()); }

Home home_of(const Json& lead) {
    const auto id = [&](const char* key) { return parse_uuid(lead.value(key, "")).value_or(Uuid{}); };
    return {id("campaign"), id("list_id")};
}

// Writes are read back from the store, so that a broken lead is broken in every answer.
void answer_stored(Call& call, const Uuid& id) {
    append_answer(call.workspace, *call.workspace.leads.find(id, truth), call.reply.body);
}

/// Stores the lead and answers it. A write that is ignored is answered as if it had been stored.
void store_and_answer(Call& call, const Json& lead) {
    if (call.is(FaultKind::ignored)) {
        call.reply.body = dump(lead);
        return;
    }
    call.workspace.put(id_of(lead), lead, call.now);
    answer_stored(call, id_of(lead));
}

struct Destination {
    std::optional<Uuid> campaign;
    std::optional<Uuid> list;
};

Destination destination_of(const Workspace& workspace, const Body& body) {
    const Destination target{body.id("campaign"), body.id("list_id")};
    if (!target.campaign && !target.list) throw refusal(400, "Either campaign or list_id is required");
    if (target.campaign && !body.has("email")) throw refusal(400, "Email is required to add a lead to a campaign");
    if (target.campaign && !workspace.catalog.has_campaign(*target.campaign))
        throw refusal(404, "Campaign not found");
    if (target.list && !workspace.catalog.has_list(*target.list)) throw refusal(404, "Lead list not found");
    return target;
}

/// The lead that makes the creation superfluous under the skip_if_… flags.
std::optional<LeadRef> existing_elsewhere(const Workspace& workspace, const Body& body) {
    const auto email = body.text("email");
    if (!email) return std::nullopt;
    for (const auto& ref : workspace.leads.with_email(*email, truth)) {
        const auto home = workspace.leads.home(ref);
        const bool skips = body.flag("skip_if_in_workspace")
                           || (body.flag("skip_if_in_campaign") && !home.campaign.nil())
                           || (body.flag("skip_if_in_list") && !home.list.nil());
        if (skips) return ref;
    }
    return std::nullopt;
}

}  // namespace

void create_lead(Call& call) {
    const Body body{call.request};
    auto& workspace = call.workspace;
    check_profile(body.json());
    const auto target = destination_of(workspace, body);
    workspace.refuse_if_held({target.campaign.value_or(Uuid{}), target.list.value_or(Uuid{})});
    if (const auto existing = existing_elsewhere(workspace, body)) {
        append_answer(workspace, *existing, call.reply.body);
        return;
    }
    if (workspace.remaining_in_plan() == 0) throw refusal(403, "Lead limit reached. Remaining uploads: 0");
    const NewLead origin{workspace.next_lead_id(call.now), workspace.catalog.organization, workspace.catalog.users[0],
                         target.campaign, target.list};
    store_and_answer(call, new_lead(origin, body.json(), workspace.switches, call.now.unix_ms));
}

void get_lead(Call& call) {
    const auto id = parse_uuid(call.id);
    const auto ref = id ? call.workspace.leads.find(*id, call.eyes()) : std::nullopt;
    if (!ref) throw refusal(404, "Lead not found");
    append_answer(call.workspace, *ref, call.reply.body);
}

void patch_lead(Call& call) {
    const Body body{call.request};
    auto lead = existing_lead(call, call.id);
    if (body.json().empty()) throw refusal(400, "body must NOT have fewer than 1 properties");
    check_profile(body.json());
    if (call.workspace.next_write_is_ignored()) call.fault = FaultKind::ignored;
    patch_lead(lead, body.json(), call.workspace.switches, call.now.unix_ms);
    store_and_answer(call, lead);
}

void delete_lead(Call& call) {
    const auto lead = existing_lead(call, call.id);
    call.workspace.refuse_if_held(home_of(lead));
    answer_stored(call, id_of(lead));
    if (!call.is(FaultKind::ignored)) call.workspace.erase(id_of(lead), call.now);
}

void merge_leads(Call& call) {
    const Body body{call.request};
    const auto source = existing_lead(call, body.required_text("lead_id"));
    auto destination = existing_lead(call, body.required_text("destination_lead_id"));
    if (id_of(source) == id_of(destination)) throw refusal(400, "A lead cannot be merged into itself");
    merge_lead(destination, source, call.now.unix_ms);
    if (!call.is(FaultKind::ignored)) call.workspace.erase(id_of(source), call.now);
    store_and_answer(call, destination);
}

void move_to_subsequence(Call& call) {
    const Body body{call.request};
    const auto subsequence = body.required_text("subsequence_id");
    auto lead = existing_lead(call, body.required_text("id"));
    lead["subsequence_id"] = subsequence;
    lead["timestamp_added_subsequence"] = to_iso(call.now.unix_ms);
    touch(lead, call.now.unix_ms);
    store_and_answer(call, lead);
}

void remove_from_subsequence(Call& call) {
    const Body body{call.request};
    auto lead = existing_lead(call, body.required_text("id"));
    lead.erase("subsequence_id");
    lead.erase("timestamp_added_subsequence");
    touch(lead, call.now.unix_ms);
    store_and_answer(call, lead);
}

}  // namespace leadsync::sandbox
