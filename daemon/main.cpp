#include <csignal>
#include <cstdlib>
#include <functional>
#include <optional>
#include <sys/resource.h>

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

/// Each workspace has connections of its own, and the usual limit of 1,024 files is there for programs that call
/// select(). One that can't be raised is no reason not to begin.
void open_as_many_files_as_allowed() {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
}

/// The command line: the commands with their options, and what was given.
class CommandLine {
public:
    CommandLine() {
        app_.require_subcommand(1);
        app_.fallthrough();
        app_.add_option("-c,--config", config_file_, "leadsync.yaml, then /etc/leadsync/leadsync.yaml");
        add_run();
        add_conflicts();
        add_held();
        add_queue();
        add_why();
        add_around();
    }

    CLI::App& app() { return app_; }
    [[nodiscard]] const std::optional<std::string>& config_file() const { return config_file_; }

    /// What the chosen command does. Nothing: it needs no config, and is done.
    [[nodiscard]] const std::function<Exit(const Config&)>& chosen() const { return chosen_; }

private:
    using Command = std::function<Exit(const Config&)>;

    CLI::App* add(CLI::App& parent, const std::string& name, const std::string& what, Command command) {
        auto* added = parent.add_subcommand(name, what);
        added->callback([this, run = std::move(command)] { chosen_ = run; });
        return added;
    }

    void add_workspaces(CLI::App* command) {
        command->add_option("--workspace", workspaces_, "only this one; may be given again")->allow_extra_args(false);
    }
    void add_json(CLI::App* command) { command->add_flag("--json", json_, "for machines"); }

    void add_run() {
        add(app_, "run", "the daemon: every workspace of the config, until SIGTERM",
            [](const Config& config) { return run(config); });
        auto* backfill_command = add(app_, "backfill", "one complete sweep; goes on where an earlier one was stopped",
                                     [this](const Config& config) { return backfill(config, workspaces_, drain_); });
        add_workspaces(backfill_command);
        backfill_command->add_flag("--drain", drain_, "then wait until nothing is pending");
        auto* plan_command =
            add(app_, "plan", "dry run: what the next sync would pull, push and find in conflict; writes nothing",
                [this](const Config& config) { return plan(config, workspaces_, json_); });
        add_workspaces(plan_command);
        add_json(plan_command);
        auto* status_command = add(app_, "status", "every workspace: state, freshness, queue, conflicts, rate used",
                                   [this](const Config& config) { return status(config, json_); });
        add_json(status_command);
    }

    void add_conflicts() {
        auto* conflicts = app_.add_subcommand("conflicts", "fields that both sides have changed");
        conflicts->require_subcommand(1);
        auto* list = add(*conflicts, "list", "those that are open", [this](const Config& config) {
            return list_conflicts(config, workspaces_, selection_.all, json_);
        });
        add_workspaces(list);
        list->add_flag("--all", selection_.all, "the settled ones too");
        add_json(list);
        auto* resolve = add(*conflicts, "resolve", "says which value is to stand",
                            [this](const Config& config) { return resolve_conflicts(config, selection(), take_); });
        add_selection(resolve, "conflicts");
        resolve->add_option("--field", selection_.field, "only of this field, with --all");
        resolve->add_option("--take", take_, "whose value is to stand: local or remote")
            ->required()
            ->check(CLI::IsMember({"local", "remote"}));
    }

    void add_held() {
        auto* held = app_.add_subcommand("held", "what the guard holds until a person decides");
        held->require_subcommand(1);
        auto* list = add(*held, "list", "what is held, and why",
                         [this](const Config& config) { return list_held(config, workspaces_, json_); });
        add_workspaces(list);
        add_json(list);
        for (const auto* decision : {"approve", "reject"}) {
            auto* decide =
                add(*held, decision, decision == std::string_view{"approve"} ? "lets it go" : "undoes it",
                    [this, decision](const Config& config) { return decide_held(config, selection(), decision); });
            add_selection(decide, "held changes");
            decide->add_option("--kind", selection_.kind, "only of this kind, with --all")
                ->check(CLI::IsMember({"create", "change", "delete"}));
            decide->add_option("--side", selection_.side, "only what this side wants, with --all")
                ->check(CLI::IsMember({"local", "remote"}));
        }
    }

