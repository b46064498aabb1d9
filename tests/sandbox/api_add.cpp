#include <algorithm>
#include <set>

#include "tests/sandbox/api.hpp"
#include "tests/sandbox/body.hpp"
#include "tests/sandbox/lead_edit.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::size_t leads_max = 1000;
constexpr std::int64_t unlimited_plan = 1'000'000;

struct Counts {
    std::int64_t skipped = 0;
    std::int64_t invalid_email = 0;
    std::int64_t incomplete = 0;
    std::int64_t duplicate_email = 0;
    std::int64_t already_there = 0;
};

struct Target {
    std::optional<Uuid> campaign;
    std::optional<Uuid> list;

    bool holds(const Home& home) const {
        return (campaign && home.campaign == *campaign) || (list && home.list == *list);
    }
};

Target target_of(const Workspace& workspace, const Body& body) {
    const Target target{body.id("campaign_id"), body.id("list_id")};
    if (target.campaign.has_value() == target.list.has_value()) {
        throw refusal(400, "Either campaign_id or list_id is required, but not both");
    }
    if (target.campaign && !workspace.catalog.has_campaign(*target.campaign))
        throw refusal(404, "Campaign not found");
    if (target.list && !workspace.catalog.has_list(*target.list)) throw refusal(404, "Lead list not found");
    workspace.refuse_if_held({target.campaign.value_or(Uuid{}), target.list.value_or(Uuid{})});
    return target;
}

const Json& leads_of(const Body& body) {
    const auto leads = body.json().find("leads");
    if (leads == body.json().end() || !leads->is_array()) throw refusal(400, "body/leads must be array");
    if (leads->empty()) throw refusal(400, "body/leads must NOT have fewer than 1 items");
    if (leads->size() > leads_max) throw refusal(400, "body/leads must NOT have more than 1000 items");
    for (const auto& lead : *leads) {
        if (!lead.is_object()) throw refusal(400, "body/leads must be array of objects");
        check_profile(lead);
    }
    return *leads;
}

std::string text_of(const Json& lead, const char* key) {
    const auto found = lead.find(key);
    return found != lead.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

bool is_email(std::string_view text) {
    const auto at = text.find('@');
    return at != text.npos && at > 0 && text.find('.', at) != text.npos && text.find(' ') == text.npos;
}

/// Decides for each lead of the request whether it is created.
class Sieve {
public:
    Sieve(const Workspace& workspace, const Body& body, const Target& target)
        : workspace_{workspace}, body_{body}, target_{target} {}

    bool accepts(const Json& lead) {
        const auto email = text_of(lead, "email");
        if (email.empty() && target_.list) {
            const bool named = !text_of(lead, "first_name").empty() || !text_of(lead, "last_name").empty();
            return named || refused(counts.incomplete);
        }
        if (!is_email(email)) return refused(counts.invalid_email);
        if (!seen_.insert(lower_case(email)).second) return refused(counts.duplicate_email);
        return !exists(email);
    }

    Counts counts;

private:
    static bool refused(std::int64_t& count) {
        ++count;
        return false;
    }

    bool exists(const std::string& email) {
        bool in_campaign = false;
        bool in_list = false;
        for (const auto& ref : workspace_.leads.with_email(email, truth)) {
            const auto home = workspace_.leads.home(ref);
            if (target_.holds(home)) {
                ++counts.already_there;
                return true;
            }
            in_campaign = in_campaign || !home.campaign.nil();
            in_list = in_list || !home.list.nil();
        }
        const bool skips = (body_.flag("skip_if_in_workspace") && (in_campaign || in_list))
                           || (body_.flag("skip_if_in_campaign") && in_campaign)
                           || (body_.flag("skip_if_in_list") && in_list);
        if (skips) ++counts.skipped;
        return skips;
    }

    const Workspace& workspace_;
    const Body& body_;
    const Target& target_;
    std::set<std::string> seen_;
};

Json summary_of(const Json& lead, std::size_t index) {
    Json summary{{"index", index}, {"id", lead.at("id")}};
    for (const char* key : {"email", "first_name", "last_name", "phone"}) {
        if (const auto value = lead.find(key); value != lead.end()) summary[key] = *value;
    }
    return summary;
}

Json answer_of(const Workspace& workspace, const Target& target, const Counts& counts, std::size_t sent,
               Json created) {
    Json remaining;
    if (target.campaign) remaining = workspace.remaining_in_plan().value_or(unlimited_plan);
    const auto uploaded = created.size();
    return {{"status", "success"},
            {"total_sent", sent},
            {"leads_uploaded", uploaded},
            {"in_blocklist", 0},
            {"blocklist_used", nullptr},
            {"duplicated_leads", counts.already_there},
            {"skipped_count", counts.skipped},
            {"invalid_email_count", counts.invalid_email},
            {"incomplete_count", counts.incomplete},
            {"duplicate_email_count", counts.duplicate_email},
            {"remaining_in_plan", std::move(remaining)},
            {"created_leads", std::move(created)}};
}

}  // namespace

void add_leads(Call& call) {
    const Body body{call.request};
    auto& workspace = call.workspace;
    const auto target = target_of(workspace, body);
    const auto& leads = leads_of(body);
    Sieve sieve{workspace, body, target};
    std::vector<std::size_t> accepted;
    for (std::size_t i = 0; i < leads.size(); ++i) {
        if (sieve.accepts(leads[i])) accepted.push_back(i);
    }
    const auto remaining = workspace.remaining_in_plan();
    if (remaining && std::cmp_greater(accepted.size(), *remaining)) {
        throw refusal(403, "Lead limit reached. Remaining uploads: " + std::to_string(*remaining));
    }
    auto created = Json::array();
    for (const auto index : accepted) {
        const NewLead origin{workspace.next_lead_id(call.now), workspace.catalog.organization,
                             workspace.catalog.users[0], target.campaign, target.list};
        auto lead = new_lead(origin, leads[index], workspace.switches, call.now.unix_ms);
        const auto owner = body.text("assigned_to");
        if (owner && !lead.contains("assigned_to")) lead["assigned_to"] = *owner;
        if (!call.is(FaultKind::ignored)) workspace.put(origin.id, lead, call.now);
        created.push_back(summary_of(lead, index));
    }
    call.reply.body = dump(answer_of(workspace, target, sieve.counts, leads.size(), std::move(created)));
}

}  // namespace leadsync::sandbox
