#include "connectors/instantly/client.hpp"

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>
#include <stdexcept>

#include "connectors/instantly/answer.hpp"
#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/quick_page.hpp"

namespace leadsync::instantly {

namespace asio = boost::asio;
using asio::awaitable;
using boost::beast::http::verb;
using nlohmann::json;
using sync::InstantlyId;
using sync::RemoteLead;

namespace {

constexpr int page_max = 100;  // above it the API answers 400, or an empty page
constexpr std::size_t add_max = 1'000;

void require(bool condition, const char* otherwise) {
    if (!condition) throw std::invalid_argument{otherwise};
}

std::string lower_case(std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// A path segment or a query value.
std::string encoded(std::string_view text) {
    static constexpr std::string_view digits = "0123456789ABCDEF";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) != 0 || std::string_view{"-._~"}.find(c) != std::string_view::npos)
            result.push_back(c);
        else
            result.append({'%', digits[byte >> 4U], digits[byte & 15U]});
    }
    return result;
}

std::string lead_path(const InstantlyId& id) { return "/api/v2/leads/" + encoded(id.text); }

std::vector<std::string> texts(const std::vector<InstantlyId>& ids) {
    std::vector<std::string> result;
    result.reserve(ids.size());
    for (const auto& id : ids) result.push_back(id.text);
    return result;
}

