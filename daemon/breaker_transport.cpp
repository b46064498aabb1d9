#include "daemon/breaker_transport.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/answer.hpp"
#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {

using namespace std::chrono_literals;
using boost::asio::awaitable;
using instantly::Reply;
using instantly::Request;
using State = sync::CircuitBreaker::State;

namespace {

std::string step_of(const Request& request) {
    const auto verb = boost::beast::http::to_string(request.method);
    return fmt::format("{} {}", std::string_view{verb.data(), verb.size()},
                       request.target.substr(0, request.target.find('?')));
}

std::string_view secret_of(const Request& request) {
    constexpr std::string_view scheme{"Bearer "};
    std::string_view secret{request.authorization};
    if (secret.starts_with(scheme)) secret.remove_prefix(scheme.size());
    return secret;
}

bool is_servers_failure(int status) { return status >= 500 || status == 408; }

bool may_be_the_workspaces(const Reply& reply) {
    return reply.status >= 400 && sync::kind_of_status(reply.status, reply.body) == sync::FailureKind::workspace;
}

/// The step without its leads.
std::string endpoint_of(const Request& request) {
    auto endpoint = step_of(request);
    for (const auto& lead : request.leads)
        if (const auto at = endpoint.find(lead); at != std::string::npos) endpoint.erase(at, lead.size());
    return endpoint;
}

}  // namespace

/// A request as the breaker sees it, and as a person is told of it.
struct BreakerTransport::Call {
    sync::CallKind kind;
    std::size_t request;  ///< tells it apart
    std::string step;
    std::string secret;
    std::size_t endpoint;            ///< tells the kind of call apart
    std::vector<std::size_t> leads;  ///< tell the leads apart, in this kind of call
    sync::SteadyTime left_at;
};

BreakerTransport::BreakerTransport(instantly::Transport& way, sync::Backoff wait, Clock& clock, Dice dice,
                                   WorkspaceState& state, std::string workspace)
    : way_{way},
      breaker_{wait},
      clock_{clock},
      dice_{std::move(dice)},
      state_{state},
      workspace_{std::move(workspace)} {}

int BreakerTransport::admits(int wanted) const {
    switch (breaker_.state(clock_.now())) {
        case State::closed:
            return wanted;
        case State::half_open:
            return probing_ ? 0 : std::min(wanted, sync::CircuitBreaker::leads_in_probe);
        case State::open:
            break;
    }
    return 0;
}

std::chrono::milliseconds BreakerTransport::closed_for() const {
    constexpr auto until_a_probe_may_have_ended = 250ms;
    return std::max<std::chrono::milliseconds>(breaker_.open_for(clock_.now()), until_a_probe_may_have_ended);
}

bool BreakerTransport::begin_probe() {
    if (breaker_.state(clock_.now()) != State::half_open) return false;
    return probing_ = true;
}

awaitable<void> BreakerTransport::end_probe() {
    probing_ = false;
    if (breaker_.probe_ended(clock_.now(), dice_())) co_await show_open();
}

bool BreakerTransport::waits_for_probe() const {
    return is_told_ && breaker_.state(clock_.now()) == State::half_open;
}

awaitable<void> BreakerTransport::nothing_is_left() {
    if (!waits_for_probe()) co_return;
    is_told_ = false;
    spdlog::info("workspace {}: nothing is left to push", workspace_);
    co_await state_.solved(WorkspaceState::Side::writing);
}

BreakerTransport::Call BreakerTransport::call_of(const Request& request) {
    const bool reads = request.reads_only || request.method == boost::beast::http::verb::get;
    const std::hash<std::string> number_of{};
    const auto endpoint = endpoint_of(request);
    Call call{reads ? sync::CallKind::read : sync::CallKind::write, number_of(request.target + '\n' + request.body),
              step_of(request), std::string{secret_of(request)}, number_of(endpoint)};
    call.leads.reserve(request.leads.size());
    for (const auto& lead : request.leads) call.leads.push_back(number_of(fmt::format("{}\n{}", endpoint, lead)));
    return call;
}

awaitable<Reply> BreakerTransport::send(Request request, instantly::Gate gate) {
    expect_way_is_open(request);
    auto call = call_of(request);
    bool left = false;
    instantly::Gate watched = [&, this]() -> awaitable<std::unique_ptr<instantly::Turn>> {
        std::unique_ptr<instantly::Turn> turn;
        if (gate) turn = co_await gate();
        expect_way_is_open(request);  // it may have waited long
        left = true;
        call.left_at = clock_.now();
        co_return turn;
    };
    std::optional<Reply> reply;
    std::optional<instantly::ApiError> lost;
    try {
        reply = co_await way_.send(request, watched);
    } catch (const instantly::AnswerTooLarge&) {
        throw;  // the server is there
    } catch (const instantly::ApiError& error) {
        if (!left) throw;
        lost = error;
    }
    if (lost) {
        co_await note_failure(std::move(call), lost->what());
        throw instantly::ApiError{*lost};
    }
    reply->refusals = refusals_of(call, *reply);
    co_await note_answer(std::move(call), *reply);
    co_return std::move(*reply);
}

void BreakerTransport::expect_way_is_open(const Request& request) const {
    if (breaker_.state(clock_.now()) != State::open) return;
    throw instantly::ApiError{sync::Failure{.kind = sync::FailureKind::held_back,
                                            .message = step_of(request) + ": not sent, because " + reason_}};
}

/// See Refusals. A bad key and a workspace without a plan (401, 402) are never about one lead; nor is a read.
int BreakerTransport::refusals_of(const Call& call, const Reply& reply) {
    if (call.kind == sync::CallKind::read || call.leads.empty()) return 0;
    const bool is_accepted = reply.status >= 200 && reply.status <= 299;
    if (is_accepted) refusals_.accepted(call.endpoint, call.leads, call.left_at);
    if (reply.status != 403 || !may_be_the_workspaces(reply)) return 0;
    return refusals_.refused(call.endpoint, call.leads, clock_.now());
}

awaitable<void> BreakerTransport::note_failure(Call call, std::string message) {
    if (!breaker_.failed(call.kind, call.request, clock_.now(), dice_())) co_return;
    reason_ =
        fmt::format("{} requests in a row failed, the last: {}", sync::CircuitBreaker::failures_to_open, message);
    co_await show_open();
}

awaitable<void> BreakerTransport::note_answer(Call call, const Reply& reply) {
    const auto told = [&] {
        const auto words = instantly::words_of(reply.body, call.secret);
        return fmt::format("{}: {}{}", call.step, reply.status, words.empty() ? "" : " \"" + words + "\"");
    };
    if (is_servers_failure(reply.status)) co_return co_await note_failure(call, told());
    if (reply.refusals > 0) co_return;
    if (may_be_the_workspaces(reply)) {
        if (!breaker_.refused(call.kind, clock_.now(), dice_())) co_return;
        reason_ = told();
        co_return co_await show_open();
    }
    if (reply.status == 429 || !breaker_.succeeded(call.kind)) co_return;
    is_told_ = false;
    spdlog::info("workspace {}: pushing goes on", workspace_);
    co_await state_.solved(WorkspaceState::Side::writing);
}

awaitable<void> BreakerTransport::show_open() {
    spdlog::warn("workspace {}: {}; nothing is pushed for {} ms", workspace_, reason_,
                 breaker_.open_for(clock_.now()).count());
    is_told_ = true;
    co_await state_.problem(WorkspaceState::Side::writing, reason_);
}

}  // namespace leadsync::daemon
