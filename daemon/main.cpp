#include <csignal>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/commands.hpp"
#include "daemon/logging.hpp"
#include "daemon/version.hpp"

namespace {

using namespace leadsync::daemon;

/// One line, saying what to do.
int fail(Exit status, std::string message) {
    while (!message.empty() && message.back() == '\n') message.pop_back();
    for (auto& c : message)
        if (c == '\n') c = ' ';
    fmt::print(stderr, "leadsync: {}\n", message);
    return static_cast<int>(status);
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    CLI::App app{"Keeps a company's Instantly.ai leads and a PostgreSQL table in agreement, both ways."};
    app.require_subcommand(1);
    app.fallthrough();
    std::optional<std::filesystem::path> config_file;
    std::string config_text;
    app.add_option("-c,--config", config_text, "leadsync.yaml, then /etc/leadsync/leadsync.yaml");
    bool json = false;
    bool drain = false;
    bool only_status = false;
    std::vector<std::string> workspaces;

    auto* run_command = app.add_subcommand("run", "the daemon: every workspace of the config, until SIGTERM");
    auto* backfill_command =
        app.add_subcommand("backfill", "one complete sweep; goes on where an earlier one was stopped");
    backfill_command->add_option("--workspace", workspaces, "only this one; may be given again");
    backfill_command->add_flag("--drain", drain, "then wait until nothing is pending");
    auto* status_command = app.add_subcommand("status", "every workspace: state, freshness, queue, rate used");
    status_command->add_flag("--json", json, "for machines");
    auto* migrate_command = app.add_subcommand("migrate", "bring the schema up to date");
    migrate_command->add_flag("--status", only_status, "only tell what is applied");
    migrate_command->add_flag("--json", json, "for machines, with --status");
    auto* check_command = app.add_subcommand("check", "config, database, keys: each line ok or what to do");
    auto* version_command = app.add_subcommand("version", "build facts");

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help
        return fail(Exit::usage, std::string{error.what()} + "; leadsync --help lists the commands");
    }
    if (version_command->parsed()) {
        fmt::print("{}\n", build_facts());
        return 0;
    }
    if (!config_text.empty()) config_file = config_text;
    try {
        const auto config = load_config(find_config(config_file));
        set_up_logging(config.log);
        Exit status_code = Exit::done;
        if (run_command->parsed()) status_code = run(config);
        if (backfill_command->parsed()) status_code = backfill(config, workspaces, drain);
        if (status_command->parsed()) status_code = status(config, json);
        if (migrate_command->parsed()) status_code = migrate(config, only_status, json);
        if (check_command->parsed()) status_code = check(config);
        return static_cast<int>(status_code);
    } catch (const ConfigError& error) {
        for (const auto& line : error.lines()) fmt::print(stderr, "leadsync: {}\n", line);
        return static_cast<int>(Exit::usage);
    } catch (const std::exception& error) {
        return fail(Exit::failed, error.what());
    }
}
