#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "tests/simulation/simulated_world.hpp"

/// Runs seeds until one breaks a property, and says how to see it again.
int main(int argc, char** argv) {
    CLI::App app{"The whole engine on virtual time, in seeded random worlds."};
    std::uint64_t seeds = 1000;
    std::uint64_t first = 1;
    std::uint64_t only = 0;
    bool verbose = false;
    bool keep_going = false;
    app.add_option("--seeds", seeds, "how many worlds");
    app.add_option("--from", first, "the first seed");
    app.add_option("--seed", only, "this one alone");
    app.add_flag("--verbose", verbose, "tell everything that happens");
    app.add_flag("--keep-going", keep_going, "run all seeds although one breaks");
    CLI11_PARSE(app, argc, argv);
    spdlog::set_level(verbose ? spdlog::level::debug : spdlog::level::off);
    if (only != 0) {
        first = only;
        seeds = 1;
    }
    const auto begun = std::chrono::steady_clock::now();
    std::size_t requests = 0;
    std::size_t edits = 0;
    int crashes = 0;
    std::uint64_t broken = 0;
    for (auto seed = first; seed < first + seeds; ++seed) {
        leadsync::simulation::SimulatedWorld world{seed, verbose};
        const auto outcome = world.run();
        requests += outcome.requests;
        edits += outcome.edits;
        crashes += outcome.crashes;
        if (outcome.broken.empty()) continue;
        ++broken;
        fmt::print("seed {}:\n", seed);
        for (const auto& line : outcome.broken) fmt::print("  {}\n", line);
        fmt::print("  again: {} --seed {} --verbose\n", argv[0], seed);
        if (!keep_going) break;
    }
    const auto seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    fmt::print("{} worlds, {} edits, {} requests, {} crashes, {:.1f} s: {}\n", seeds, edits, requests, crashes,
               seconds, broken == 0 ? "every property holds" : fmt::format("{} broken", broken));
    return broken == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
