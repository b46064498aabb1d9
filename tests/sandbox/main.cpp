#include <csignal>
#include <fstream>
#include <iostream>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "tests/sandbox/server.hpp"

namespace {

using leadsync::sandbox::Json;
using leadsync::sandbox::Server;
using leadsync::sandbox::ServerSettings;
using leadsync::sandbox::WorkspaceSettings;

struct Options {
    ServerSettings server;
    WorkspaceSettings workspace;
    std::vector<std::string> api_keys{WorkspaceSettings{}.api_key};
    std::string switches = "{}";
    std::string port_file;
    std::string certificate;
    std::string key;
    bool no_rate_limit = false;
    bool exit_with_parent = false;
};

void declare(CLI::App& app, Options& options) {
    auto& workspace = options.workspace;
    auto& switches = options.server.switches;
    app.add_option("--port", options.server.port, "Port on 127.0.0.1; 0 chooses a free one")->capture_default_str();
    app.add_option("--port-file", options.port_file, "Write the port to this file once it listens");
    app.add_option("--leads", workspace.leads, "Leads of each workspace")->capture_default_str();
    app.add_option("--seed", workspace.seed, "Decides every lead; workspace n gets seed + n")->capture_default_str();
    app.add_option("--campaigns", workspace.campaigns, "Campaigns of each workspace")->capture_default_str();
    app.add_option("--lists", workspace.lists, "Lead lists of each workspace")->capture_default_str();
    app.add_option("--old-id-share", workspace.old_id_share, "Share of leads with a random id from before 2025-10-15")
        ->capture_default_str();
    app.add_option("--list-share", workspace.list_share, "Share of leads that are in a list")->capture_default_str();
    app.add_option("--odd-share", workspace.odd_share, "Share of leads that break the documentation")
        ->capture_default_str();
    app.add_option("--api-key", options.api_keys, "One workspace for each key given")->capture_default_str();
    app.add_option("--latency-ms", switches.latency_ms, "Time an answer takes")->capture_default_str();
    app.add_option("--latency-spread-ms", switches.latency_spread_ms, "Up to so much more, at random")
        ->capture_default_str();
    app.add_flag("--no-rate-limit", options.no_rate_limit, "Count requests, refuse none");
    app.add_option("--per-second", switches.per_second, "Requests a second")->capture_default_str();
    app.add_option("--per-minute", switches.per_minute, "Requests a minute")->capture_default_str();
    app.add_flag("--gzip", switches.gzip, "Compress answers for clients that accept it");
    app.add_option("--switches", options.switches, "Any switches, as JSON (see README.md)");
    auto* tls = app.add_option("--tls", options.certificate, "Serve HTTPS with this certificate (PEM)");
    app.add_option("--tls-key", options.key, "The certificate's key (PEM)")->needs(tls);
    app.add_flag("--exit-with-parent", options.exit_with_parent, "Stop when the parent process ends");
}

ServerSettings settings_of(const Options& options) {
    auto settings = options.server;
    settings.stop_on_signal = true;
    settings.switches.rate_limit = !options.no_rate_limit;
    leadsync::sandbox::apply(settings.switches, Json::parse(options.switches));
    if (!options.certificate.empty()) settings.tls = {options.certificate, options.key};
    settings.workspaces.clear();
    for (std::size_t i = 0; i < options.api_keys.size(); ++i) {
        auto workspace = options.workspace;
        workspace.api_key = options.api_keys[i];
        workspace.seed += i;
        if (i > 0) {
            workspace.name += '-' + std::to_string(i + 1);
            workspace.documented_lead = false;
        }
        settings.workspaces.push_back(std::move(workspace));
    }
    return settings;
}

void announce(const Server& server, const std::string& port_file) {
    std::cout << "listening on " << server.url() << std::endl;
    if (port_file.empty()) return;
    // Renamed into place: who waits for the file must not read half a number.
    const auto draft = port_file + ".new";
    std::ofstream{draft} << server.port() << '\n';
    if (std::rename(draft.c_str(), port_file.c_str()) != 0) throw std::runtime_error{"cannot write " + port_file};
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"An Instantly API v2 server for the demo, the tests and the benchmarks"};
    Options options;
    declare(app, options);
    CLI11_PARSE(app, argc, argv);
    try {
        const auto parent = ::getppid();
        if (options.exit_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        // The parent may have ended before the request to be told of it.
        if (options.exit_with_parent && ::getppid() != parent) return 0;
        Server server{settings_of(options)};
        announce(server, options.port_file);
        server.wait();
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "leadsync-sandbox: " << error.what() << '\n';
        return 1;
    }
}
