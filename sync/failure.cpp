#include "sync/failure.hpp"

#include <algorithm>
#include <cstdint>

namespace leadsync::sync {

using std::chrono::milliseconds;

std::string_view name_of(FailureKind kind) {
    switch (kind) {
        case FailureKind::transient:
            return "transient";
        case FailureKind::lead:
            return "lead";
        case FailureKind::workspace:
            return "workspace";
        case FailureKind::refused:
            return "refused";
        case FailureKind::plan:
            return "plan";
        case FailureKind::held_back:
            return "held back";
    }
    return "transient";
}

FailureKind kind_of_status(int status, std::string_view body) {
    switch (status) {
        case 401:
        case 402:
            return FailureKind::workspace;
        case 403:
            return body.find("Lead limit reached") != std::string_view::npos ? FailureKind::plan
                                                                             : FailureKind::workspace;
        case 408:
        case 409:
        case 425:
        case 429:
            return FailureKind::transient;
        default:
            return status >= 500 || status < 400 ? FailureKind::transient : FailureKind::lead;
    }
}

milliseconds backoff_delay(const Backoff& backoff, int attempt, double jitter) {
    const auto doublings = std::clamp(attempt - 1, 0, 20);  // keeps the shift in range
    const milliseconds ceiling = std::min<milliseconds>(backoff.first * (std::int64_t{1} << doublings), backoff.max);
    return std::chrono::duration_cast<milliseconds>(ceiling * jitter);
}

milliseconds retry_delay(const Failure& failure, int attempt, double jitter, const Backoff& backoff) {
    const auto asked = failure.retry_after.value_or(milliseconds{0});
    return std::max(backoff_delay(backoff, attempt, jitter),
                    failure.rate_limited ? asked : std::min(asked, backoff.max));
}

Verdict after_failure(const Failure& failure, int attempt, double jitter, const Backoff& backoff) {
    switch (failure.kind) {
        case FailureKind::lead:
            return DeadLetter{failure.message};
        case FailureKind::workspace:
        case FailureKind::held_back:
            return GiveBack{};
        case FailureKind::plan:
            return HoldCreates{};
        case FailureKind::refused:
            // Attempts that failed otherwise, in an outage before, do not count; nor do refusals of an earlier edit.
            if (std::min(attempt, failure.refusals) >= refusals_max) return DeadLetter{failure.message};
            break;
        case FailureKind::transient:
            break;
    }
    return Retry{retry_delay(failure, attempt, jitter, backoff)};
}

}  // namespace leadsync::sync
