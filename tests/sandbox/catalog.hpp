#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sandbox/lead.hpp"

namespace leadsync::sandbox {

struct CatalogSettings {
    std::string workspace;
    std::uint64_t seed = 1;
    std::uint32_t campaigns = 5;
    std::uint32_t lists = 3;
    bool documented =
        true;  ///< The first campaign, list, user and the organization are those of the documented lead.
};

/// One row of a listing: its answer, and the place that cursors name.
struct CatalogEntry {
    Uuid id;
    std::int64_t created = 0;
    Json json;
};

/// What surrounds the leads of a workspace: campaigns, lists, labels, users, and the workspace itself.
/// Each listing is newest first.
class Catalog {
public:
    explicit Catalog(const CatalogSettings& settings);

    Uuid organization;
    std::vector<Uuid> users;
    std::vector<CatalogEntry> campaigns;
    std::vector<CatalogEntry> lists;
    std::vector<CatalogEntry> labels;
    Json workspace;

    bool has_campaign(const Uuid& id) const { return find(campaigns, id) != nullptr; }
    bool has_list(const Uuid& id) const { return find(lists, id) != nullptr; }

    /// Null when there is none.
    static const CatalogEntry* find(const std::vector<CatalogEntry>& entries, const Uuid& id);
};

}  // namespace leadsync::sandbox
