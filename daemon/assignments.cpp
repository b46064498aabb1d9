#include "daemon/assignments.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "daemon/bulk_call.hpp"
#include "daemon/tasks.hpp"
#include "sync/plan.hpp"

namespace leadsync::daemon {
namespace {

asio::awaitable<void> assign_together(std::vector<Sending*> leads, instantly::Client& client) {
    const auto assignee = *leads.front()->assignee;
    auto assign_them = [&](const std::vector<Sending*>& some) -> asio::awaitable<void> {
        std::vector<sync::InstantlyId> ids;
        for (const auto* lead : some) ids.push_back(lead->instantly_id);
        co_await client.assign_leads(std::move(ids), assignee);
    };
    BulkCall bulk{leads.front()->assignment(), assign_them};
    co_await bulk.send(std::move(leads));
}

}  // namespace

void gather_assignments(std::vector<Sending>& sendings) {
    std::map<std::string, std::vector<Sending*>> by_assignee;
    for (auto& sending : sendings) {
        if (!sending.plan.patch) continue;
        const auto& assignee = sending.local[sync::Field::assigned_to];
        if (assignee && std::ranges::count(sending.plan.patch->fields, sync::Field::assigned_to) > 0)
            by_assignee[*assignee].push_back(&sending);
    }
    for (auto& [assignee, leads] : by_assignee) {
        if (leads.size() < sync::assign_together) continue;
        for (auto* sending : leads) {
            sending->assignee = assignee;
            std::erase(sending->plan.patch->fields, sync::Field::assigned_to);
            if (sending->plan.patch->fields.empty() && !sending->plan.patch->custom_variables)
                sending->plan.patch.reset();
        }
    }
}

asio::awaitable<void> assign(const std::vector<Sending*>& sendings, instantly::Client& client) {
    std::map<std::string, std::vector<Sending*>> by_assignee;
    for (auto* sending : sendings)
        if (sending->assignee) by_assignee[*sending->assignee].push_back(sending);
    std::vector<asio::awaitable<void>> calls;
    for (const auto& [assignee, leads] : by_assignee) calls.push_back(assign_together(leads, client));
    co_await all(std::move(calls));
}

}  // namespace leadsync::daemon
