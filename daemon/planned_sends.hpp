#pragma once

#include <map>
#include <optional>
#include <vector>

#include "daemon/dry_run.hpp"
#include "sync/plan.hpp"

namespace leadsync::daemon {

/// Adds to a plan what would be sent, lead by lead, to the last call: an interest update, say, and the move that
/// waits for it. Pure.
class PlannedSends {
public:
    PlannedSends(WorkspacePlan& plan, std::size_t leads_kept) : plan_{plan}, leads_kept_{leads_kept} {}

    /// Counts a lead, and keeps it if there is room.
    void add(Step step, PlannedLead lead);

    /// The calls that would bring Instantly to what the row says. False: none.
    bool push(const PlannedLead& lead, sync::MergeResult merged);

    /// A row that Instantly has no lead for: the create, and the calls for what it can't carry.
    void create(const PlannedLead& lead, const sync::Content& local, bool failed_before);

    void count(const std::string& call) { ++plan_.requests[call]; }

    /// After the last lead: what is sent for many leads together.
    void finish();

private:
    struct Patch {
        PlannedLead lead;
        std::optional<PlannedChange> assignment;  ///< to a person
        bool more = false;                        ///< sets other fields too
    };

    void patch(const PlannedLead& lead, const sync::PatchIntent& intent, sync::MergeResult& left);
    void move(const PlannedLead& lead, const sync::MoveIntent& intent, sync::MergeResult& left);

    WorkspacePlan& plan_;
    std::size_t leads_kept_;
    std::vector<Patch> patches_;
    std::map<sync::MoveIntent, std::int64_t> moves_;
    std::map<std::string, std::int64_t> creates_;  ///< by target
};

}  // namespace leadsync::daemon