std::optional<std::string> text_at(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

template <class Number = int>
std::optional<Number> number_at(const json& object, const char* key) {
    const auto found = object.find(key);
    if (found == object.end() || !found->is_number()) return std::nullopt;
    const auto number = found->get<double>();
    constexpr double bound = sizeof(Number) < 8 ? 2e9 : 9e15;  // exact in a double, and in Number
    if (!(number >= -bound && number <= bound)) return std::nullopt;
    return static_cast<Number>(number);
}

json accepted_object(const Answer& answer) {
    auto body = answer.accepted();
    if (!body.is_object()) answer.reject("no JSON object");
    return body;
}

RemoteLead accepted_lead(const Answer& answer) {
    return answer.accepted([](const std::string& body) { return parse_lead(parse_json(body)); });
}

/// A lead that must be the one asked for.
RemoteLead accepted_lead(const Answer& answer, const InstantlyId& id) {
    auto lead = accepted_lead(answer);
    if (lead.id != id) answer.reject("another lead: " + lead.id.text);
    return lead;
}

json to_json(const LeadQuery& query) {
    json body{{"limit", std::clamp(query.limit, 1, page_max)}};
    if (query.campaign) body["campaign"] = query.campaign->text;
    if (query.list) body["list_id"] = query.list->text;
    if (!query.ids.empty()) body["ids"] = texts(query.ids);
    if (!query.contacts.empty()) body["contacts"] = query.contacts;
    if (query.after) body["starting_after"] = *query.after;
    return body;
}

/// An unknown or misspelt key is ignored by the API, which then answers the wrong leads with 200: only what was asked
/// for is data.
class PageCheck {
public:
    PageCheck(const LeadQuery& query, const Answer& answer) : query_{query}, answer_{answer} {
        for (const auto& id : query.ids) ids_.insert(id.text);
        for (const auto& email : query.contacts) contacts_.insert(lower_case(email));
    }

    void check(const LeadPage& page) const {
        for (const auto& lead : page.leads) check(lead);
        check_order(page);
    }

    /// What can be told by the ids.
    template <class Page>
    void check_order(const Page& page) const {
        std::string previous = query_.after.value_or("");
        std::set<std::string_view> seen;
        for (const auto& lead : page.leads) {
            const bool in_order = is_lookup() ? seen.insert(lead.id.text).second : lead.id.text > previous;
            if (!in_order) answer_.reject("out of order: " + lead.id.text + " after " + previous);
            previous = lead.id.text;
        }
        const auto& after = query_.after;
        if (page.next && after && (is_lookup() ? *page.next == *after : *page.next <= *after))
            answer_.reject("the cursor does not advance: " + *page.next + " after " + *after);
    }

private:
    /// Of chosen leads; they may come in any order.
    [[nodiscard]] bool is_lookup() const { return !ids_.empty() || !contacts_.empty(); }

    void check(const RemoteLead& lead) const {
        if (!ids_.empty() && !ids_.contains(lead.id.text)) answer_.reject("a lead not asked for: " + lead.id.text);
        check(lead, sync::Field::campaign, query_.campaign ? query_.campaign->text : "");
        check(lead, sync::Field::list_id, query_.list ? query_.list->text : "");
        if (!contacts_.empty() && !contacts_.contains(lower_case(lead.content[sync::Field::email].value_or(""))))
            answer_.reject("a lead with another email: " + lead.id.text);
    }
    void check(const RemoteLead& lead, sync::Field field, const std::string& asked) const {
        if (asked.empty() || lead.unreadable.test(sync::index(field))) return;
        if (lead.content[field] != asked)
            answer_.reject("a lead of another " + std::string{sync::spec(field).name} + ": " + lead.id.text);
    }

    const LeadQuery& query_;
    const Answer& answer_;
    std::set<std::string, std::less<>> ids_;
    std::set<std::string, std::less<>> contacts_;
};

LeadPage accepted_page(const LeadQuery& query, const Answer& answer) {
    auto page = answer.accepted(parse_lead_page);
    page.answered_at = answer.date();
    PageCheck{query, answer}.check(page);
    return page;
}

bool narrows(const LeadQuery& query) {
    return query.campaign || query.list || !query.ids.empty() || !query.contacts.empty();
}

struct Listed {
    std::vector<json> items;
    std::optional<std::string> next;
};

/// A page of any other listing.
Listed accepted_items(const Answer& answer) {
    return answer.accepted([](const std::string& body) {
        auto page = parse_json(body);
        auto items = items_of(page);
        return Listed{std::move(items.get_ref<json::array_t&>()), cursor_of(page)};
    });
}

BackgroundJob parse_job(const Answer& answer) {
    const auto body = accepted_object(answer);
    const auto id = text_at(body, "id");
    const auto status = text_at(body, "status");
    if (!id || !status) answer.reject("no background job");
    BackgroundJob job{{*id}, JobState::running, *status, std::nullopt};
    if (*status == "success") job.state = JobState::success;
    if (*status == "failed" || *status == "cancelled") job.state = JobState::failed;
    if (const auto data = body.find("data"); data != body.end() && data->is_object())
        job.moved_leads = number_at(*data, "moved_leads");
    return job;
}

AddedLeads parse_added(const std::vector<json>& leads, const Answer& answer) {
    const auto body = accepted_object(answer);
    AddedLeads added;
    added.duplicated = number_at(body, "duplicated_leads").value_or(0);
    added.duplicate_in_request = number_at(body, "duplicate_email_count").value_or(0);
    added.skipped = number_at(body, "skipped_count").value_or(0);
    added.invalid_email = number_at(body, "invalid_email_count").value_or(0);
    added.incomplete = number_at(body, "incomplete_count").value_or(0);
    added.in_blocklist = number_at(body, "in_blocklist").value_or(0);
    added.remaining_in_plan = number_at(body, "remaining_in_plan");
    const auto created = body.find("created_leads");
    if (created == body.end() || !created->is_array()) answer.reject("no `created_leads`");
    std::set<std::size_t> indexes;
    for (const auto& lead : *created) {
        const auto index = lead.is_object() ? number_at(lead, "index") : std::nullopt;
        const auto id = lead.is_object() ? text_at(lead, "id") : std::nullopt;
        const auto uuid = id ? sync::canonical(sync::Kind::uuid, *id) : std::nullopt;
        if (!index || !uuid) answer.reject("a created lead without an index or an id");
        const auto at = static_cast<std::size_t>(*index);
        if (*index < 0 || at >= leads.size() || !indexes.insert(at).second) answer.reject("a wrong index");
        const auto asked = text_at(leads[at], "email");
        const auto email = text_at(lead, "email");
        if (asked && email && lower_case(*asked) != lower_case(*email)) answer.reject("ids of other leads");
        added.created.push_back({at, {*uuid}});
    }
    return added;
}

template <class Id>
void set(json& body, const char* key, const std::optional<Id>& id) {
    if (id) body[key] = id->text;
}

}  // namespace

Client::Client(Transport& transport, std::string api_key, Gate gate)
    : transport_{transport},
      authorization_{"Bearer " + api_key},
      secret_{std::move(api_key)},
      gate_{std::move(gate)} {
    const auto fits_header = [](unsigned char c) { return c > 0x20 && c < 0x7F; };
    require(!secret_.empty() && std::ranges::all_of(secret_, fits_header),
            "an API key is not empty and holds neither blanks nor control characters");
}

awaitable<Answer> Client::send(Request request) {
    request.authorization = authorization_;
    std::string step{boost::beast::http::to_string(request.method)};
    step.append(" ").append(request.target.substr(0, request.target.find('?')));
    auto sent = request.body;
    try {
        Reply reply = co_await transport_.send(std::move(request), gate_);
        co_return Answer{std::move(step), secret_, std::move(sent), std::move(reply)};
    } catch (ApiError& error) {
        error.tell_exchange({step, kept_text(sent, secret_), {}});
        throw;
    }
}

awaitable<Answer> Client::get(std::string target) {
    Request request{verb::get, std::move(target), {}, {}};
    co_return co_await send(std::move(request));
}

