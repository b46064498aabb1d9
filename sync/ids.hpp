#pragma once

#include <compare>
#include <string>

namespace leadsync::sync {

/// An id as text, typed by what it names, so that two kinds of id never swap silently.
/// UUIDs are lower case with hyphens.
template <class Tag>
struct Id {
    std::string text;

    auto operator<=>(const Id&) const = default;
};

using LeadId = Id<struct LeadIdTag>;            ///< Ours: `crm.leads.id`.
using InstantlyId = Id<struct InstantlyIdTag>;  ///< Theirs: `crm.leads.instantly_id`.
using CampaignId = Id<struct CampaignIdTag>;
using ListId = Id<struct ListIdTag>;
using JobId = Id<struct JobIdTag>;  ///< A background job; 24 hex digits.

}  // namespace leadsync::sync
