#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/transport.hpp"

namespace leadsync::daemon {

/// What a request was to be sent on is no longer known when its turn comes: nothing was sent.
class TurnCameLate {};

/// The same gate, that throws TurnCameLate when `in_time` says no behind it: whoever has waited long for a turn, as
/// while the server wants none, does not write on what was known before.
inline instantly::Gate only_while(std::function<bool()> in_time, instantly::Gate gate) {
    return [holds = std::move(in_time),
            turn_of = std::move(gate)]() -> boost::asio::awaitable<std::unique_ptr<instantly::Turn>> {
        auto turn = co_await turn_of();
        if (!holds()) throw TurnCameLate{};
        co_return turn;
    };
}

/// Turns that came late, in a row with none that did not: where the budget is so small that all of them do, a few in
/// a row are enough, and what is known is acted on though it is old.
class LateTurns {
public:
    [[nodiscard]] bool are_too_many() const { return in_a_row_ > most; }
    void count(bool any_came_late, bool any_came_in_time) {
        if (any_came_in_time)
            in_a_row_ = 0;
        else if (any_came_late)
            ++in_a_row_;
    }

private:
    static constexpr int most = 3;
    int in_a_row_ = 0;
};

}  // namespace leadsync::daemon
