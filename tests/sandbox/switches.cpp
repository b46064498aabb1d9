#include "tests/sandbox/switches.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string_view>

namespace leadsync::sandbox {
namespace {

template <class S, class Visit>
void for_each_switch(S& s, Visit visit) {
    visit("latency_ms", s.latency_ms);
    visit("latency_spread_ms", s.latency_spread_ms);
    visit("gzip", s.gzip);
    visit("clock_ahead_ms", s.clock_ahead_ms);
    visit("require_user_agent", s.require_user_agent);
    visit("rate_limit", s.rate_limit);
    visit("per_second", s.per_second);
    visit("per_minute", s.per_minute);
    visit("retry_after", s.retry_after);
    visit("revoked", s.revoked);
    visit("unpaid", s.unpaid);
    visit("scopes", s.scopes);
    visit("plan_limit", s.plan_limit);
    visit("list_order", s.list_order);
    visit("unknown_cursor", s.unknown_cursor);
    visit("limit_over_100", s.limit_over_100);
    visit("gone_places", s.gone_places);
    visit("read_lag_ms", s.read_lag_ms);
    visit("empty_lists", s.empty_lists);
    visit("hidden_ids", s.hidden_ids);
    visit("hidden_share", s.hidden_share);
    visit("broken_leads", s.broken_leads);
    visit("refused_ids", s.refused_ids);
    visit("interest_delay_ms", s.interest_delay_ms);
    visit("interest_status_code", s.interest_status_code);
    visit("assign_delay_ms", s.assign_delay_ms);
    visit("job_delay_ms", s.job_delay_ms);
    visit("job_outcome", s.job_outcome);
    visit("custom_variables", s.custom_variables);
    visit("null_removes", s.null_removes);
    visit("empty_removes", s.empty_removes);
    visit("numbers_as_text", s.numbers_as_text);
    visit("normalise_trim", s.normalise_trim);
    visit("normalise_website", s.normalise_website);
    visit("normalise_phone", s.normalise_phone);
    visit("normalise_email", s.normalise_email);
    visit("ignore_writes_every", s.ignore_writes_every);
}

struct Choice {
    std::string_view key;
    std::vector<std::string_view> allowed;
};

const std::vector<Choice>& choices() {
    static const std::vector<Choice> all{{"list_order", {"id", "id_descending"}},
                                         {"unknown_cursor", {"accept", "400", "404", "ignore", "empty"}},
                                         {"limit_over_100", {"empty", "400"}},
                                         {"job_outcome", {"success", "failed", "moved_nothing", "partial"}},
                                         {"custom_variables", {"merge", "replace"}}};
    return all;
}

void check_choice(std::string_view key, const Json& value) {
    const auto choice = std::ranges::find(choices(), key, &Choice::key);
    if (choice == choices().end()) return;
    if (value.is_string() && std::ranges::count(choice->allowed, value.get<std::string>()) > 0) return;
    throw std::invalid_argument{"switch " + std::string{key} + " cannot be " + value.dump()};
}

void check_broken_leads(const Json& value) {
    constexpr std::array<std::string_view, 6> kinds{"invalid_utf8", "lone_surrogate",   "nul_character",
                                                    "oversize",     "missing_required", "payload_list"};
    for (const auto& [id, kind] : value.items()) {
        if (kind.is_string() && std::ranges::count(kinds, kind.get<std::string>()) > 0) continue;
        throw std::invalid_argument{"broken_leads: a lead cannot be " + kind.dump()};
    }
}

}  // namespace

void apply(Switches& switches, const Json& json) {
    if (!json.is_object()) throw std::invalid_argument{"switches are a JSON object"};
    for (const auto& [key, value] : json.items()) {
        check_choice(key, value);
        if (key == "broken_leads") check_broken_leads(value);
        bool known = false;
        for_each_switch(switches, [&, &key = key, &value = value](std::string_view name, auto& target) {
            if (name != key) return;
            known = true;
            try {
                target = value.template get<std::decay_t<decltype(target)>>();
            } catch (const Json::exception&) {
                throw std::invalid_argument{"switch " + key + " cannot be " + value.dump()};
            }
        });
        if (!known) throw std::invalid_argument{"there is no switch " + key};
    }
}

Json to_json(const Switches& switches) {
    Json json;
    for_each_switch(switches, [&](std::string_view name, const auto& value) { json[std::string{name}] = value; });
    return json;
}

}  // namespace leadsync::sandbox
