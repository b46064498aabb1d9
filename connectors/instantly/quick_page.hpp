#pragma once

#include <optional>
#include <string>

#include "connectors/instantly/page.hpp"

namespace leadsync::instantly {

/// parse_lead_page for a plain body; nothing for any other, well-formed or not.
std::optional<LeadPage> quick_page(const std::string& body);

}  // namespace leadsync::instantly
