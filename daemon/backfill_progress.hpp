#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "daemon/observer.hpp"

namespace leadsync::daemon {

/// Tells how far a backfill is: one line that renews itself on a terminal, plain lines every few seconds elsewhere.
class BackfillProgress {
public:
    BackfillProgress();

    /// `expected`: how many leads the workspace holds, where Instantly tells.
    void update(const std::string& workspace, const SweepProgress& at, std::optional<std::int64_t> expected);

    /// Leaves the last line standing.
    void finish();

private:
    struct Sweep {
        bool is_by_place = false;
        std::chrono::steady_clock::time_point since;
        std::int64_t leads_before = 0;
        std::chrono::steady_clock::time_point told{};
    };

    std::map<std::string, Sweep> sweeps_;
    bool terminal_;
    bool open_line_ = false;
};

/// `12,345`
std::string grouped(std::int64_t number);

/// `2 h 5 min`, `3 min 12 s`, `8 s`, `0.4 s`
std::string spoken(double seconds);

}  // namespace leadsync::daemon
