#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

namespace leadsync::sync {

/// What a failed request says about the work behind it (DESIGN §6, Failures).
enum class FailureKind {
    transient,  ///< network, time-out, 408, 425, 429, 5xx, 409 lock: the same request may succeed later
    lead,       ///< 400, 404 and the like: this lead will not succeed until it is edited
    workspace,  ///< 401, 402, 403 for a missing scope or from the CDN: no request of this workspace will succeed
    refused,    ///< 403 again and again, while other writes of the workspace are accepted: see Refusals
    plan,       ///< 403 lead limit: creates cannot succeed, the rest can
    held_back,  ///< not sent: the circuit breaker is open
};

std::string_view name_of(FailureKind kind);

/// Whether it is by the lead, or by what is asked for it, as far as is known: other leads may succeed.
constexpr bool is_the_leads(FailureKind kind) { return kind == FailureKind::lead || kind == FailureKind::refused; }

/// What went over the line, for a person: without secrets, cut, well-formed UTF-8.
struct Exchange {
    std::string request;  ///< method and path; empty: there was none
    std::string sent;     ///< the request's body
    std::string answer;   ///< status and body; empty: none came
};

struct Failure {
    FailureKind kind = FailureKind::transient;
    std::string message;  ///< one line: the step, the id, the peer's own words; never a secret
    std::optional<std::chrono::milliseconds> retry_after;  ///< the server's own word
    bool rate_limited = false;                             ///< answered 429
    Exchange exchange{};
    int refusals = 0;  ///< of the kind `refused`: how often, by now
};

/// Judges an HTTP answer that is not 2xx. `body` is the answer's text.
/// Source: INSTANTLY.md, Transport, auth, errors: 403 means one of three, 409 is a lock held by a move.
FailureKind kind_of_status(int status, std::string_view body);

/// How long to wait between attempts: the ceiling doubles from `first` up to `max`.
struct Backoff {
    std::chrono::milliseconds first{500};
    std::chrono::milliseconds max{std::chrono::minutes{5}};
};

struct Retry {
    std::chrono::milliseconds after;
};
struct DeadLetter {
    std::string reason;
};
/// The lead is not at fault: no attempt is burnt.
struct GiveBack {};
/// The same, and no other create goes before there may be room.
struct HoldCreates {};
using Verdict = std::variant<Retry, DeadLetter, GiveBack, HoldCreates>;

/// A wait with full jitter: uniform in [0, min(max, first * 2^(attempt-1))). `attempt` counts from 1; `jitter` is
/// uniform in [0, 1), drawn by the caller, so that tests need neither clock nor dice.
std::chrono::milliseconds backoff_delay(const Backoff& backoff, int attempt, double jitter);

/// How long to wait before the next attempt: the backoff's delay, or what the server's own `Retry-After` asks for, if
/// that is longer. A rate limit is waited out for as long as it asks; any other answer, which may come from a proxy
/// and its maintenance page, is asked again after `backoff.max` at the latest.
std::chrono::milliseconds retry_delay(const Failure& failure, int attempt, double jitter, const Backoff& backoff);

/// So often a lead is refused on its own account before it is given up on: it takes the backoff about half a minute,
/// in which a firewall that only had a bad moment lets it through.
inline constexpr int refusals_max = 8;

/// What becomes of work whose attempt failed.
Verdict after_failure(const Failure& failure, int attempt, double jitter, const Backoff& backoff);

}  // namespace leadsync::sync
