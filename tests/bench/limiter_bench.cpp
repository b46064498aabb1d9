#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "connectors/instantly/transport.hpp"
#include "daemon/clock.hpp"
#include "daemon/pace.hpp"
#include "daemon/tasks.hpp"
#include "daemon/version.hpp"
#include "sync/rate_windows.hpp"

namespace {

using namespace std::chrono_literals;
using boost::asio::awaitable;
using leadsync::daemon::Pace;
using leadsync::instantly::HttpTransport;
using leadsync::instantly::Turn;
using leadsync::sync::Lane;
using leadsync::sync::SteadyTime;
using nlohmann::json;

/// So many ask at once: more than may leave in a window without any answer, at 200 ms an answer.
constexpr std::size_t always_waiting = 64;
/// So many of an urgent lane may wait at once: at one each 50 to 200 ms more than become due in a second.
constexpr std::size_t urgent_at_once = 16;
/// What the daemon waits after a 429 that names no time.
constexpr auto after_refusal = 1s;

struct Options {
    std::string url;  ///< empty: the limiter alone, whose requests leave into nothing
    std::vector<std::string> keys{"alone"};
    std::size_t requests = 0;  ///< 0: until the time is over
    int seconds = 3600;
    bool urgent = false;
    leadsync::sync::RateLimits limits;
};

double milliseconds(SteadyTime::duration duration) {
    return std::chrono::duration<double, std::milli>{duration}.count();
}

json spread_of(std::vector<double> figures) {
    if (figures.empty()) return nullptr;
    std::ranges::sort(figures);
    const auto at = [&](double part) {
        return figures[static_cast<std::size_t>(std::ceil(part * static_cast<double>(figures.size()))) - 1];
    };
    return {{"count", figures.size()}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"max", figures.back()}};
}

/// One workspace, with sweep requests always waiting at its limiter and, when asked for, urgent ones that become due
/// at random.
class Workspace {
public:
    Workspace(const boost::asio::any_io_executor& executor, leadsync::daemon::Clock& clock, const Options& options,
              std::string key)
        : options_{options},
          key_{std::move(key)},
          clock_{clock},
          pace_{clock, options.limits, nullptr},
          expected_{options.limits} {
        if (options.url.empty()) return;
        transport_ = std::make_unique<HttpTransport>(
            executor, leadsync::instantly::TransportOptions{.base_url = options.url,
                                                            .user_agent = leadsync::daemon::user_agent()});
    }

    void add_to(std::vector<awaitable<void>>& tasks) {
        for (std::size_t i = 0; i < always_waiting; ++i) tasks.push_back(sweep());
        if (!options_.urgent) return;
        for (auto* lane : {&safety_, &push_}) {
            lane->due = clock_.now();
            for (std::size_t i = 0; i < urgent_at_once; ++i) tasks.push_back(become_due(*lane));
        }
    }

    [[nodiscard]] json report() const {
        return {{"key", key_},
                {"sent", sent_},
                {"refused", refused_},
                {"wake_ms", spread_of(late_)},
                {"safety_ms", spread_of(safety_.waited)},
                {"push_ms", spread_of(push_.waited)}};
    }

private:
    struct UrgentLane {
        Lane lane;
        SteadyTime due{};
        std::vector<double> waited{};
    };
    class Observed;

    awaitable<void> sweep() {
        while (options_.requests == 0 || started_ < options_.requests) {
            ++started_;
            co_await request(Lane::rest);
        }
    }

    /// The wait counts from when a request was due, also when those before it were late.
    awaitable<void> become_due(UrgentLane& urgent) {
        for (;;) {
            urgent.due += std::chrono::milliseconds{gap_(dice_)};
            const auto due = urgent.due;
            co_await clock_.sleep_until(due);
            const auto departed = co_await request(urgent.lane);
            urgent.waited.push_back(milliseconds(departed - due));
        }
    }

    awaitable<SteadyTime> request(Lane lane) {
        SteadyTime departed;
        if (!transport_) {
            const auto its_turn = co_await turn(lane, departed);
            if (!its_turn->departs()) throw std::logic_error{"a turn that is taken at once is void"};
            co_return departed;
        }
        leadsync::instantly::Request request{.target = "/api/v2/workspaces/current",
                                             .authorization = "Bearer " + key_};
        const leadsync::instantly::Gate gate = [this, lane, &departed] { return turn(lane, departed); };
        const auto reply = co_await transport_->send(std::move(request), gate);
        if (reply.status == 429) {
            ++refused_;
            const auto now = clock_.now();
            pace_.refused(after_refusal);
            expected_.refused(now, now + after_refusal);
        } else if (reply.status != 200) {
            throw std::runtime_error{"the sandbox answers " + std::to_string(reply.status) + ' ' + reply.body};
        }
        co_return departed;
    }

