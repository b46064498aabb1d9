#include "tests/sandbox/gate.hpp"

#include <algorithm>
#include <array>

#include "tests/sandbox/body.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::string_view cdn_text = "error code: 1010";
constexpr std::string_view bearer = "Bearer ";

bool is_default_library_agent(std::string_view agent) {
    constexpr std::array<std::string_view, 10> defaults{
        "Python-urllib", "python-requests", "Go-http-client", "Java/",   "libwww-perl",
        "Boost.Beast",   "aiohttp/",        "python-httpx",   "okhttp/", "Apache-HttpClient"};
    return agent.empty()
           || std::ranges::any_of(defaults, [&](std::string_view name) { return agent.starts_with(name); });
}

bool allows(const std::vector<std::string>& scopes, std::string_view wanted) {
    const auto colon = wanted.find(':');
    const std::string resource{wanted.substr(0, colon)};
    const std::string action{wanted.substr(colon + 1)};
    return std::ranges::any_of(scopes, [&](const std::string& scope) {
        return scope == wanted || scope == resource + ":all" || scope == "all:" + action || scope == "all:all";
    });
}

void refuse(Reply& reply, const Refusal& refusal) {
    reply.status = refusal.status;
    reply.body = dump(refusal.body);
}

void answer_as_cdn(Reply& reply) {
    reply.status = 403;
    reply.content_type = "text/plain; charset=UTF-8";
    reply.body = cdn_text;
}

}  // namespace

Admission Gate::admit(const Request& request, const Moment& now) {
    Admission admission;
    admission.match = match_route(request.method, request.path);
    if (request.authorization.starts_with(bearer)) {
        admission.workspace = world_.with_key(request.authorization.substr(bearer.size()));
    }
    try {
        check(request, now, admission);
    } catch (const Refusal& refusal) {
        admission.refusal = refusal;
    }
    return admission;
}

void Gate::check(const Request& request, const Moment& now, Admission& admission) {
    auto* workspace = admission.workspace;
    const bool wants_agent = !workspace || workspace->switches.require_user_agent;
    if (wants_agent && is_default_library_agent(request.user_agent)) {
        admission.cdn = true;
        return;
    }
    if (request.authorization.empty()) throw refusal(401, "Missing Authorization header");
    if (!workspace || workspace->switches.revoked) throw refusal(401, "Invalid API key");
    auto& switches = workspace->switches;
    admission.delay_ms = switches.latency_ms;
    if (switches.latency_spread_ms > 0) {
        const auto spread = static_cast<std::uint64_t>(switches.latency_spread_ms);
        admission.delay_ms += static_cast<int>(workspace->random_bits() % spread);
    }
    const RateWindows::Limits limits{switches.per_second, switches.per_minute};
    if (!workspace->windows.count(now.tick, limits) && switches.rate_limit) {
        if (switches.retry_after) {
            const auto wait =
                std::chrono::ceil<std::chrono::seconds>(workspace->windows.until_free(now.tick, limits));
            admission.retry_after_s = std::max(1, static_cast<int>(wait.count()));
        }
        throw refusal(429, "Rate limit exceeded");
    }
    if (switches.unpaid) throw refusal(402, "Workspace does not have an active paid plan");
    const auto* route = admission.match.route;
    if (!route) {
        throw refusal(404, "Route " + std::string{request.method} + ":" + std::string{request.target} + " not found");
    }
    if (!allows(switches.scopes, route->scope)) {
        throw refusal(403, "The API key lacks the scope " + std::string{route->scope});
    }
    admission.fault = workspace->faults.draw(request.method, request.path);
    if (admission.fault && admission.fault->kind == FaultKind::hang) admission.delay_ms += admission.fault->ms;
}

void Gate::act(const Request& request, const Admission& admission, const Moment& machine, Reply& reply) {
    auto& workspace = *admission.workspace;
    const auto now = machine.ahead(workspace.switches.clock_ahead_ms);
    workspace.settle(now);
    const bool empty_json =
        request.method == "DELETE" && request.body.empty() && request.content_type.starts_with("application/json");
    Call call{workspace, request, admission.match.id, now, std::nullopt, reply};
    if (admission.fault) call.fault = admission.fault->kind;
    try {
        if (empty_json) Body{request};
        admission.match.route->handler(call);
    } catch (const Refusal& refusal) {
        reply.body.clear();
        refuse(reply, refusal);
    }
}

Delivery Gate::answer(const Request& request, const Admission& admission, const Moment& now, Reply& reply) {
    using Ending = Delivery::Ending;
    Delivery delivery;
    const auto& fault = admission.fault;
    const auto is = [&](FaultKind kind) { return fault && fault->kind == kind; };
    if (admission.cdn || is(FaultKind::cdn)) {
        answer_as_cdn(reply);
    } else if (admission.refusal) {
        refuse(reply, *admission.refusal);
        reply.retry_after_s = admission.retry_after_s;
    } else if (!is(FaultKind::reset)) {
        if (!is(FaultKind::status) || fault->acted) act(request, admission, now, reply);
        if (is(FaultKind::status)) {
            refuse(reply, refusal(fault->status, reason(fault->status)));
            reply.retry_after_s = fault->retry_after_s;
        }
        if (is(FaultKind::garbage)) reply = {200, reply.content_type, -1, fault->body};
        if (is(FaultKind::cut)) delivery = {Ending::cut, std::min(fault->bytes, reply.body.size())};
    }
    if (is(FaultKind::lost)) delivery.ending = Ending::close;
    if (is(FaultKind::reset)) delivery.ending = Ending::reset;
    reply.unix_ms = now.unix_ms + (admission.workspace ? admission.workspace->switches.clock_ahead_ms : 0);
    const bool answered = delivery.ending == Ending::answer || delivery.ending == Ending::cut;
    log(request, admission, now, answered ? reply.status : 0);
    return delivery;
}

void Gate::log(const Request& request, const Admission& admission, const Moment& now, unsigned status) {
    LoggedRequest entry;
    entry.unix_ms = now.unix_ms;
    entry.tick = now.tick;
    if (admission.workspace) entry.workspace = admission.workspace->settings.name;
    entry.method = request.method;
    entry.path = request.target;
    entry.body = request.body.substr(0, RequestLog::kept_body);
    entry.status = status;
    if (admission.fault) entry.fault = name_of(admission.fault->kind);
    const auto* route = admission.match.route;
    world_.log.add(std::move(entry), route ? std::string{route->method} + ' ' + std::string{route->path} : "other");
}

}  // namespace leadsync::sandbox
