#include "tests/sandbox/lead_filter.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace leadsync::sandbox {
namespace {

using FactTest = bool (*)(const Facts&);

template <int Status>
bool has_status(const Facts& facts) {
    return facts.status == Status;
}

template <int Interest>
bool has_interest(const Facts& facts) {
    return facts.interest == Interest;
}

bool is_custom_label(int interest) { return interest > 4 || interest < -4; }

const std::map<std::string_view, FactTest>& named_filters() {
    static const std::map<std::string_view, FactTest> filters{
        {"FILTER_VAL_CONTACTED", [](const Facts& f) { return f.contacted != 0; }},
        {"FILTER_VAL_NOT_CONTACTED", [](const Facts& f) { return f.contacted == 0; }},
        {"FILTER_VAL_COMPLETED", has_status<3>},
        {"FILTER_VAL_UNSUBSCRIBED", has_status<-2>},
        {"FILTER_VAL_ACTIVE", has_status<1>},
        {"FILTER_VAL_BOUNCED", has_status<-1>},
        {"FILTER_VAL_SKIPPED", has_status<-3>},
        {"FILTER_LEAD_OUT_OF_OFFICE", has_interest<0>},
        {"FILTER_LEAD_INTERESTED", has_interest<1>},
        {"FILTER_LEAD_MEETING_BOOKED", has_interest<2>},
        {"FILTER_LEAD_MEETING_COMPLETED", has_interest<3>},
        {"FILTER_LEAD_CLOSED", has_interest<4>},
        {"FILTER_LEAD_NOT_INTERESTED", has_interest<-1>},
        {"FILTER_LEAD_WRONG_PERSON", has_interest<-2>},
        {"FILTER_LEAD_LOST", has_interest<-3>},
        {"FILTER_LEAD_NO_SHOW", has_interest<-4>},
        {"FILTER_LEAD_CUSTOM_LABEL_POSITIVE",
         [](const Facts& f) { return f.interest && is_custom_label(*f.interest) && *f.interest > 0; }},
        {"FILTER_LEAD_CUSTOM_LABEL_NEGATIVE",
         [](const Facts& f) { return f.interest && is_custom_label(*f.interest) && *f.interest < 0; }},
        {"FILTER_VAL_RISKY", [](const Facts& f) { return f.verification == -2; }},
        {"FILTER_VAL_INVALID", [](const Facts& f) { return f.verification == -1; }},
        {"FILTER_VAL_VALID", [](const Facts& f) { return f.verification == 1; }},
        {"FILTER_VAL_IN_SUBSEQUENCE", [](const Facts& f) { return f.in_subsequence; }},
        {"FILTER_VAL_OPENED_NO_REPLY", [](const Facts& f) { return f.opens > 0 && f.replies == 0; }},
        {"FILTER_VAL_COMPLETED_NO_REPLY", [](const Facts& f) { return f.status == 3 && f.replies == 0; }},
        {"FILTER_VAL_NO_OPENS", [](const Facts& f) { return f.opens == 0; }},
        {"FILTER_VAL_REPLIED", [](const Facts& f) { return f.replies > 0; }},
        {"FILTER_VAL_LINK_CLICKED", [](const Facts& f) { return f.clicks > 0; }}};
    return filters;
}

std::int64_t time_of_action(const Facts& facts, std::string_view action) {
    if (action == "reply") return facts.replied;
    if (action == "email-open") return facts.opened;
    if (action == "last-contacted") return facts.contacted;
    if (action == "link-click") return facts.clicked;
    return facts.interest_changed;
}

std::optional<std::int64_t> integer_at(const Json& json, const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || !found->is_number()) return std::nullopt;
    return found->get<std::int64_t>();
}

}  // namespace

LeadFilter::LeadFilter(const Body& body, std::optional<std::vector<Uuid>> assigned_to)
    : campaign_{body.id("campaign")},
      list_{body.id("list_id")},
      in_campaign_{body.boolean("in_campaign")},
      in_list_{body.boolean("in_list")},
      website_visitor_{body.boolean("is_website_visitor")},
      enrichment_{body.integer("enrichment_status")},
      assigned_to_{std::move(assigned_to)},
      ids_{body.ids("ids")},
      search_{lower_case(body.text("search").value_or(""))},
      named_filter_{body.text("filter").value_or("")},
      queries_{queries_of(body)} {
    if (const auto contacts = body.texts("contacts")) {
        contacts_.emplace();
        for (const auto& contact : *contacts) contacts_->insert(lower_case(contact));
    }
    if (const auto excluded = body.ids("excluded_ids")) excluded_.insert(excluded->begin(), excluded->end());
    looks_at_facts_ = website_visitor_ || enrichment_ || assigned_to_ || !named_filter_.empty() || !queries_.empty();
}

