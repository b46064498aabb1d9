#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "daemon/config.hpp"

namespace leadsync::daemon {

/// Exit status of every command (DESIGN §1.1).
enum class Exit { done = 0, failed = 1, usage = 2, work_left = 3 };

/// A command line that can't be carried out as it was given. One line, saying what is allowed.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Names given by `--workspace`; none: every workspace of the config.
using WorkspaceNames = std::vector<std::string>;

/// `leadsync run`
Exit run(const Config& config);

/// `leadsync backfill [--workspace W]... [--drain]`. A workspace that fails ends none of the others, here and in
/// plan(): what is thrown at the end names those that did.
Exit backfill(const Config& config, const WorkspaceNames& workspaces, bool drain);

/// `leadsync status [--json]`
Exit status(const Config& config, bool json);

/// `leadsync plan [--workspace W]... [--json]`: what the next sync would do, without doing it.
Exit plan(const Config& config, const WorkspaceNames& workspaces, bool json);

/// `leadsync migrate [--status]`
Exit migrate(const Config& config, bool only_status, bool json);

/// `leadsync check`: config, database, schema, and each workspace's key; a line each, ok or what to do.
Exit check(const Config& config);

/// `leadsync conflicts list [--workspace W]... [--all] [--json]`
Exit list_conflicts(const Config& config, const WorkspaceNames& workspaces, bool settled_too, bool json);

/// Which rows of a review table a decision is about: the ids, or with `all` every open one that the rest narrows to.
struct Selection {
    std::vector<std::int64_t> ids;
    bool all = false;
    WorkspaceNames workspaces;
    std::optional<std::string> field;  ///< of conflicts
    std::optional<std::string> kind;   ///< of held changes: create, change, delete
    std::optional<std::string> side;   ///< of held changes: local, remote
};

/// `leadsync conflicts resolve (ID... | --all [--workspace W]... [--field F]) --take local|remote`. Beneath is
/// `UPDATE crm.conflicts SET resolution = ...`, as a user may run it; all of the ids or none.
Exit resolve_conflicts(const Config& config, const Selection& selection, const std::string& take);

/// `leadsync held list [--workspace W]... [--json]`
Exit list_held(const Config& config, const WorkspaceNames& workspaces, bool json);

/// `leadsync held approve|reject (ID... | --all [--workspace W]... [--kind K] [--side S])`. Beneath is
/// `UPDATE crm.held SET decision = ...`.
Exit decide_held(const Config& config, const Selection& selection, const std::string& decision);

/// `leadsync queue list [--workspace W]... [--all] [--json]`: what was given up on or has failed before; with `all`
/// everything that is queued.
Exit list_queue(const Config& config, const WorkspaceNames& workspaces, bool everything, bool as_json);

/// `leadsync queue show LEAD [--workspace W]... [--json]`: what was tried, sent and answered.
Exit show_queued(const Config& config, const WorkspaceNames& workspaces, const std::string& lead, bool as_json);

struct QueueSelection {
    std::vector<std::string> leads;  ///< by email, our id or Instantly's
    bool all = false;                ///< all that were given up on
    WorkspaceNames workspaces;
};

/// `leadsync queue retry|discard (LEAD... | --all) [--workspace W]...`. Beneath is `UPDATE crm.queue SET decision =
/// ...`, as a user may run it; all of the leads or none.
Exit decide_queued(const Config& config, const QueueSelection& selection, const std::string& decision);

struct WhyQuestion {
    std::string lead;                  ///< email, our id or Instantly's
    std::optional<std::string> field;  ///< nothing: all of them
    WorkspaceNames workspaces;
    bool json = false;
};

/// `leadsync why EMAIL|ID [FIELD] [--workspace W]... [--json]`
Exit why(const Config& config, const WhyQuestion& question);

/// Throws UsageError when no both-ways field, nor a custom variable, is called so.
void expect_field(const std::string& name);

}  // namespace leadsync::daemon
