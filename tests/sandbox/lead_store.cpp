#include "tests/sandbox/lead_store.hpp"

#include <algorithm>
#include <set>

namespace leadsync::sandbox {

std::uint32_t LeadStore::rank_after(const Uuid& id) const {
    const auto rank = pristine_.rank_before(id);
    return rank < pristine_.size() && pristine_.id(rank) == id ? rank + 1 : rank;
}

std::optional<LeadRef> LeadStore::visible(const Entries::value_type& entry, Eyes eyes) const {
    const auto& [id, state] = entry;
    if (eyes) {
        for (const auto& former : state.former) {
            if (former.until <= *eyes) continue;
            if (former.pristine) return LeadRef{id, *pristine_.rank_of(id), nullptr};
            if (!former.version) return std::nullopt;
            return LeadRef{id, 0, former.version.get()};
        }
    }
    if (!state.current) return std::nullopt;
    return LeadRef{id, 0, state.current.get()};
}

std::optional<LeadRef> LeadStore::find(const Uuid& id, Eyes eyes) const {
    if (const auto entry = entries_.find(id); entry != entries_.end()) return visible(*entry, eyes);
    const auto rank = pristine_.rank_of(id);
    if (!rank) return std::nullopt;
    return LeadRef{id, *rank, nullptr};
}

std::vector<LeadRef> LeadStore::with_email(std::string_view email, Eyes eyes) const {
    const auto wanted = lower_case(email);
    std::set<Uuid> ids;
    for (const auto rank : pristine_.with_email(wanted)) ids.insert(pristine_.id(rank));
    if (const auto entry = emails_.find(wanted); entry != emails_.end()) {
        ids.insert(entry->second.begin(), entry->second.end());
    }
    std::vector<LeadRef> refs;
    for (const auto& id : ids) {
        const auto ref = find(id, eyes);
        if (ref && lower_case(this->email(*ref)) == wanted) refs.push_back(*ref);
    }
    return refs;
}

std::string_view LeadStore::first_name(const LeadRef& ref) const {
    return ref.edited ? ref.edited->first_name : pristine_.first_name(ref.rank);
}

std::string_view LeadStore::last_name(const LeadRef& ref) const {
    return ref.edited ? ref.edited->last_name : pristine_.last_name(ref.rank);
}

void LeadStore::append_json(const LeadRef& ref, std::string& out) const {
    if (ref.edited) {
        out += ref.edited->json;
    } else {
        pristine_.append_json(ref.rank, out);
    }
}

Json LeadStore::json(const LeadRef& ref) const {
    std::string text;
    append_json(ref, text);
    return Json::parse(text);
}

void LeadStore::put(const Uuid& id, const Json& json, Tick now, Tick visible) {
    auto lead = std::make_shared<const Lead>(make_lead(json));
    if (!lead->email.empty()) emails_[lower_case(lead->email)].insert(id);
    replace(id, std::move(lead), now, visible);
}

void LeadStore::erase(const Uuid& id, Tick now, Tick visible) { replace(id, nullptr, now, visible); }

void LeadStore::replace(const Uuid& id, Version version, Tick now, Tick visible) {
    const auto rank = pristine_.rank_of(id);
    const auto [entry, first_write] = entries_.try_emplace(id);
    auto& state = entry->second;
    const bool pristine = first_write && rank;
    const bool existed = pristine || state.current;
    if (pristine) {
        if (replaced_.empty()) replaced_.resize(pristine_.size());
        replaced_[*rank] = true;
    }
    std::erase_if(state.former, [&](const Former& former) { return former.until <= now; });
    if (visible > now) state.former.push_back({visible, state.current, pristine});
    if (version) size_ += existed ? 0 : 1;
    if (!version) size_ -= existed ? 1 : 0;
    state.current = std::move(version);
}

}  // namespace leadsync::sandbox
