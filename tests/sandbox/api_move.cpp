#include "tests/sandbox/api.hpp"
#include "tests/sandbox/lead_edit.hpp"
#include "tests/sandbox/lead_filter.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::size_t moved_emails_max = 10'000;

struct Move {
    Home from;
    Home to;
    std::vector<Uuid> ids;
    bool copy = false;
    bool check_duplicates = false;
    bool check_duplicates_in_campaigns = false;
    bool skip_in_verification = false;
    bool reset_interest = true;
    bool ignored = false;
    std::optional<std::string> owner;
};

std::optional<Uuid> present(const Uuid& id) { return id.nil() ? std::nullopt : std::optional{id}; }

bool is_at(const Home& home, const Home& place) {
    return (!place.campaign.nil() && home.campaign == place.campaign)
           || (!place.list.nil() && home.list == place.list);
}

Move move_of(const Workspace& workspace, const Body& body) {
    Move move;
    move.from = {body.id("campaign").value_or(Uuid{}), body.id("list_id").value_or(Uuid{})};
    move.to = {body.id("to_campaign_id").value_or(Uuid{}), body.id("to_list_id").value_or(Uuid{})};
    if (move.from == Home{}) throw refusal(400, "Either campaign or list_id is required");
    if (move.to.campaign.nil() == move.to.list.nil()) {
        throw refusal(400, "Either to_campaign_id or to_list_id is required, but not both");
    }
    const auto& catalog = workspace.catalog;
    if (!move.to.campaign.nil() && !catalog.has_campaign(move.to.campaign)) throw refusal(404, "Campaign not found");
    if (!move.to.list.nil() && !catalog.has_list(move.to.list)) throw refusal(404, "Lead list not found");
    move.copy = body.flag("copy_leads");
    move.check_duplicates = body.flag("check_duplicates");
    move.check_duplicates_in_campaigns = body.flag("check_duplicates_in_campaigns");
    move.skip_in_verification = body.flag("skip_leads_in_verification");
    move.reset_interest = body.boolean("reset_interest_status").value_or(true);
    move.owner = body.text("assigned_to");
    return move;
}

void hold(Workspace& workspace, const Move& move, bool held) {
    for (const auto& container : {move.from.campaign, move.from.list, move.to.campaign, move.to.list}) {
        if (container.nil()) continue;
        if (held) {
            workspace.hold(container);
        } else {
            workspace.release(container);
        }
    }
}

bool has_twin(const Workspace& workspace, const LeadRef& ref, const Move& move) {
    for (const auto& other : workspace.leads.with_email(workspace.leads.email(ref), truth)) {
        if (other.id == ref.id) continue;
        const auto home = workspace.leads.home(other);
        if (move.check_duplicates && is_at(home, move.to)) return true;
        if (move.check_duplicates_in_campaigns && !home.campaign.nil()) return true;
    }
    return false;
}

bool may_move(const Workspace& workspace, const LeadRef& ref, const Move& move) {
    if (!is_at(workspace.leads.home(ref), move.from)) return false;
    const auto verification = workspace.leads.facts(ref).verification;
    if (move.skip_in_verification && (verification == 11 || verification == 12)) return false;
    return !has_twin(workspace, ref, move);
}

/// Moves or copies one lead. Its email, for the job's data; nothing when it stayed.
std::optional<std::string> carry_out(Workspace& workspace, const Uuid& id, const Move& move, const Moment& now) {
    const auto ref = workspace.leads.find(id, truth);
    if (!ref || !may_move(workspace, *ref, move)) return std::nullopt;
    auto email = workspace.leads.email(*ref);
    auto lead = workspace.leads.json(*ref);
    move_lead(lead, present(move.to.campaign), present(move.to.list), move.reset_interest, now.unix_ms);
    if (move.owner) lead["assigned_to"] = *move.owner;
    auto target = id;
    if (move.copy) {
        target = workspace.next_lead_id(now);
        lead["id"] = to_text(target);
        lead["timestamp_created"] = to_iso(now.unix_ms);
    }
    workspace.put(target, lead, now);
    return email;
}

