#include "tests/bench/queue_bench.hpp"

#include <csignal>
#include <functional>
#include <iostream>
#include <map>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "connectors/postgres/embedded_cluster.hpp"
#include "connectors/postgres/migrator.hpp"
#include "migrations/migrations.hpp"
#include "tests/support/temporary_directory.hpp"

namespace leadsync::bench {

void print(const nlohmann::ordered_json& result) { std::cout << result.dump() << std::endl; }

namespace {

/// A private cluster with leadsync's durable settings: prints its URL, and runs it until standard input ends.
void serve() {
    // Ctrl-C reaches every process of the terminal, `timeout` every process of its group: the script closes our
    // input, and nothing is left behind.
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_IGN);
    const test_support::TemporaryDirectory folder;
    // mkdtemp's 0700 would keep the server's account out when we are root.
    std::filesystem::permissions(folder.path(), std::filesystem::perms{0755});
    const postgres::EmbeddedCluster cluster{folder.path()};
    postgres::Migrator{cluster.url(), postgres::embedded_migrations()}.migrate();
    std::cout << cluster.url() << std::endl;
    std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}

}  // namespace
}  // namespace leadsync::bench

/// The C++ half of ./run bench queue, which tells what it measures; each result is a line of JSON.
int main(int argc, char** argv) {
    using namespace leadsync::bench;
    const std::map<std::string, std::function<void(const Options&)>> measurements{
        {"fill", [](const Options& options) { add_leads(options, options.leads); }},
        {"queue", measure_queue},
        {"bare", measure_bare_loop},
        {"kept", measure_kept},
        {"counted", measure_counted},
        {"writers", measure_writers},
        {"growth", measure_growth},
        {"plan", show_claim_plan},
    };
    CLI::App app{"Measures leadsync's queue and capture. See ./run bench queue."};
    Options options;
    std::string what;
    app.add_option("what", what,
                   "serve (a cluster to measure on), fill, queue, bare, kept, counted, writers, growth or plan")
        ->required();
    app.add_option("--database", options.url);
    app.add_option("--leads", options.leads, "in the table")->capture_default_str();
    app.add_option("--kept", options.kept, "finished with, for kept")->capture_default_str();
    app.add_option("--transitions", options.transitions, "of growth")->capture_default_str();
    app.add_option("--seconds", options.seconds, "of each measurement at most")->capture_default_str();
    app.add_option("--threads", options.threads, "0: each of 1, 2, 4, 8")->capture_default_str();
    CLI11_PARSE(app, argc, argv);
    try {
        what == "serve" ? serve() : measurements.at(what)(options);
    } catch (const std::out_of_range&) {
        fmt::print(stderr, "leadsync-bench-queue: there is no measurement \"{}\"\n", what);
        return 2;
    } catch (const std::exception& error) {
        fmt::print(stderr, "leadsync-bench-queue {}: {}\n", what, error.what());
        return 1;
    }
    return 0;
}
