#pragma once

#include <optional>

#include "tests/sandbox/api.hpp"
#include "tests/sandbox/world.hpp"

namespace leadsync::sandbox {

/// What was decided about a request when it arrived: whose it is, whether it may pass, and what will go wrong.
struct Admission {
    Workspace* workspace = nullptr;  ///< Null unless it carries a known key.
    RouteMatch match;
    std::optional<Fault> fault;
    std::optional<Refusal> refusal;
    bool cdn = false;  ///< Stopped by the CDN, which answers in text.
    int retry_after_s = -1;
    int delay_ms = 0;
};

/// How the reply goes out.
struct Delivery {
    enum class Ending { answer, cut, close, reset };
    Ending ending = Ending::answer;
    std::size_t bytes = 0;  ///< With `cut`: how much of the body arrives.
};

/// The checks that stand before every endpoint, in the order of the real API: CDN, key, rate, plan, route, scope.
class Gate {
public:
    explicit Gate(World& world) : world_{world} {}

    /// Decides, and counts the request in its workspace's windows.
    Admission admit(const Request& request, const Moment& now);

    /// Does what was asked, unless it was refused, fills the reply, and logs the request.
    Delivery answer(const Request& request, const Admission& admission, const Moment& now, Reply& reply);

private:
    void check(const Request& request, const Moment& now, Admission& admission);
    void act(const Request& request, const Admission& admission, const Moment& machine, Reply& reply);
    void log(const Request& request, const Admission& admission, const Moment& now, unsigned status);

    World& world_;
};

}  // namespace leadsync::sandbox