awaitable<Answer> Client::post(std::string target, json body, std::vector<std::string> leads) {
    Request request{verb::post, std::move(target), compact(body), {}};
    request.leads = std::move(leads);
    co_return co_await send(std::move(request));
}

awaitable<Answer> Client::list(const LeadQuery& query) {
    require(query.ids.size() <= page_max && query.contacts.size() <= page_max, "at most 100 leads are looked up");
    Request request{verb::post, "/api/v2/leads/list", compact(to_json(query)), {}, true};
    co_return co_await send(std::move(request));
}

awaitable<LeadPage> Client::list_leads(LeadQuery query) {
    const Answer answer = co_await list(query);
    co_return accepted_page(query, answer);
}

awaitable<ScannedPage> Client::scan_leads(LeadQuery query) {
    auto received = co_await list(query);
    received.leave_room(room_behind);
    const auto answer = std::make_shared<const Answer>(std::move(received));
    auto scan = narrows(query) ? std::nullopt : answer->accepted(quick_scan);
    if (!scan) co_return ScannedPage{accepted_page(query, *answer)};
    ScannedPage page{std::move(scan->leads), std::move(scan->next),
                     [query, answer] { return accepted_page(query, *answer); }};
    page.answered_at = answer->date();
    PageCheck{query, *answer}.check_order(page);
    co_return page;
}

awaitable<std::optional<RemoteLead>> Client::get_lead(InstantlyId id) {
    const Answer answer = co_await get(lead_path(id));
    if (answer.not_found()) co_return std::nullopt;
    co_return accepted_lead(answer, id);
}

awaitable<std::optional<RemoteLead>> Client::update_lead(InstantlyId id, json fields) {
    require(fields.is_object() && !fields.empty(), "a PATCH needs at least one field");
    Request request{verb::patch, lead_path(id), compact(fields), {}};
    request.leads.push_back(id.text);
    const Answer answer = co_await send(std::move(request));
    if (answer.not_found()) co_return std::nullopt;
    co_return accepted_lead(answer, id);
}

awaitable<bool> Client::delete_lead(InstantlyId id) {
    Request request{verb::delete_, lead_path(id), {}, {}};
    request.leads.push_back(id.text);
    const Answer answer = co_await send(std::move(request));
    if (answer.not_found()) co_return false;
    answer.acknowledged();
    co_return true;
}

awaitable<void> Client::update_interest(InterestUpdate update) {
    require(update.campaign || update.list, "an interest status without a campaign or list reaches every such email");
    json body{{"lead_email", update.email}, {"interest_value", nullptr}};
    if (update.interest) body["interest_value"] = *update.interest;
    set(body, "campaign_id", update.campaign);
    set(body, "list_id", update.list);
    std::vector<std::string> leads(1, update.email);
    const Answer answer = co_await post("/api/v2/leads/update-interest-status", std::move(body), std::move(leads));
    answer.acknowledged();
}

awaitable<BackgroundJob> Client::move_leads(Move move) {
    require(!move.leads.empty(), "a move without ids moves everything in its source");
    require(move.from_campaign.has_value() != move.from_list.has_value(), "a move has one source");
    require(move.to_campaign.has_value() != move.to_list.has_value(), "a move has one target");
    auto leads = texts(move.leads);
    json body{{"ids", leads}, {"reset_interest_status", false}};
    set(body, "campaign", move.from_campaign);
    set(body, "list_id", move.from_list);
    set(body, "to_campaign_id", move.to_campaign);
    set(body, "to_list_id", move.to_list);
    const Answer answer = co_await post("/api/v2/leads/move", std::move(body), std::move(leads));
    co_return parse_job(answer);
}

awaitable<BackgroundJob> Client::get_job(sync::JobId id) {
    const Answer answer = co_await get("/api/v2/background-jobs/" + encoded(id.text) + "?data_fields=moved_leads");
    auto job = parse_job(answer);
    if (job.id != id) answer.reject("another job: " + job.id.text);
    co_return job;
}

awaitable<RemoteLead> Client::create_lead(json lead) {
    std::vector<std::string> leads(1, compact(lead));  // it has neither an id nor an email
    const Answer answer = co_await post("/api/v2/leads", std::move(lead), std::move(leads));
    co_return accepted_lead(answer);
}

awaitable<AddedLeads> Client::add_leads(std::optional<sync::CampaignId> campaign, std::optional<sync::ListId> list,
                                        std::vector<json> leads, Unless unless) {
    require(!leads.empty() && leads.size() <= add_max, "1 to 1,000 leads are added at a time");
    require(campaign.has_value() != list.has_value(), "leads are added to one campaign or one list");
    json body{{"leads", leads}};
    set(body, "campaign_id", campaign);
    set(body, "list_id", list);
    if (unless == Unless::in_workspace) body["skip_if_in_workspace"] = true;
    std::vector<std::string> emails;
    for (const auto& lead : leads)
        if (auto email = text_at(lead, "email")) emails.push_back(std::move(*email));
    const Answer answer = co_await post("/api/v2/leads/add", std::move(body), std::move(emails));
    co_return parse_added(leads, answer);
}

