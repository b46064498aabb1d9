#include "sync/refusals.hpp"

#include <algorithm>
#include <limits>

namespace leadsync::sync {

int Refusals::refused(std::size_t endpoint, std::span<const std::size_t> leads, SteadyTime now) {
    make_room(leads.size() + 1, now);
    const bool endpoint_is_known = is_noted(endpoint, now);
    const bool is_known =
        endpoint_is_known || std::ranges::any_of(leads, [&](auto lead) { return is_noted(lead, now); });
    if (!is_known) {
        doubted_at_ = now;
        is_served_ = false;
    }
    // A lead that is known to be refused says nothing of its kind of call: other leads may be let through.
    const bool is_the_kinds = !is_known || endpoint_is_known;
    if (is_the_kinds) note(endpoint, now);
    int least = std::numeric_limits<int>::max();
    for (const auto lead : leads) {
        auto& noted = note(lead, now);
        if (is_served_) noted.times = is_the_kinds ? std::max(noted.times, 1) : noted.times + 1;
        least = std::min(least, noted.times);
    }
    return is_served_ && !leads.empty() ? least : 0;
}

void Refusals::accepted(std::size_t endpoint, std::span<const std::size_t> leads, SteadyTime left_at) {
    if (left_at > doubted_at_) is_served_ = true;
    forget(endpoint, left_at);
    for (const auto lead : leads) forget(lead, left_at);
}

bool Refusals::is_noted(std::size_t subject, SteadyTime now) const {
    const auto found = noted_.find(subject);
    return found != noted_.end() && now - found->second.last <= kept;
}

Refusals::Noted& Refusals::note(std::size_t subject, SteadyTime now) {
    auto& noted = noted_.try_emplace(subject, Noted{now, now}).first->second;
    if (now - noted.last > kept) noted = Noted{now, now};
    noted.last = now;
    return noted;
}

void Refusals::forget(std::size_t subject, SteadyTime left_at) {
    const auto found = noted_.find(subject);
    if (found != noted_.end() && left_at > found->second.since) noted_.erase(found);
}

void Refusals::make_room(std::size_t subjects, SteadyTime now) {
    if (noted_.size() + subjects <= most) return;
    std::erase_if(noted_, [&](const auto& noted) { return now - noted.second.last > kept; });
    if (noted_.size() + subjects > most) noted_.clear();
}

}  // namespace leadsync::sync
