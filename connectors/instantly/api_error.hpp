#pragma once

#include <stdexcept>
#include <utility>

#include "sync/failure.hpp"

namespace leadsync::instantly {

/// A request that got no usable answer. what() is one line: method, path, status, the peer's own words; never the
/// key.
class ApiError : public std::runtime_error {
public:
    explicit ApiError(sync::Failure failure, int status = 0, bool in_doubt = false)
        : std::runtime_error{failure.message}, failure_{std::move(failure)}, status_{status}, in_doubt_{in_doubt} {}

    [[nodiscard]] const sync::Failure& failure() const { return failure_; }
    /// The HTTP status; 0 when no answer came.
    [[nodiscard]] int status() const { return status_; }
    /// Whether the request may have been carried out although no usable answer came (none, a cut one, a gateway's
    /// 5xx): look before sending again.
    [[nodiscard]] bool in_doubt() const { return in_doubt_; }
    void mark_in_doubt() { in_doubt_ = true; }
    void tell_exchange(sync::Exchange exchange) { failure_.exchange = std::move(exchange); }

private:
    sync::Failure failure_;
    int status_;
    bool in_doubt_;
};

/// An answer larger than the limit. A listing may be asked for again with fewer leads.
class AnswerTooLarge : public ApiError {
public:
    using ApiError::ApiError;
};

}  // namespace leadsync::instantly
