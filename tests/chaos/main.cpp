#include <cstdint>
#include <cstdlib>
#include <random>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <pqxx/pqxx>

#include "tests/chaos/round.hpp"
#include "tests/support/test_cluster.hpp"

namespace {

constexpr std::size_t lines_shown = 20;
// Requests a second. The config leaves a tenth of it to a server that counts late on a busy machine.
constexpr std::size_t limit = 100;

/// Unlike the other tests' server this one is made to crash, and may not lose what was committed.
void make_commits_durable() {
    pqxx::connection administrator{leadsync::test_support::test_cluster_url()};
    pqxx::nontransaction session{administrator};
    session.exec("ALTER SYSTEM SET synchronous_commit = on");
    session.exec("SELECT pg_reload_conf()");
}

}  // namespace

/// Rounds of chaos; the first broken one ends it, unless told otherwise.
int main(int argc, char** argv) {
    CLI::App app{"The daemon killed at random while people work on both sides and everything around it fails."};
    std::uint64_t rounds = 3;
    std::uint64_t seed = 0;
    bool keep_going = false;
    app.add_option("--rounds", rounds, "how many");
    app.add_option("--seed", seed, "of the first round; the next has the next (default: drawn)");
    app.add_flag("--keep-going", keep_going, "go on after a broken round");
    CLI11_PARSE(app, argc, argv);
    if (seed == 0) seed = 1 + std::random_device{}() % 1'000'000;
    make_commits_durable();
    std::uint64_t broken = 0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        leadsync::chaos::Report report;
        try {
            report = leadsync::chaos::Round{seed + round}.run();
        } catch (const std::exception& error) {
            report.broken.push_back(error.what());
        }
        if (report.most_in_a_second > limit)
            report.broken.push_back(fmt::format("{} requests in a second", report.most_in_a_second));
        fmt::print(
            "round {} of {}, seed {}: {} workspaces, {} edits, {} requests, most in a second {}, daemon killed {} "
            "times, PostgreSQL restarted {} times, connections cut {} times: {}\n",
            round + 1, rounds, seed + round, report.workspaces, report.edits, report.requests,
            report.most_in_a_second, report.kills, report.database_restarts, report.cuts,
            report.broken.empty() ? "every guarantee holds" : "BROKEN");
        for (std::size_t i = 0; i < std::min(report.broken.size(), lines_shown); ++i)
            fmt::print("  {}\n", report.broken[i]);
        if (report.broken.size() > lines_shown) fmt::print("  and {} more\n", report.broken.size() - lines_shown);
        if (!report.log.empty()) fmt::print("  the daemon's last words:\n{}\n", report.log);
        std::fflush(stdout);
        broken += report.broken.empty() ? 0U : 1U;
        if (broken > 0 && !keep_going) break;
    }
    return broken == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