std::vector<LeadFilter::Query> LeadFilter::queries_of(const Body& body) {
    std::vector<Query> queries;
    if (!body.has("queries")) return queries;
    const auto& list = body.json().at("queries");
    if (!list.is_array()) throw refusal(400, "body/queries must be array");
    for (const auto& item : list) {
        const bool complete = item.is_object() && item.contains("actionType") && item["actionType"].is_string()
                              && item.contains("values") && item["values"].is_object();
        if (!complete) throw refusal(400, "body/queries must have actionType and values");
        const auto& values = item["values"];
        Query query{
            item["actionType"].get<std::string>(), integer_at(values, "occurrence-days").value_or(0), {}, false};
        if (const auto status = values.find("lead-status"); status != values.end() && status->is_object()) {
            query.status = integer_at(*status, "status");
            query.status_is_not = status->value("condition", Json{}) == Json("is-not");
        }
        queries.push_back(std::move(query));
    }
    return queries;
}

bool LeadFilter::matches_place(const Home& home) const {
    if (campaign_ && (home.campaign != *campaign_ || campaign_->nil())) return false;
    if (list_ && (home.list != *list_ || list_->nil())) return false;
    if (in_campaign_ && *in_campaign_ == home.campaign.nil()) return false;
    return !in_list_ || *in_list_ != home.list.nil();
}

bool LeadFilter::matches_facts(const Facts& facts, const Moment& now) const {
    constexpr std::int64_t day_ms = 86'400'000;
    if (website_visitor_ && facts.website_visitor != *website_visitor_) return false;
    if (enrichment_ && facts.enrichment != *enrichment_) return false;
    if (assigned_to_ && std::ranges::count(*assigned_to_, facts.assigned_to) == 0) return false;
    if (!named_filter_.empty()) {
        const auto test = named_filters().find(named_filter_);
        // An unknown filter is ignored like any unknown key: the caller gets leads that it did not ask for.
        if (test != named_filters().end() && !test->second(facts)) return false;
    }
    return std::ranges::all_of(queries_, [&](const Query& query) {
        if (query.action == "lead-status")
            return !query.status || (facts.status == *query.status) != query.status_is_not;
        const auto time = time_of_action(facts, query.action);
        return time != 0 && (query.within_days == 0 || now.unix_ms - time <= query.within_days * day_ms);
    });
}

bool LeadFilter::matches_texts(const LeadStore& store, const LeadRef& ref) const {
    if (contacts_ && !contacts_->contains(lower_case(store.email(ref)))) return false;
    if (search_.empty()) return true;
    const auto contains = [&](std::string_view text) { return lower_case(text).find(search_) != std::string::npos; };
    const auto full_name = std::string{store.first_name(ref)} + ' ' + std::string{store.last_name(ref)};
    return contains(full_name) || contains(store.email(ref));
}

bool LeadFilter::matches(const LeadStore& store, const LeadRef& ref, const Moment& now) const {
    if (!matches_place(store.home(ref)) || excluded_.contains(ref.id)) return false;
    if (looks_at_facts_ && !matches_facts(store.facts(ref), now)) return false;
    return matches_texts(store, ref);
}

std::vector<LeadRef> LeadFilter::named_leads(const LeadStore& store, Eyes eyes) const {
    std::map<Uuid, LeadRef> refs;
    if (ids_) {
        for (const auto& id : *ids_) {
            if (const auto ref = store.find(id, eyes)) refs.emplace(id, *ref);
        }
    } else {
        for (const auto& email : *contacts_) {
            for (const auto& ref : store.with_email(email, eyes)) refs.emplace(ref.id, ref);
        }
    }
    std::vector<LeadRef> sorted;
    for (const auto& [id, ref] : refs) sorted.push_back(ref);
    return sorted;
}

}  // namespace leadsync::sandbox
