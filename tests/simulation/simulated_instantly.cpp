#include "tests/simulation/simulated_instantly.hpp"

#include "connectors/instantly/api_error.hpp"
#include "tests/sandbox/lead_edit.hpp"

namespace leadsync::simulation {

using sandbox::Json;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

/// A request and its answer, shared by the sender and the world: the world acts on it although the sender is gone.
struct SimulatedInstantly::Exchange {
    instantly::Request request;
    std::string method;
    sandbox::Admission admission;
    sandbox::Reply reply;
    sandbox::Delivery delivery;
};

namespace {

sandbox::Switches no_switches() {
    sandbox::Switches switches;
    switches.interest_delay_ms = 400;
    switches.assign_delay_ms = 400;
    switches.job_delay_ms = 1500;
    return switches;
}

std::optional<sandbox::Uuid> uuid_or_nothing(const std::string& text) { return sandbox::parse_uuid(text); }

}  // namespace

SimulatedInstantly::SimulatedInstantly(VirtualTime& time, const sandbox::WorkspaceSettings& settings,
                                       std::function<std::uint64_t(std::uint64_t)> random)
    : time_{time}, random_{std::move(random)}, world_{{settings}, no_switches()} {}

sandbox::Moment SimulatedInstantly::moment() const {
    return {time_.now(), std::chrono::floor<milliseconds>(time_.wall()).time_since_epoch().count()};
}

boost::asio::awaitable<instantly::Reply> SimulatedInstantly::send(instantly::Request request, instantly::Gate gate) {
    auto exchange = std::make_shared<Exchange>();
    exchange->method = boost::beast::http::to_string(request.method);
    exchange->request = std::move(request);
    std::unique_ptr<instantly::Turn> turn;
    if (gate) turn = co_await gate();
    co_await step();
    while (turn && !turn->departs()) turn = co_await gate();
    const auto arrives = time_.now() + milliseconds{1 + random_(120)};
    time_.at(arrives, [this, exchange] { serve(*exchange); });
    co_await time_.sleep_until(arrives);
    // Now and then an answer is under way for long, and is overtaken by what is asked and done meanwhile.
    const auto way_back = random_(30) == 0 ? random_(20'000) : random_(120);
    co_await time_.sleep_for(milliseconds{1 + way_back + static_cast<std::uint64_t>(exchange->admission.delay_ms)});
    co_await step();

    using Ending = sandbox::Delivery::Ending;
    auto& reply = exchange->reply;
    if (exchange->delivery.ending == Ending::cut || exchange->delivery.ending == Ending::close
        || exchange->delivery.ending == Ending::reset) {
        const sync::Failure failure{.kind = sync::FailureKind::transient,
                                    .message = exchange->method + " " + exchange->request.target + ": no answer"};
        throw instantly::ApiError{failure, 0, true};
    }
    instantly::Reply answer;
    answer.status = static_cast<int>(reply.status);
    answer.body = std::move(reply.body);
    answer.date = sandbox::to_http_date(reply.unix_ms);
    if (reply.retry_after_s >= 0) answer.retry_after = std::chrono::seconds{reply.retry_after_s};
    co_return answer;
}

void SimulatedInstantly::serve(Exchange& exchange) {
    const auto now = moment();
    sandbox::Request request;
    request.method = exchange.method;
    request.target = exchange.request.target;
    request.path = request.target.substr(0, request.target.find('?'));
    request.authorization = exchange.request.authorization;
    request.user_agent = "leadsync/simulated";
    request.content_type = exchange.request.body.empty() ? "" : "application/json";
    request.body = exchange.request.body;
    exchange.admission = gate_.admit(request, now);
    exchange.delivery = gate_.answer(request, exchange.admission, now, exchange.reply);
    ++requests_;
    const bool reads = exchange.request.reads_only || exchange.method == "GET";
    if (!reads) {
        ++writes_;
        report_write(exchange);
    }
    if (tell)
        tell(exchange.method + " " + exchange.request.target + " " + exchange.request.body.substr(0, 400) + " -> "
             + std::to_string(exchange.reply.status)
             + (exchange.admission.fault ? " fault " + std::string{sandbox::name_of(exchange.admission.fault->kind)}
                                         : ""));
}

void SimulatedInstantly::report_write(const Exchange& exchange) {
    const auto body = Json::parse(exchange.request.body, nullptr, false);
    const auto& target = exchange.request.target;
    if (!wrote || !body.is_object()) return;
    const auto& switches = workspace().switches;
    const auto of_all = [&](const char* key, int after) {
        const auto ids = body.value("ids", Json::array());
        for (const auto& id : ids) wrote(id.get<std::string>(), key, milliseconds{after});
    };
    if (exchange.method == "PATCH") {
        const auto id = target.substr(target.rfind('/') + 1);
        for (const auto& [key, value] : body.items()) wrote(id, key, 0ms);
        const auto variables = body.value("custom_variables", Json::object());
        for (const auto& [name, variable] : variables.items()) wrote(id, "custom_variables." + name, 0ms);
    } else if (target.ends_with("/move")) {
        of_all("place", switches.job_delay_ms);
    } else if (target.ends_with("/bulk-assign")) {
        of_all("assigned_to", switches.assign_delay_ms);
    } else if (target.ends_with("/update-interest-status")) {
        const auto leads = workspace().leads.with_email(body.value("lead_email", ""), sandbox::truth);
        for (const auto& ref : leads) {
            wrote(sandbox::to_text(ref.id), "lt_interest_status", milliseconds{switches.interest_delay_ms});
            if (leads.size() > 1) set_together.insert(sandbox::to_text(ref.id));
        }
    }
}

sandbox::Workspace& SimulatedInstantly::settled() {
    workspace().settle(moment());
    return workspace();
}

std::vector<std::string> SimulatedInstantly::lead_ids() {
    std::vector<std::string> ids;
    settled().leads.walk(std::nullopt, false, sandbox::truth, [&](const sandbox::LeadRef& ref) {
        ids.push_back(sandbox::to_text(ref.id));
        return true;
    });
    return ids;
}

void SimulatedInstantly::edit(const std::string& id, const Json& fields) {
    const auto uuid = *uuid_or_nothing(id);
    auto lead = settled().lead(uuid);
    if (!lead) return;
    sandbox::edit_lead(*lead, fields, moment().unix_ms);
    workspace().put(uuid, *lead, moment());
}

std::string SimulatedInstantly::add(const Json& fields) {
    auto& at = settled();
    const auto id = at.next_lead_id(moment());
    const sandbox::NewLead origin{id, at.catalog.organization, at.catalog.users[0], {}, {}};
    auto lead = sandbox::new_lead(origin, {{"email", fields.value("email", Json())}}, at.switches, moment().unix_ms);
    sandbox::edit_lead(lead, fields, moment().unix_ms);
    at.put(id, lead, moment());
    return sandbox::to_text(id);
}

void SimulatedInstantly::move(const std::string& id, const std::string& campaign, const std::string& list) {
    const auto uuid = *uuid_or_nothing(id);
    auto lead = settled().lead(uuid);
    if (!lead) return;
    sandbox::move_lead(*lead, uuid_or_nothing(campaign), uuid_or_nothing(list), false, moment().unix_ms);
    workspace().put(uuid, *lead, moment());
}

void SimulatedInstantly::remove(const std::string& id) { settled().erase(*uuid_or_nothing(id), moment()); }

}  // namespace leadsync::simulation
