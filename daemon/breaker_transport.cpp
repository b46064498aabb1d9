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

}  // namespace

/// A request as the breaker sees it, and as a person is told of it.
struct BreakerTransport::Call {
    sync::CallKind kind;
    std::size_t request;  ///< tells it apart
    std::string step;
    std::string secret;
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

awaitable<Reply> BreakerTransport::send(Request request, instantly::Gate gate) {
    expect_way_is_open(request);
    const bool reads = request.reads_only || request.method == boost::beast::http::verb::get;
    Call call{reads ? sync::CallKind::read : sync::CallKind::write,
              std::hash<std::string>{}(request.target + '\n' + request.body), step_of(request),
              std::string{secret_of(request)}};
    bool left = false;
    instantly::Gate watched = [&, this]() -> awaitable<std::unique_ptr<instantly::Turn>> {
        std::unique_ptr<instantly::Turn> turn;
        if (gate) turn = co_await gate();
        expect_way_is_open(request);  // it may have waited long
        left = true;
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
    co_await note_answer(std::move(call), *reply);
    co_return std::move(*reply);
}

void BreakerTransport::expect_way_is_open(const Request& request) const {
    if (breaker_.state(clock_.now()) != State::open) return;
    throw instantly::ApiError{sync::Failure{.kind = sync::FailureKind::held_back,
                                            .message = step_of(request) + ": not sent, because " + reason_}};
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
    if (reply.status >= 400 && sync::kind_of_status(reply.status, reply.body) == sync::FailureKind::workspace) {
        if (!breaker_.refused(call.kind, clock_.now(), dice_())) co_return;
        reason_ = told();
        co_return co_await show_open();
    }
    if (reply.status == 429 || !breaker_.succeeded(call.kind)) co_return;
    spdlog::info("workspace {}: pushing goes on", workspace_);
    co_await state_.solved(WorkspaceState::Side::writing);
}

awaitable<void> BreakerTransport::show_open() {
    spdlog::warn("workspace {}: {}; nothing is pushed for {} ms", workspace_, reason_,
                 breaker_.open_for(clock_.now()).count());
    co_await state_.problem(WorkspaceState::Side::writing, reason_);
}

}  // namespace leadsync::daemon
