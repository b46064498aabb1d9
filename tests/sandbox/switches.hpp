#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {

/// How the API behaves: latency, limits, and one switch for each fact that is contradictory or unknown.
/// The JSON keys of the control API are the names here; README.md explains each one.
struct Switches {
    int latency_ms = 0;
    int latency_spread_ms = 0;
    bool gzip = false;
    std::int64_t clock_ahead_ms = 0;  ///< How far the server's calendar is ahead of the machine's.
    bool require_user_agent = true;

    bool rate_limit = true;
    int per_second = 100;
    int per_minute = 6000;
    bool retry_after = false;

    bool revoked = false;
    bool unpaid = false;
    std::vector<std::string> scopes{"all:all"};
    std::int64_t plan_limit = -1;  ///< Leads that the plan allows; negative: no limit.

    std::string list_order = "id";          ///< id | id_descending
    std::string unknown_cursor = "accept";  ///< accept | 400 | 404 | ignore | empty
    std::string limit_over_100 = "empty";   ///< empty | 400
    std::set<std::string> gone_places;      ///< Campaigns and lists that were deleted: a list of their leads is 404.
    int read_lag_ms = 0;
    bool empty_lists = false;
    std::set<std::string> hidden_ids;                 ///< Left out of every list answer.
    double hidden_share = 0;                          ///< Of the rows of each list answer, left out at random.
    std::map<std::string, std::string> broken_leads;  ///< id -> what is wrong with its answer

    std::set<std::string> refused_ids;  ///< A move or an assignment that names one of them is refused for all.
    int interest_delay_ms = 50;
    int interest_status_code = 202;
    int assign_delay_ms = 50;
    int job_delay_ms = 100;
    std::string job_outcome = "success";  ///< success | failed | moved_nothing | partial

    std::string custom_variables = "merge";  ///< merge | replace
    bool null_removes = true;
    bool empty_removes = false;
    bool numbers_as_text = false;
    bool normalise_trim = false;
    bool normalise_website = false;
    bool normalise_phone = false;
    bool normalise_email = false;
    int ignore_writes_every = 0;  ///< Every nth PATCH is answered 200 and not stored; 0: none.
};

/// Sets what `json` names and leaves the rest. Throws std::invalid_argument on an unknown key or a wrong value.
void apply(Switches& switches, const Json& json);

Json to_json(const Switches& switches);

}  // namespace leadsync::sandbox
