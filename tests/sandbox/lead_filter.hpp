#pragma once

#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "tests/sandbox/body.hpp"
#include "tests/sandbox/lead_store.hpp"

namespace leadsync::sandbox {

/// Which leads a list, move or bulk-assign request means.
class LeadFilter {
public:
    /// `assigned_to`: only leads of these users.
    explicit LeadFilter(const Body& body, std::optional<std::vector<Uuid>> assigned_to = {});

    /// Calls `visit(LeadRef)` for each lead it means, in id order after `from`, until it returns false.
    template <class Visit>
    void select(const LeadStore& store, std::optional<Uuid> from, bool descending, Moment now, Eyes eyes,
                Visit visit) const;

    bool matches(const LeadStore& store, const LeadRef& ref, const Moment& now) const;

private:
    struct Query {
        std::string action;
        std::int64_t within_days = 0;  // 0: at any time
        std::optional<std::int64_t> status;
        bool status_is_not = false;
    };

    static std::vector<Query> queries_of(const Body& body);
    bool matches_place(const Home& home) const;
    bool matches_facts(const Facts& facts, const Moment& now) const;
    bool matches_texts(const LeadStore& store, const LeadRef& ref) const;
    std::vector<LeadRef> named_leads(const LeadStore& store, Eyes eyes) const;

    std::optional<Uuid> campaign_;
    std::optional<Uuid> list_;
    std::optional<bool> in_campaign_;
    std::optional<bool> in_list_;
    std::optional<bool> website_visitor_;
    std::optional<std::int64_t> enrichment_;
    std::optional<std::vector<Uuid>> assigned_to_;
    std::optional<std::vector<Uuid>> ids_;
    std::optional<std::unordered_set<std::string>> contacts_;  // lower case
    std::unordered_set<Uuid, UuidHash> excluded_;
    std::string search_;  // lower case
    std::string named_filter_;
    std::vector<Query> queries_;
    bool looks_at_facts_ = false;
};

template <class Visit>
void LeadFilter::select(const LeadStore& store, std::optional<Uuid> from, bool descending, Moment now, Eyes eyes,
                        Visit visit) const {
    if (!ids_ && !contacts_) {
        store.walk(from, descending, eyes,
                   [&](const LeadRef& ref) { return !matches(store, ref, now) || visit(ref); });
        return;
    }
    auto refs = named_leads(store, eyes);
    if (descending) std::reverse(refs.begin(), refs.end());
    for (const auto& ref : refs) {
        if (from && (descending ? ref.id >= *from : ref.id <= *from)) continue;
        if (matches(store, ref, now) && !visit(ref)) return;
    }
}

}  // namespace leadsync::sandbox
