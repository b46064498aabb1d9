#include "daemon/waiting_moves.hpp"

#include <algorithm>

namespace leadsync::daemon {

using std::chrono::milliseconds;

void WaitingMoves::add(const sync::MoveIntent& intent, store::Claim claim, sync::SteadyTime now) {
    groups_[intent].push_back({std::move(claim), now});
}

std::optional<WaitingMoves::Group> WaitingMoves::take(sync::SteadyTime now, milliseconds gather,
                                                      const IsFree& is_free) {
    auto longest = groups_.end();
    for (auto group = groups_.begin(); group != groups_.end(); ++group) {
        const auto& [intent, leads] = *group;
        const bool is_ready = leads.size() >= leads_at_once || now - leads.front().since >= gather;
        if (!is_ready || !is_free(intent)) continue;
        if (longest == groups_.end() || leads.front().since < longest->second.front().since) longest = group;
    }
    if (longest == groups_.end()) return std::nullopt;
    auto& leads = longest->second;
    Group taken{longest->first, {}};
    const auto end = leads.begin() + static_cast<std::ptrdiff_t>(std::min(leads.size(), leads_at_once));
    for (auto lead = leads.begin(); lead != end; ++lead) taken.claims.push_back(std::move(lead->claim));
    leads.erase(leads.begin(), end);
    if (leads.empty()) groups_.erase(longest);
    return taken;
}

std::optional<milliseconds> WaitingMoves::ready_in(sync::SteadyTime now, milliseconds gather,
                                                   const IsFree& is_free) const {
    std::optional<milliseconds> soonest;
    for (const auto& [intent, leads] : groups_) {
        if (!is_free(intent)) continue;
        const auto left = std::chrono::ceil<milliseconds>(leads.front().since + gather - now);
        const auto wait = leads.size() >= leads_at_once ? milliseconds{0} : std::max(left, milliseconds{0});
        soonest = std::min(soonest.value_or(wait), wait);
    }
    return soonest;
}

Claims WaitingMoves::take_late(sync::SteadyTime deadline) {
    Claims late;
    for (auto group = groups_.begin(); group != groups_.end();) {
        auto& leads = group->second;
        const auto in_time = std::ranges::find_if(leads, [&](const auto& lead) { return lead.since >= deadline; });
        for (auto lead = leads.begin(); lead != in_time; ++lead) late.push_back(std::move(lead->claim));
        leads.erase(leads.begin(), in_time);
        group = leads.empty() ? groups_.erase(group) : std::next(group);
    }
    return late;
}

std::size_t WaitingMoves::room() const {
    std::size_t leads = 0;
    for (const auto& [intent, group] : groups_) leads += group.size();
    return leads_max - std::min(leads, leads_max);
}

Claims WaitingMoves::take_all() { return take_late(sync::SteadyTime::max()); }

}  // namespace leadsync::daemon
