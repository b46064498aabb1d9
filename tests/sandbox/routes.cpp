#include <array>

#include "tests/sandbox/api.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::array<Route, 23> all_routes{{
    {"POST", "/api/v2/leads/list", "leads:read", list_leads},
    {"POST", "/api/v2/leads/add", "leads:create", add_leads},
    {"POST", "/api/v2/leads/update-interest-status", "leads:update", update_interest_status},
    {"POST", "/api/v2/leads/move", "leads:update", move_leads},
    {"POST", "/api/v2/leads/merge", "leads:update", merge_leads},
    {"POST", "/api/v2/leads/bulk-assign", "leads:update", bulk_assign},
    {"POST", "/api/v2/leads/subsequence/move", "leads:update", move_to_subsequence},
    {"POST", "/api/v2/leads/subsequence/remove", "leads:update", remove_from_subsequence},
    {"POST", "/api/v2/leads", "leads:create", create_lead},
    {"DELETE", "/api/v2/leads", "leads:delete", delete_leads},
    {"GET", "/api/v2/leads/{id}", "leads:read", get_lead},
    {"PATCH", "/api/v2/leads/{id}", "leads:update", patch_lead},
    {"DELETE", "/api/v2/leads/{id}", "leads:delete", delete_lead},
    {"GET", "/api/v2/background-jobs", "background-jobs:read", list_jobs},
    {"GET", "/api/v2/background-jobs/{id}", "background-jobs:read", get_job},
    {"GET", "/api/v2/campaigns", "campaigns:read", list_campaigns},
    {"GET", "/api/v2/campaigns/{id}", "campaigns:read", get_campaign},
    {"GET", "/api/v2/lead-lists", "lead_lists:read", list_lead_lists},
    {"GET", "/api/v2/lead-lists/{id}", "lead_lists:read", get_lead_list},
    {"GET", "/api/v2/lead-labels", "lead-labels:read", list_lead_labels},
    {"GET", "/api/v2/lead-labels/{id}", "lead-labels:read", get_lead_label},
    {"GET", "/api/v2/workspaces/current", "workspaces:read", get_workspace},
    {"GET", "/api/v2/workspace-billing/plan-details", "workspace_billing:read", get_plan_details},
}};

constexpr std::string_view placeholder = "{id}";

bool matches(const Route& route, std::string_view path, std::string_view& id) {
    if (!route.path.ends_with(placeholder)) return route.path == path;
    const auto prefix = route.path.substr(0, route.path.size() - placeholder.size());
    if (!path.starts_with(prefix)) return false;
    id = path.substr(prefix.size());
    return !id.empty() && id.find('/') == id.npos;
}

}  // namespace

std::span<const Route> routes() { return all_routes; }

RouteMatch match_route(std::string_view method, std::string_view path) {
    for (const auto& route : all_routes) {
        std::string_view id;
        if (route.method == method && matches(route, path, id)) return {&route, id};
    }
    return {};
}

}  // namespace leadsync::sandbox
