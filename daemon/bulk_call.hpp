#pragma once

#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/late_turn.hpp"
#include "daemon/sending.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {

/// One call that sets the same of many leads. Refused as a lead's own fault it is made again with fewer of them, so
/// that only the lead at fault is given up on: one among 500 in twenty requests at the most. Whatever else ends it, a
/// turn that came late or a failure that passes, leaves those that it has not come to for the next look.
class BulkCall {
public:
    using Leads = std::vector<Sending*>;
    /// Makes the call for these leads. Throws ApiError, and TurnCameLate.
    using Make = std::function<asio::awaitable<void>(const Leads&)>;

    /// `values`: what the call sets of each lead.
    BulkCall(Sending::Values values, Make make) : values_{std::move(values)}, make_{std::move(make)} {}

    /// Leads that are refused by themselves before one has gone: then the refusal is for all, as where a campaign is
    /// gone.
    static constexpr std::ptrdiff_t refused_alone_max = 3;

    asio::awaitable<void> send(Leads leads) {
        auto outcome = co_await attempt(leads);
        if (outcome != Outcome::refused || leads.size() == 1) co_return;
        // Those are taken from all over: leads that came one after the other may have the same fault.
        std::ptrdiff_t refused = 0;
        while (outcome == Outcome::refused && refused < refused_alone_max && !leads.empty()) {
            const auto one = leads.begin() + refused * (std::ssize(leads) - 1) / (refused_alone_max - 1);
            const Leads alone(1, *one);
            leads.erase(one);
            outcome = co_await attempt(alone);
            if (outcome == Outcome::refused) ++refused;
        }
        if (leads.empty()) co_return;
        if (outcome == Outcome::refused)
            fail(leads);
        else
            co_await send_in_halves(std::move(leads), outcome == Outcome::went && refused == 0);
    }

private:
    enum class Outcome {
        went,
        refused,  ///< as a lead's own fault; one that was alone is told
        ended,    ///< otherwise: each lead is told, or put off
    };

    /// `are_refused`: it is known that they are, together. Whether all of them went.
    asio::awaitable<bool> send_in_halves(Leads leads, bool are_refused) {
        if (!are_refused || leads.size() == 1) {
            const auto outcome = co_await attempt(leads);
            if (outcome != Outcome::refused || leads.size() == 1) co_return outcome == Outcome::went;
        }
        const auto middle = leads.begin() + std::ssize(leads) / 2;
        Leads second(middle, leads.end());
        leads.erase(middle, leads.end());
        const bool first_went = co_await send_in_halves(std::move(leads), false);
        co_await send_in_halves(std::move(second), first_went);
        co_return false;
    }

    asio::awaitable<Outcome> attempt(const Leads& leads) {
        bool has_failed = false;
        try {
            if (!is_over_) co_await make_(leads);
        } catch (const TurnCameLate&) {
            is_over_ = true;
        } catch (const instantly::ApiError& error) {
            error_ = error;
            has_failed = true;
        }
        if (has_failed) {
            const bool is_at_fault = sync::is_the_leads(error_->failure().kind) && !error_->in_doubt();
            is_over_ = !is_at_fault;
            if (!is_at_fault || leads.size() == 1) fail(leads);
            co_return is_at_fault ? Outcome::refused : Outcome::ended;
        }
        for (auto* lead : leads)
            if (is_over_)
                lead->put_off_the_rest();
            else
                lead->accepted(values_);
        co_return is_over_ ? Outcome::ended : Outcome::went;
    }

    void fail(const Leads& leads) const {
        for (auto* lead : leads) lead->failed(values_, *error_);
    }

    Sending::Values values_;
    Make make_;
    std::optional<instantly::ApiError> error_;  ///< the last one
    bool is_over_ = false;                      ///< nothing more is sent
};

}  // namespace leadsync::daemon