std::size_t to_carry_out(const Workspace& workspace, const Move& move) {
    const auto& outcome = workspace.switches.job_outcome;
    if (outcome == "moved_nothing" || outcome == "failed" || move.ignored) return 0;
    return outcome == "partial" ? move.ids.size() / 2 : move.ids.size();
}

void finish(Workspace& workspace, Job& job, const Move& move, const Moment& now) {
    std::size_t moved = 0;
    auto emails = Json::array();
    const auto count = to_carry_out(workspace, move);
    for (std::size_t i = 0; i < count; ++i) {
        const auto email = carry_out(workspace, move.ids[i], move, now);
        if (!email) continue;
        ++moved;
        if (!email->empty() && emails.size() < moved_emails_max) emails.push_back(*email);
    }
    hold(workspace, move, false);
    job.status = workspace.switches.job_outcome == "failed" ? "failed" : "success";
    job.progress = 100;
    job.updated = now.unix_ms;
    job.data["moved_leads"] = moved;
    job.data["moved_lead_emails"] = std::move(emails);
}

Json to_json(const Workspace& workspace, const Job& job) {
    return {{"id", job.id},
            {"workspace_id", to_text(workspace.catalog.organization)},
            {"user_id", to_text(workspace.catalog.users[0])},
            {"type", "move-leads"},
            {"entity_id", job.entity_id},
            {"entity_type", job.entity_type},
            {"data", job.data},
            {"progress", job.progress},
            {"status", job.status},
            {"created_at", to_iso(job.created)},
            {"updated_at", to_iso(job.updated)}};
}

void schedule(Workspace& workspace, Job& job, Move move, const Moment& now) {
    const milliseconds delay{workspace.switches.job_delay_ms};
    workspace.later(now.tick + delay / 2, [&job](const Moment& at) {
        job.status = "in-progress";
        job.progress = 50;
        job.updated = at.unix_ms;
    });
    workspace.later(now.tick + delay, [&workspace, &job, move = std::move(move)](const Moment& at) {
        finish(workspace, job, move, at);
    });
}

}  // namespace

void move_leads(Call& call) {
    const Body body{call.request};
    auto& workspace = call.workspace;
    auto move = move_of(workspace, body);
    workspace.refuse_if_held(move.from);
    workspace.refuse_if_held(move.to);
    if (body.names_one_of("ids", workspace.switches.refused_ids)) throw refusal(400, "Invalid ID on `ids` field");
    const LeadFilter filter{body};
    const auto limit = body.integer("limit").value_or(0);
    filter.select(workspace.leads, std::nullopt, false, call.now, truth, [&](const LeadRef& ref) {
        move.ids.push_back(ref.id);
        return limit == 0 || std::cmp_less(move.ids.size(), limit);
    });
    move.ignored = call.is(FaultKind::ignored);
    const bool from_campaign = !move.from.campaign.nil();
    auto& job = workspace.add_job(from_campaign ? "campaign" : "list",
                                  from_campaign ? move.from.campaign : move.from.list, call.now);
    hold(workspace, move, true);
    schedule(workspace, job, std::move(move), call.now);
    call.reply.body = dump(to_json(workspace, job));
}

void get_job(Call& call) {
    const auto* job = call.workspace.job(call.id);
    if (!job) throw refusal(404, "Background job not found");
    call.reply.body = dump(to_json(call.workspace, *job));
}

void list_jobs(Call& call) {
    const auto target = call.request.target;
    const auto limit = query_limit(target);
    const auto status = query_value(target, "status");
    const auto entity = query_value(target, "entity_id");
    auto after = query_value(target, "starting_after");
    auto items = Json::array();
    const auto& jobs = call.workspace.jobs();
    for (auto job = jobs.rbegin(); job != jobs.rend() && items.size() < limit; ++job) {
        if (!after.empty()) {
            if (job->id == after) after.clear();
            continue;
        }
        if (!status.empty() && job->status != status) continue;
        if (!entity.empty() && job->entity_id != entity) continue;
        items.push_back(to_json(call.workspace, *job));
    }
    Json answer{{"items", items}};
    if (!items.empty()) answer["next_starting_after"] = items.back()["id"];
    call.reply.body = dump(answer);
}

}  // namespace leadsync::sandbox
