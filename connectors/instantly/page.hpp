#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sync/lead.hpp"

namespace leadsync::instantly {

/// Leads to a page. Source: INSTANTLY.md, Reading leads.
inline constexpr int page_limit_max = 100;

/// A page of `POST /api/v2/leads/list`.
struct LeadPage {
    std::vector<sync::RemoteLead> leads;
    /// Items that are no lead (no usable id), as they came; a caller reports them and goes on.
    std::vector<std::string> unusable;
    /// Cursor of the next page: the id of this page's last lead. Nothing after the last page.
    std::optional<std::string> next;
    /// Instantly's clock when it answered, to the second; nothing where it did not tell.
    std::optional<std::chrono::sys_seconds> answered_at;
};

/// The page that an answer's body holds, not yet held against what was asked for, and without `answered_at`. Reads
/// with simdjson, more than twice as fast as by a tree; what is not plain (invalid UTF-8, a key that comes twice, an
/// item that is no lead, …) is left to parse_json and lead_page_of, which mend it or refuse it: the page and what is
/// thrown are theirs, but for `raw_hash`. A body with 64 bytes of capacity behind its end is read in place, another
/// is copied. Throws nlohmann::json::parse_error when it is no JSON, std::invalid_argument when it is no page.
/// Source: INSTANTLY.md, Reading leads.
LeadPage parse_lead_page(const std::string& body);

/// The same of a parsed body. No lead has a `raw_hash`.
LeadPage lead_page_of(nlohmann::json body);

/// `items` of a page of any listing, taken out of it. Throws std::invalid_argument when it has none.
nlohmann::json items_of(nlohmann::json& page);

/// The cursor of a page of any listing; nothing on the last. Throws std::invalid_argument when it is no text.
std::optional<std::string> cursor_of(const nlohmann::json& page);

}  // namespace leadsync::instantly
