#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace leadsync::chaos {

using Time = std::chrono::system_clock::time_point;

/// What people did in one workspace: what the end of a round is held against. Every value set is set only once, so
/// that a value that stands tells whose it is.
class Ledger {
public:
    struct Edit {
        Time at;
        std::string value;
    };
    using LeadKey = std::pair<std::string, std::string>;  ///< lead (row id here, Instantly's id there) and field

    std::map<LeadKey, Edit> here;
    std::map<LeadKey, Edit> there;

    std::set<std::string> rows_inserted;        ///< row ids
    std::map<std::string, std::string> emails;  ///< of those rows
    std::set<std::string> rows_gone;            ///< deleted or merged away here
    std::set<std::string> leads_known;          ///< on Instantly: from the start, or added there
    std::set<std::string> leads_gone;           ///< deleted there, or meant to go by a deletion or merge here
    std::set<std::string> made_on_both_sides;   ///< emails: two people made the lead at the same time

    /// Something happened to that lead (and field; empty: all of it) whose outcome nobody can tell.
    void exempt(const std::string& lead, const std::string& field = {}) { exempt_.insert({lead, field}); }
    [[nodiscard]] bool is_exempt(const std::string& lead, const std::string& field) const {
        return exempt_.contains({lead, {}}) || exempt_.contains({lead, field});
    }

private:
    std::set<LeadKey> exempt_;
};

}  // namespace leadsync::chaos
