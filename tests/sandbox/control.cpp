#include "tests/sandbox/control.hpp"

#include <charconv>
#include <stdexcept>

#include "tests/sandbox/lead_edit.hpp"

namespace leadsync::sandbox {
namespace {

Json parsed(const Request& request) {
    auto json = request.body.empty() ? Json::object() : Json::parse(request.body, nullptr, false);
    if (json.is_discarded()) throw std::invalid_argument{"the body is no JSON"};
    return json;
}

Uuid uuid_from(std::string_view text) {
    const auto id = parse_uuid(text);
    if (!id) throw std::invalid_argument{"no UUID: " + std::string{text}};
    return *id;
}

std::size_t number_from(const std::string& text, std::size_t otherwise) {
    std::size_t number = otherwise;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

void add_lead(Workspace& workspace, Json fields, const Moment& now, Reply& reply) {
    const auto id = fields.contains("id") ? uuid_from(fields["id"].get<std::string>()) : workspace.next_lead_id(now);
    const NewLead origin{id, workspace.catalog.organization, workspace.catalog.users[0], {}, {}};
    auto lead = new_lead(origin, {{"email", fields.value("email", Json())}}, workspace.switches, now.unix_ms);
    lead["upload_method"] = "manual";
    edit_lead(lead, fields, now.unix_ms);
    workspace.put(id, lead, now);
    reply.body = dump(lead);
}

void append_truth(const Workspace& workspace, const Request& request, Reply& reply) {
    const auto limit = number_from(query_value(request.target, "limit"), 1000);
    std::optional<Uuid> after;
    if (const auto text = query_value(request.target, "after"); !text.empty()) after = uuid_from(text);
    std::size_t count = 0;
    workspace.leads.walk(after, false, truth, [&](const LeadRef& ref) {
        if (count++ == limit) return false;
        workspace.leads.append_json(ref, reply.body);
        reply.body += '\n';
        return true;
    });
    reply.content_type = "application/x-ndjson";
}

Json counts_of(const Workspace& workspace) {
    std::map<Uuid, std::size_t> campaigns;
    std::map<Uuid, std::size_t> lists;
    workspace.leads.walk(std::nullopt, false, truth, [&](const LeadRef& ref) {
        const auto home = workspace.leads.home(ref);
        if (!home.campaign.nil()) ++campaigns[home.campaign];
        if (!home.list.nil()) ++lists[home.list];
        return true;
    });
    Json json{{"leads", workspace.leads.size()}, {"campaigns", Json::object()}, {"lists", Json::object()}};
    for (const auto& [id, count] : campaigns) json["campaigns"][to_text(id)] = count;
    for (const auto& [id, count] : lists) json["lists"][to_text(id)] = count;
    return json;
}

Json to_json(const Workspace& workspace) {
    return {{"name", workspace.settings.name},
            {"api_key", workspace.settings.api_key},
            {"organization", to_text(workspace.catalog.organization)},
            {"leads", workspace.leads.size()}};
}

}  // namespace

Workspace& Control::workspace_of(const Request& request) const {
    const auto name = query_value(request.target, "workspace");
    auto* workspace = world_.named(name);
    if (!workspace) throw std::invalid_argument{"there is no workspace " + name};
    return *workspace;
}

template <class Action>
void Control::for_chosen_workspaces(const Request& request, Action action) const {
    if (!query_value(request.target, "workspace").empty()) return action(workspace_of(request));
    for (const auto& workspace : world_.workspaces()) action(*workspace);
}

void Control::answer(const Request& request, const Moment& now, Reply& reply) {
    try {
        // A test reads the truth as of now: what is due by now has happened.
        for (const auto& workspace : world_.workspaces())
            workspace->settle(now.ahead(workspace->switches.clock_ahead_ms));
        route(request, now, reply);
    } catch (const Refusal& refusal) {
        reply.status = refusal.status;
        reply.body = dump(refusal.body);
    } catch (const std::exception& error) {
        reply.status = 400;
        reply.body = dump(refusal(400, error.what()).body);
    }
    if (reply.body.empty() && reply.content_type.starts_with("application/json")) reply.body = "{}";
}

void Control::route(const Request& request, const Moment& now, Reply& reply) {
    const auto is = [&](std::string_view method, std::string_view path) {
        return request.method == method && request.path == path;
    };
    if (request.path.starts_with("/control/leads")) return route_leads(request, now, reply);
    if (is("GET", "/control/counts")) {
        reply.body = dump(counts_of(workspace_of(request)));
    } else if (is("GET", "/control/requests")) {
        const auto limit = number_from(query_value(request.target, "limit"), 1000);
        reply.body = dump(world_.log.requests(query_value(request.target, "path"),
                                              query_value(request.target, "workspace"), limit));
    } else if (is("DELETE", "/control/requests")) {
        world_.log.clear();
        for (const auto& workspace : world_.workspaces()) workspace->windows.reset_maxima();
    } else if (is("GET", "/control/statistics")) {
        reply.body = dump(statistics());
    } else if (is("GET", "/control/switches")) {
        reply.body = dump(sandbox::to_json(workspace_of(request).switches));
    } else if (is("POST", "/control/switches")) {
        set_switches(request);
    } else if (is("DELETE", "/control/switches")) {
        for_chosen_workspaces(request, [&](Workspace& workspace) {
            workspace.switches = world_.initial_switches;
            workspace.faults.clear();
        });
    } else if (is("GET", "/control/faults")) {
        reply.body = dump(workspace_of(request).faults.to_json());
    } else if (is("POST", "/control/faults")) {
        set_faults(request, true);
    } else if (is("DELETE", "/control/faults")) {
        set_faults(request, false);
    } else if (is("GET", "/control/workspaces")) {
        auto list = Json::array();
        for (const auto& workspace : world_.workspaces()) list.push_back(to_json(*workspace));
        reply.body = dump(list);
    } else if (is("POST", "/control/workspaces")) {
        add_workspace(parsed(request));
    } else if (is("POST", "/control/quit")) {
        quit_();
    } else {
        throw refusal(404, "no such control: " + std::string{request.method} + ' ' + std::string{request.path});
    }
}

void Control::route_leads(const Request& request, const Moment& machine, Reply& reply) {
    const auto now = machine.ahead(workspace_of(request).switches.clock_ahead_ms);
    constexpr std::string_view root = "/control/leads";
    const auto rest = request.path.substr(root.size());
    if (rest.empty() && request.method == "GET") return append_truth(workspace_of(request), request, reply);
    if (rest.empty() && request.method == "POST") return add_lead(workspace_of(request), parsed(request), now, reply);
    route_lead(request, rest.substr(rest.empty() ? 0 : 1), now, reply);
}

void Control::route_lead(const Request& request, std::string_view id, const Moment& now, Reply& reply) {
    constexpr std::string_view move = "/move";
    auto& workspace = workspace_of(request);
    const bool moves = id.ends_with(move);
    const auto uuid = uuid_from(moves ? id.substr(0, id.size() - move.size()) : id);
    auto lead = workspace.lead(uuid);
    if (!lead) throw refusal(404, "there is no lead " + std::string{id});
    if (moves && request.method == "POST") {
        const auto target = parsed(request);
        const auto place = [&](const char* key) { return parse_uuid(target.value(key, "")); };
        move_lead(*lead, place("campaign"), place("list_id"), target.value("reset_interest_status", false),
                  now.unix_ms);
        workspace.put(uuid, *lead, now);
    } else if (request.method == "PATCH") {
        edit_lead(*lead, parsed(request), now.unix_ms);
        workspace.put(uuid, *lead, now);
    } else if (request.method == "DELETE") {
        workspace.erase(uuid, now);
    } else if (request.method != "GET") {
        throw refusal(404, "no such control");
    }
    reply.body = dump(*lead);
}

void Control::add_workspace(const Json& json) {
    WorkspaceSettings settings;
    settings.documented_lead = json.value("documented_lead", false);
    settings.name = json.at("name").get<std::string>();
    settings.api_key = json.at("api_key").get<std::string>();
    settings.seed = json.value("seed", settings.seed);
    settings.leads = json.value("leads", settings.leads);
    settings.campaigns = json.value("campaigns", settings.campaigns);
    settings.lists = json.value("lists", settings.lists);
    settings.old_id_share = json.value("old_id_share", settings.old_id_share);
    settings.list_share = json.value("list_share", settings.list_share);
    settings.odd_share = json.value("odd_share", settings.odd_share);
    world_.add(settings);
}

void Control::set_switches(const Request& request) {
    const auto json = parsed(request);
    // Checked on a copy first, so that a wrong value changes nothing anywhere.
    auto probe = world_.initial_switches;
    apply(probe, json);
    for_chosen_workspaces(request, [&](Workspace& workspace) { apply(workspace.switches, json); });
}

void Control::set_faults(const Request& request, bool add) {
    const auto json = add ? parsed(request) : Json::object();
    const auto fault = add ? std::optional{fault_from(json)} : std::nullopt;
    for_chosen_workspaces(request, [&](Workspace& workspace) {
        if (fault) {
            workspace.faults.add(*fault);
        } else {
            workspace.faults.clear();
            workspace.faults.reseed(workspace.settings.seed);
        }
    });
}

Json Control::statistics() const {
    auto workspaces = Json::object();
    for (const auto& workspace : world_.workspaces()) {
        const auto& windows = workspace->windows;
        workspaces[workspace->settings.name] = {{"max_per_second", windows.max_per_second()},
                                                {"max_per_minute", windows.max_per_minute()},
                                                {"refused", windows.refused()},
                                                {"leads", workspace->leads.size()}};
    }
    return {{"endpoints", world_.log.counts()}, {"workspaces", std::move(workspaces)}};
}

}  // namespace leadsync::sandbox