    void add_queue() {
        auto* queue = app_.add_subcommand("queue", "what waits to be sent, and what was given up on");
        queue->require_subcommand(1);
        auto* list = add(*queue, "list", "what was given up on, or has failed before", [this](const Config& config) {
            return list_queue(config, workspaces_, queued_.all, json_);
        });
        list->add_flag("--all", queued_.all, "everything that is queued");
        add_workspaces(list);
        add_json(list);
        auto* show = add(
            *queue, "show", "what was tried for a lead, sent and answered",
            [this](const Config& config) { return show_queued(config, workspaces_, queued_.leads.front(), json_); });
        show->add_option("lead", queued_.leads, "its email, our id or Instantly's")->required()->expected(1);
        add_workspaces(show);
        add_json(show);
        for (const auto* decision : {"retry", "discard"}) {
            auto* decide =
                add(*queue, decision,
                    decision == std::string_view{"retry"} ? "tries it again now"
                                                          : "drops the edit: the row takes what Instantly has",
                    [this, decision](const Config& config) {
                        queued_.workspaces = workspaces_;
                        return decide_queued(config, queued_, decision);
                    });
            decide->add_option("leads", queued_.leads, "which: email, our id or Instantly's");
            decide->add_flag("--all", queued_.all, "all that were given up on");
            add_workspaces(decide);
        }
    }

    void add_selection(CLI::App* command, const std::string& what) {
        command->add_option("ids", selection_.ids, "which " + what + ", as the list tells");
        command->add_flag("--all", selection_.all, "all that are open");
        add_workspaces(command);
    }

    Selection& selection() {
        selection_.workspaces = workspaces_;
        return selection_;
    }

    void add_why() {
        auto* why_command = add(app_, "why", "the history of a lead: who changed what when, and by which rule",
                                [this](const Config& config) {
                                    question_.workspaces = workspaces_;
                                    question_.json = json_;
                                    return why(config, question_);
                                });
        why_command->add_option("lead", question_.lead, "its email, our id or Instantly's")->required();
        why_command->add_option("field", question_.field, "only this field");
        add_workspaces(why_command);
        add_json(why_command);
    }

    void add_around() {
        auto* migrate_command = add(app_, "migrate", "bring the schema up to date",
                                    [this](const Config& config) { return migrate(config, only_status_, json_); });
        migrate_command->add_flag("--status", only_status_, "only tell what is applied");
        migrate_command->add_flag("--json", json_, "for machines, with --status");
        add(app_, "check", "config, database, keys: each line ok or what to do",
            [](const Config& config) { return check(config); });
        app_.add_subcommand("version", "build facts")->callback([] { fmt::print("{}\n", build_facts()); });
    }

    CLI::App app_{"Keeps a company's Instantly.ai leads and a PostgreSQL table in agreement, both ways."};
    std::optional<std::string> config_file_;
    std::vector<std::string> workspaces_;
    bool json_ = false;
    bool drain_ = false;
    bool only_status_ = false;
    Selection selection_;
    QueueSelection queued_;
    std::string take_;
    WhyQuestion question_;
    Command chosen_;
};

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    open_as_many_files_as_allowed();
    // A server that is out of reach must not hold up a stop for as long as TCP would wait.
    ::setenv("PGCONNECT_TIMEOUT", "5", 0);  // NOLINT(concurrency-mt-unsafe): there is one thread yet
    // Nor must a name server: a look-up that has begun can't be called off, and the end waits for it. That is 4 s, or
    // 10 with three servers; the resolver's own default is three times that.
    ::setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);  // NOLINT(concurrency-mt-unsafe): likewise
    CommandLine line;
    try {
        line.app().parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return line.app().exit(error);  // --help
        return fail(Exit::usage, std::string{error.what()} + "; leadsync --help lists the commands");
    }
    if (!line.chosen()) return 0;
    try {
        const auto config = load_config(find_config(line.config_file()));
        set_up_logging(config.log);
        return static_cast<int>(line.chosen()(config));
    } catch (const ConfigError& error) {
        for (const auto& text : error.lines()) fmt::print(stderr, "leadsync: {}\n", text);
        return static_cast<int>(Exit::usage);
    } catch (const UsageError& error) {
        return fail(Exit::usage, error.what());
    } catch (const std::exception& error) {
        return fail(Exit::failed, error.what());
    }
}