    awaitable<std::unique_ptr<Turn>> turn(Lane lane, SteadyTime& departed);

    const Options& options_;
    std::string key_;
    leadsync::daemon::Clock& clock_;
    Pace pace_;
    /// The limiter's arithmetic once more: the slot of a turn is what this says, not when the limiter came round to
    /// it.
    leadsync::sync::RateWindows expected_;
    std::unique_ptr<HttpTransport> transport_;
    std::mt19937 dice_{1};
    std::uniform_int_distribution<> gap_{50, 200};
    std::size_t started_ = 0;
    std::size_t sent_ = 0;
    std::size_t refused_ = 0;
    std::vector<double> late_;
    UrgentLane safety_{.lane = Lane::safety};
    UrgentLane push_{.lane = Lane::push};
};

class Workspace::Observed final : public Turn {
public:
    Observed(Workspace& workspace, std::unique_ptr<Turn> turn, SteadyTime& departed)
        : workspace_{workspace}, turn_{std::move(turn)}, departed_at_{departed} {
        workspace_.expected_.grant(workspace_.clock_.now());
    }
    ~Observed() override {
        if (!departed_) workspace_.expected_.give_back(workspace_.clock_.now());
    }
    Observed(const Observed&) = delete;
    Observed& operator=(const Observed&) = delete;

    bool departs() override {
        if (departed_) return true;
        if (!turn_->departs()) return false;
        departed_ = true;
        departed_at_ = workspace_.clock_.now();
        workspace_.expected_.depart(departed_at_);
        ++workspace_.sent_;
        return true;
    }

private:
    Workspace& workspace_;
    std::unique_ptr<Turn> turn_;
    SteadyTime& departed_at_;
    bool departed_ = false;
};

awaitable<std::unique_ptr<Turn>> Workspace::turn(Lane lane, SteadyTime& departed) {
    const auto asked = clock_.now();
    auto its_turn = co_await pace_.lane(lane)();
    // Whoever found the windows open was not woken.
    if (const auto slot = expected_.next(SteadyTime{}, leadsync::sync::ahead_of(lane)); slot && *slot > asked)
        late_.push_back(milliseconds(clock_.now() - *slot));
    co_return std::make_unique<Observed>(*this, std::move(its_turn), departed);
}

Options parsed(CLI::App& app, int argc, char** argv) {
    Options options;
    app.add_option("--url", options.url, "The sandbox; without it the limiter is measured alone");
    app.add_option("--key", options.keys, "API keys: one workspace each, all in this process");
    app.add_option("--requests", options.requests, "Sweep requests of each workspace; else until the time is over");
    app.add_option("--seconds", options.seconds, "How long at the longest");
    app.add_option("--per-second", options.limits.per_second);
    app.add_option("--per-minute", options.limits.per_minute);
    app.add_option("--share", options.limits.share);
    app.add_flag("--urgent", options.urgent, "Beside the sweep, a push and a safety request each 50 to 200 ms");
    app.parse(argc, argv);
    return options;
}

awaitable<void> run(std::vector<std::unique_ptr<Workspace>>& workspaces, leadsync::daemon::Clock& clock,
                    std::chrono::seconds longest) {
    std::vector<awaitable<void>> work;
    for (const auto& workspace : workspaces) workspace->add_to(work);
    std::vector<awaitable<void>> tasks;
    tasks.push_back(leadsync::daemon::all(std::move(work)));
    tasks.push_back(clock.sleep_for(longest));
    co_await leadsync::daemon::until_first_ends(std::move(tasks));
}

double cpu_seconds() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

/// leadsync's request limiter with work always waiting: a line of JSON, read by node/limiter/run.mjs.
int main(int argc, char** argv) {
    CLI::App app{"leadsync's request limiter with work always waiting"};
    try {
        const auto options = parsed(app, argc, argv);
        boost::asio::io_context io{1};
        leadsync::daemon::SystemClock clock;
        std::vector<std::unique_ptr<Workspace>> workspaces;
        for (const auto& key : options.keys)
            workspaces.push_back(std::make_unique<Workspace>(io.get_executor(), clock, options, key));
        std::exception_ptr failed;
        boost::asio::co_spawn(io, run(workspaces, clock, std::chrono::seconds{options.seconds}),
                              [&](std::exception_ptr error) { failed = std::move(error); });
        io.run();
        if (failed) std::rethrow_exception(failed);
        json report{{"cpu_s", cpu_seconds()}, {"workspaces", json::array()}};
        for (const auto& workspace : workspaces) report["workspaces"].push_back(workspace->report());
        std::puts(report.dump().c_str());
        return 0;
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "leadsync-bench-limiter: %s\n", error.what());
        return 1;
    }
}
