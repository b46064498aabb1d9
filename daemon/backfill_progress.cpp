#include "daemon/backfill_progress.hpp"

#include <cmath>
#include <unistd.h>

#include <fmt/format.h>

namespace leadsync::daemon {
namespace {

using SteadyClock = std::chrono::steady_clock;
using namespace std::chrono_literals;

double seconds_since(SteadyClock::time_point then) {
    return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

}  // namespace

std::string grouped(std::int64_t number) {
    auto digits = std::to_string(std::abs(number));
    for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
        digits.insert(static_cast<std::size_t>(at), ",");
    return (number < 0 ? "-" : "") + digits;
}

std::string spoken(double seconds) {
    if (seconds < 10) return fmt::format("{:.1f} s", seconds);
    const auto whole = std::llround(seconds);
    if (whole < 60) return fmt::format("{} s", whole);
    const auto two = [](long long first, const char* unit, long long second, const char* smaller) {
        return second == 0 ? fmt::format("{} {}", first, unit)
                           : fmt::format("{} {} {} {}", first, unit, second, smaller);
    };
    if (whole < 3600) return two(whole / 60, "min", whole % 60, "s");
    if (whole < 172800) return two(whole / 3600, "h", whole % 3600 / 60, "min");
    return fmt::format("{} days", whole / 86400);
}

BackfillProgress::BackfillProgress() : terminal_{::isatty(STDOUT_FILENO) == 1} {}

void BackfillProgress::update(const std::string& workspace, const SweepProgress& at,
                              std::optional<std::int64_t> expected) {
    auto [found, first] = sweeps_.try_emplace(workspace);
    auto& sweep = found->second;
    if (first || sweep.is_by_place != at.is_by_place) {
        // The first page of this run is taken for the start: what an earlier run read says nothing of today's rate.
        sweep.is_by_place = at.is_by_place;
        sweep.since = SteadyClock::now();
        sweep.leads_before = at.leads;
    }
    const auto now = SteadyClock::now();
    if (!at.complete && now - sweep.told < (terminal_ ? 200ms : 2000ms)) return;
    sweep.told = now;

    const auto elapsed = seconds_since(sweep.since);
    const auto rate = elapsed > 0 ? static_cast<double>(at.leads - sweep.leads_before) / elapsed : 0;
    auto line = fmt::format("{}: {}", workspace, grouped(at.leads));
    if (expected) line += fmt::format(" of {}", grouped(*expected));
    line += fmt::format(" leads{}, {} pages", at.is_by_place ? " by campaign and list" : "", grouped(at.pages));
    if (rate >= 1) line += fmt::format(", {} leads/s", grouped(std::llround(rate)));
    if (at.complete)
        line += ", complete";
    else if (at.is_by_place)
        line += ", a sweep of the workspace follows";
    else if (expected && rate >= 1 && *expected > at.leads)
        line += ", " + spoken(static_cast<double>(*expected - at.leads) / rate) + " left";
    else
        line += ", time left unknown";

    if (terminal_ && sweeps_.size() == 1) {
        fmt::print("\r\033[K{}", line);
        open_line_ = true;
    } else {
        fmt::print("{}\n", line);
    }
    std::fflush(stdout);
}

void BackfillProgress::finish() {
    if (open_line_) fmt::print("\n");
    open_line_ = false;
}

}  // namespace leadsync::daemon
