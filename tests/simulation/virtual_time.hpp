#pragma once

#include <functional>
#include <map>
#include <unordered_map>

#include "daemon/clock.hpp"

namespace leadsync::simulation {

/// Time that stands still while something can be done, and then jumps to the next event. Events of the world outlive
/// a crash of the engine; the engine's timers go with it.
class VirtualTime final : public daemon::Clock {
public:
    [[nodiscard]] sync::SteadyTime now() const override { return now_; }
    [[nodiscard]] sync::Instant wall() const override;
    void arm(boost::asio::steady_timer& timer, sync::SteadyTime at) override;
    void disarm(boost::asio::steady_timer& timer) override;

    /// Somebody sets the wall clock, forward or back.
    void set_wall(std::chrono::milliseconds by) { wall_set_by_ += by; }

    /// Something happens in the world at `at`.
    void at(sync::SteadyTime at, std::function<void()> event);

    /// Jumps to the next event or timer, in order of time and then of registration, and lets it happen. False: there
    /// is none up to `end`, which is the time then.
    bool advance(sync::SteadyTime end);

private:
    struct Due {
        boost::asio::steady_timer* timer = nullptr;
        std::function<void()> event;
    };
    using Agenda = std::multimap<sync::SteadyTime, Due>;

    sync::SteadyTime now_{std::chrono::hours{1}};
    std::chrono::milliseconds wall_set_by_{0};
    Agenda agenda_;
    std::unordered_map<boost::asio::steady_timer*, Agenda::iterator> timers_;
};

}  // namespace leadsync::simulation
