#include "daemon/planned_sends.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {
namespace {

using sync::Field;

constexpr std::int64_t together_max = 100;  // leads that the queue gives out at once

using Values = std::map<sync::Key, sync::Value>;

std::vector<PlannedChange> differences(const sync::Content& remote, const Values& values) {
    std::vector<PlannedChange> changes;
    for (const auto& [key, value] : values) {
        const auto before = sync::value_of(remote, key);
        if (!sync::agree(before, value)) changes.push_back({key, before, value, ""});
    }
    return changes;
}

/// Instantly holds these values from here on.
void settle(sync::MergeResult& left, const Values& values) {
    for (const auto& [key, value] : values) {
        sync::set_value(left.remote, key, value);
        std::erase(left.to_push, key);
    }
}

/// Writes that are out already are taken to arrive.
void let_arrive(sync::MergeResult& left) {
    for (const auto& key : left.awaited) {
        const auto expected = left.base.expected.find(key);
        if (expected == left.base.expected.end()) continue;
        sync::set_value(left.remote, key, expected->second);
        const bool further = !sync::agree(sync::value_of(left.local, key), expected->second);
        if (further && std::ranges::count(left.to_push, key) == 0) left.to_push.push_back(key);
    }
    left.awaited.clear();
}

std::int64_t batches(std::int64_t leads) { return (leads + together_max - 1) / together_max; }

PlannedLead with(PlannedLead lead, std::vector<PlannedChange> changes, std::string note = {}) {
    lead.changes = std::move(changes);
    lead.note = std::move(note);
    return lead;
}

}  // namespace

void PlannedSends::add(Step step, PlannedLead lead) {
    auto& [count, leads] = plan_.steps[step];
    ++count;
    if (leads.size() < leads_kept_) leads.push_back(std::move(lead));
}

bool PlannedSends::push(const PlannedLead& lead, sync::MergeResult left) {
    let_arrive(left);
    bool any = false;
    for (;;) {
        const auto plan = sync::plan_push(left);
        if (plan.empty()) {
            if (!plan.refused.empty()) add(Step::give_up, with(lead, {}, in_one_line(plan.refused)));
            return any || !plan.refused.empty();
        }
        any = true;
        if (plan.patch) patch(lead, *plan.patch, left);
        if (plan.interest) {
            const auto values = sync::expectations(*plan.interest);
            add(Step::interest, with(lead, differences(left.remote, values)));
            count("POST /leads/update-interest-status");
            settle(left, values);
        }
        if (plan.subsequence) {
            const auto values = sync::expectations(*plan.subsequence);
            add(Step::subsequence, with(lead, differences(left.remote, values)));
            count(plan.subsequence->subsequence_id ? "POST /leads/subsequence/move"
                                                   : "POST /leads/subsequence/remove");
            settle(left, values);
        }
        if (plan.move) move(lead, *plan.move, left);
    }
}

void PlannedSends::patch(const PlannedLead& lead, const sync::PatchIntent& intent, sync::MergeResult& left) {
    const auto values = sync::expectations(intent, left.local);
    Patch patch{.lead = with(lead, {}), .assignment = std::nullopt, .more = intent.custom_variables.has_value()};
    for (auto& change : differences(left.remote, values)) {
        if (change.key == sync::key_of(Field::assigned_to) && change.after)
            patch.assignment = std::move(change);
        else
            patch.lead.changes.push_back(std::move(change));
    }
    patch.more = patch.more || intent.fields.size() > (patch.assignment ? 1U : 0U);
    patches_.push_back(std::move(patch));
    settle(left, values);
}

void PlannedSends::move(const PlannedLead& lead, const sync::MoveIntent& intent, sync::MergeResult& left) {
    const auto values = sync::expectations(intent);
    add(Step::move, with(lead, differences(left.remote, values)));
    ++moves_[intent];
    settle(left, values);
    // The place left behind empties by itself.
    const auto emptied = intent.to_campaign ? Field::list_id : Field::campaign;
    settle(left, {{sync::key_of(emptied), std::nullopt}});
}

void PlannedSends::create(const PlannedLead& lead, const sync::Content& local, bool failed_before) {
    const auto& campaign = local[Field::campaign];
    const auto creation = instantly::creation_of(local);
    const auto target =
        sync::present(campaign) ? "campaign " + *campaign : "list " + local[Field::list_id].value_or("");
    auto created = with(lead, differences({}, creation.expected), "to " + target);
    if (!sync::present(local[Field::email]))
        count("POST /leads");
    else  // One that failed before goes alone.
        ++creates_[target + (failed_before ? " " + lead.id : "")];
    add(Step::create, std::move(created));

    sync::MergeResult left{.local = local, .remote = creation.place};
    left.remote[Field::email] = local[Field::email];
    settle(left, creation.expected);
    for (const auto& line : sync::field_table())
        if (line.owner == sync::Owner::both_ways && !sync::agree(local[line.field], left.remote[line.field]))
            left.to_push.push_back(sync::key_of(line.field));
    push(lead, std::move(left));
}

void PlannedSends::finish() {
    std::map<std::string, std::size_t> by_assignee;
    for (const auto& patch : patches_)
        if (patch.assignment) ++by_assignee[*patch.assignment->after];
    for (auto& patch : patches_) {
        auto& lead = patch.lead;
        const bool together = patch.assignment && by_assignee.at(*patch.assignment->after) >= sync::assign_together;
        if (together) {
            std::vector<PlannedChange> assignment(1, *patch.assignment);
            add(Step::assign, with(lead, std::move(assignment)));
            if (!patch.more) continue;
        } else if (patch.assignment) {
            lead.changes.push_back(*patch.assignment);
        }
        count("PATCH /leads/{id}");
        add(Step::patch, std::move(lead));
    }
    for (const auto& [assignee, leads] : by_assignee)
        if (leads >= sync::assign_together)
            plan_.requests["POST /leads/bulk-assign"] += batches(static_cast<std::int64_t>(leads));
    for (const auto& [intent, leads] : moves_) plan_.requests["POST /leads/move"] += batches(leads);
    for (const auto& [target, leads] : creates_) plan_.requests["POST /leads/add"] += batches(leads);
}

}  // namespace leadsync::daemon