awaitable<RemoteLead> Client::merge_leads(InstantlyId source, InstantlyId destination) {
    json body{{"lead_id", source.text}, {"destination_lead_id", destination.text}};
    std::vector<std::string> leads(1, source.text);
    const Answer answer = co_await post("/api/v2/leads/merge", std::move(body), std::move(leads));
    co_return accepted_lead(answer, destination);
}

awaitable<void> Client::assign_leads(std::vector<InstantlyId> leads, std::string user_id) {
    require(!leads.empty(), "an assignment without ids assigns everything");
    auto ids = texts(leads);
    json body{{"ids", ids}, {"organization_user_ids", json::array({std::move(user_id)})}};
    const Answer answer = co_await post("/api/v2/leads/bulk-assign", std::move(body), std::move(ids));
    answer.acknowledged();
}

awaitable<RemoteLead> Client::move_to_subsequence(InstantlyId id, std::string subsequence_id) {
    json body{{"id", id.text}, {"subsequence_id", std::move(subsequence_id)}};
    std::vector<std::string> leads(1, id.text);
    const Answer answer = co_await post("/api/v2/leads/subsequence/move", std::move(body), std::move(leads));
    co_return accepted_lead(answer, id);
}

awaitable<RemoteLead> Client::remove_from_subsequence(InstantlyId id) {
    json body{{"id", id.text}};
    std::vector<std::string> leads(1, id.text);
    const Answer answer = co_await post("/api/v2/leads/subsequence/remove", std::move(body), std::move(leads));
    co_return accepted_lead(answer, id);
}

awaitable<std::vector<json>> Client::list_all(std::string path) {
    std::vector<json> all;
    std::set<std::string> ids;
    std::set<std::string> cursors;
    std::string target = path + "?limit=100";
    while (true) {
        const Answer answer = co_await get(target);
        auto [items, next] = accepted_items(answer);
        for (auto& item : items) {
            const auto id = item.is_object() ? text_at(item, "id") : std::nullopt;
            if (!id) answer.reject("an item without an id");
            if (ids.insert(*id).second) all.push_back(std::move(item));  // a cursor that is a time may repeat some
        }
        if (items.empty() || !next) co_return all;
        if (!cursors.insert(*next).second) answer.reject("the cursor does not advance: " + *next);
        target = path + "?limit=100&starting_after=" + encoded(*next);
    }
}

awaitable<std::vector<Campaign>> Client::list_campaigns() {
    auto items = co_await list_all("/api/v2/campaigns");
    std::vector<Campaign> campaigns;
    campaigns.reserve(items.size());
    for (auto& item : items)
        campaigns.push_back(
            {{*text_at(item, "id")}, text_at(item, "name").value_or(""), number_at(item, "status"), std::move(item)});
    co_return campaigns;
}

awaitable<std::vector<LeadList>> Client::list_lead_lists() {
    auto items = co_await list_all("/api/v2/lead-lists");
    std::vector<LeadList> lists;
    lists.reserve(items.size());
    for (auto& item : items)
        lists.push_back({{*text_at(item, "id")}, text_at(item, "name").value_or(""), std::move(item)});
    co_return lists;
}

awaitable<std::vector<LeadLabel>> Client::list_lead_labels() {
    auto items = co_await list_all("/api/v2/lead-labels");
    std::vector<LeadLabel> labels;
    labels.reserve(items.size());
    for (auto& item : items)
        labels.push_back({*text_at(item, "id"), text_at(item, "label").value_or(""),
                          number_at(item, "interest_status"), std::move(item)});
    co_return labels;
}

awaitable<Workspace> Client::current_workspace() {
    const Answer answer = co_await get("/api/v2/workspaces/current");
    const auto body = accepted_object(answer);
    const auto id = text_at(body, "id");
    if (!id) answer.reject("no workspace");
    co_return Workspace{*id, text_at(body, "name").value_or("")};
}

awaitable<std::optional<std::int64_t>> Client::lead_count() {
    const Answer answer = co_await get("/api/v2/workspace-billing/plan-details");
    if (answer.status() == 403 || answer.status() == 404) co_return std::nullopt;
    const auto body = accepted_object(answer);
    std::optional<std::int64_t> count;
    for (const char* plan : {"outreach", "bundle"}) {
        const auto told = json::json_pointer{std::string{"/subscriptions/"} + plan};
        if (!body.contains(told) || !body[told].is_object()) continue;
        count = std::max(count, number_at<std::int64_t>(body[told], "current_lead_count"));
    }
    co_return count;
}

}  // namespace leadsync::instantly
