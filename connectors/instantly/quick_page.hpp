#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/instantly/page.hpp"

namespace leadsync::instantly {

/// What simdjson may read behind the end of a text.
inline constexpr std::size_t room_behind = 64;

/// parse_lead_page for a plain body; nothing for any other, well-formed or not.
std::optional<LeadPage> quick_page(const std::string& body);

/// What a body tells without looking into its leads.
struct Scan {
    std::vector<ScannedLead> leads;
    std::optional<std::string> next;
};

/// The ids, bytes and cursor of a page. Where each lead's quick_lead has something to say too, that and this are what
/// quick_page says. Nothing for a body that is not plain as far as was looked, or has no `room_behind` its end.
std::optional<Scan> quick_scan(const std::string& body);

/// The lead that was scanned, its body still being there; nothing when it is not plain.
std::optional<sync::RemoteLead> quick_lead(std::string_view text);

}  // namespace leadsync::instantly
