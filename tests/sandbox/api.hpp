#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "tests/sandbox/exchange.hpp"
#include "tests/sandbox/faults.hpp"
#include "tests/sandbox/workspace.hpp"

namespace leadsync::sandbox {

/// One authenticated request on its way through the API.
struct Call {
    Workspace& workspace;
    const Request& request;
    std::string_view id;  ///< What stands for {id} in the path.
    Moment now;
    std::optional<FaultKind> fault;  ///< Only `empty` and `ignored` concern a handler.
    Reply& reply;

    bool is(FaultKind kind) const { return fault == kind; }
    Eyes eyes() const { return now.tick; }
};

struct Route {
    std::string_view method;
    std::string_view path;   ///< `{id}` stands for one segment.
    std::string_view scope;  ///< `resource:action`; empty: any key may.
    void (*handler)(Call&);
};

/// Every endpoint, named as in the API's documentation.
std::span<const Route> routes();

/// The route of a request, and the text that stood for {id}. A null route: there is no such endpoint.
struct RouteMatch {
    const Route* route = nullptr;
    std::string_view id;
};
RouteMatch match_route(std::string_view method, std::string_view path);

void create_lead(Call& call);
void get_lead(Call& call);
void patch_lead(Call& call);
void delete_lead(Call& call);
void delete_leads(Call& call);
void list_leads(Call& call);
void merge_leads(Call& call);
void add_leads(Call& call);
void update_interest_status(Call& call);
void bulk_assign(Call& call);
void move_leads(Call& call);
void move_to_subsequence(Call& call);
void remove_from_subsequence(Call& call);
void list_jobs(Call& call);
void get_job(Call& call);
void list_campaigns(Call& call);
void get_campaign(Call& call);
void list_lead_lists(Call& call);
void get_lead_list(Call& call);
void list_lead_labels(Call& call);
void get_lead_label(Call& call);
void get_workspace(Call& call);
void get_plan_details(Call& call);

/// The `limit` of a GET listing, 1 to 100, by default 10. Throws the 400.
std::size_t query_limit(std::string_view target);

/// Appends the answer text of a lead, broken if a switch says so.
void append_answer(const Workspace& workspace, const LeadRef& ref, std::string& out);

/// The lead with this id, as the writes see it. Throws the 404.
Json existing_lead(Call& call, std::string_view id);

}  // namespace leadsync::sandbox
