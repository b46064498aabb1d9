#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tests/sandbox/instant.hpp"
#include "tests/sandbox/lead.hpp"
#include "tests/sandbox/population.hpp"

namespace leadsync::sandbox {

/// A lead as one reader sees it: pristine (then `edited` is null), or the text of its last visible edit.
/// Valid until the store changes.
struct LeadRef {
    Uuid id;
    std::uint32_t rank = 0;
    const Lead* edited = nullptr;
};

/// Whose eyes: with a tick, an API client that may lag behind the writes; without, the truth.
using Eyes = std::optional<Tick>;
inline constexpr Eyes truth = std::nullopt;

/// The leads of a workspace: the pristine population, overlaid by what was added, edited or deleted.
class LeadStore {
public:
    LeadStore(const PopulationSettings& settings, const Catalog& catalog) : pristine_{settings, catalog} {}

    std::size_t size() const { return size_; }

    std::optional<LeadRef> find(const Uuid& id, Eyes eyes) const;
    std::vector<LeadRef> with_email(std::string_view email, Eyes eyes) const;

    /// Calls `visit(LeadRef)` for each lead after `from` (or, descending, before it) until it returns false.
    template <class Visit>
    void walk(std::optional<Uuid> from, bool descending, Eyes eyes, Visit visit) const {
        if (descending) {
            walk_down(from, eyes, visit);
        } else {
            walk_up(from, eyes, visit);
        }
    }

    Home home(const LeadRef& ref) const { return ref.edited ? ref.edited->facts.home : pristine_.home(ref.rank); }
    Facts facts(const LeadRef& ref) const { return ref.edited ? ref.edited->facts : pristine_.facts(ref.rank); }
    std::string email(const LeadRef& ref) const { return ref.edited ? ref.edited->email : pristine_.email(ref.rank); }
    std::string_view first_name(const LeadRef& ref) const;
    std::string_view last_name(const LeadRef& ref) const;
    void append_json(const LeadRef& ref, std::string& out) const;
    Json json(const LeadRef& ref) const;

    /// Adds or replaces the lead. Clients see what was there before until `visible`.
    void put(const Uuid& id, const Json& json, Tick now, Tick visible);
    void erase(const Uuid& id, Tick now, Tick visible);

private:
    using Version = std::shared_ptr<const Lead>;  // null: there is no such lead

    struct Former {
        Tick until;
        Version version;
        bool pristine;
    };
    struct Entry {
        Version current;
        std::vector<Former> former;  // oldest first
    };
    using Entries = std::map<Uuid, Entry>;

    std::optional<LeadRef> visible(const Entries::value_type& entry, Eyes eyes) const;
    std::uint32_t rank_after(const Uuid& id) const;
    bool replaced(std::uint32_t rank) const { return !replaced_.empty() && replaced_[rank]; }
    void replace(const Uuid& id, Version version, Tick now, Tick visible);

    template <class Visit>
    void walk_up(const std::optional<Uuid>& from, Eyes eyes, Visit& visit) const;
    template <class Visit>
    void walk_down(const std::optional<Uuid>& from, Eyes eyes, Visit& visit) const;

    Population pristine_;
    std::vector<bool> replaced_;  // by rank: an entry stands for the pristine lead. Empty until the first write
    Entries entries_;
    std::unordered_map<std::string, std::unordered_set<Uuid, UuidHash>> emails_;  // of the entries; never shrinks
    std::size_t size_ = pristine_.size();
};

template <class Visit>
void LeadStore::walk_up(const std::optional<Uuid>& from, Eyes eyes, Visit& visit) const {
    auto rank = from ? rank_after(*from) : 0;
    auto entry = from ? entries_.upper_bound(*from) : entries_.begin();
    while (true) {
        while (rank < pristine_.size() && replaced(rank)) ++rank;
        const bool more_pristine = rank < pristine_.size();
        if (entry != entries_.end() && (!more_pristine || entry->first < pristine_.id(rank))) {
            const auto ref = visible(*entry++, eyes);
            if (ref && !visit(*ref)) return;
        } else if (more_pristine) {
            const LeadRef ref{pristine_.id(rank), rank, nullptr};
            ++rank;
            if (!visit(ref)) return;
        } else {
            return;
        }
    }
}

template <class Visit>
void LeadStore::walk_down(const std::optional<Uuid>& from, Eyes eyes, Visit& visit) const {
    auto rank = from ? pristine_.rank_before(*from) : pristine_.size();  // one above the next to visit
    auto entry = from ? entries_.lower_bound(*from) : entries_.end();
    while (true) {
        while (rank > 0 && replaced(rank - 1)) --rank;
        if (entry != entries_.begin() && (rank == 0 || pristine_.id(rank - 1) < std::prev(entry)->first)) {
            const auto ref = visible(*--entry, eyes);
            if (ref && !visit(*ref)) return;
        } else if (rank > 0) {
            --rank;
            if (!visit(LeadRef{pristine_.id(rank), rank, nullptr})) return;
        } else {
            return;
        }
    }
}

}  // namespace leadsync::sandbox
