#include "sync/circuit_breaker.hpp"

#include <algorithm>

namespace leadsync::sync {

using std::chrono::milliseconds;

CircuitBreaker::State CircuitBreaker::state(SteadyTime now) const {
    if (!open_until_) return State::closed;
    return now < *open_until_ ? State::open : State::half_open;
}

milliseconds CircuitBreaker::open_for(SteadyTime now) const {
    if (state(now) != State::open) return milliseconds{0};
    return std::chrono::ceil<milliseconds>(*open_until_ - now);
}

bool CircuitBreaker::failed(CallKind kind, std::size_t request, SteadyTime now, double jitter) {
    auto& in_a_row = failed_.at(static_cast<std::size_t>(kind));
    if (in_a_row.size() < failures_to_open) in_a_row.insert(request);
    switch (state(now)) {
        case State::open:
            return false;  // it had left before
        case State::half_open:
            probe_failed_ = true;
            return false;
        case State::closed:
            break;
    }
    return in_a_row.size() >= failures_to_open && open(kind, now, jitter);
}

bool CircuitBreaker::refused(CallKind kind, SteadyTime now, double jitter) {
    return state(now) != State::open && open(kind, now, jitter);
}

bool CircuitBreaker::succeeded(CallKind kind) {
    failed_.at(static_cast<std::size_t>(kind)).clear();
    if (!open_until_ || (opened_by_ == CallKind::write && kind == CallKind::read)) return false;
    open_until_.reset();
    for (auto& in_a_row : failed_) in_a_row.clear();
    times_ = 0;
    return true;
}

bool CircuitBreaker::probe_ended(SteadyTime now, double jitter) {
    return state(now) == State::half_open && probe_failed_ && open(opened_by_, now, jitter);
}

bool CircuitBreaker::open(CallKind kind, SteadyTime now, double jitter) {
    open_until_ = now + std::max(backoff_delay(wait_, ++times_, jitter), shortest_wait);
    opened_by_ = kind;
    probe_failed_ = false;
    return true;
}

}  // namespace leadsync::sync
