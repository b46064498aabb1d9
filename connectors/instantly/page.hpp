#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
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

/// A lead of a page into which nobody has looked.
struct ScannedLead {
    sync::InstantlyId id;
    std::uint64_t raw_hash = 0;  ///< as of RemoteLead: equal to an earlier one, it is the same lead as then
    std::string_view text;       ///< in the body
};

/// A lead has something in it that only the tree can mend or refuse, and with it the whole page.
class NotPlain : public std::invalid_argument {
public:
    using std::invalid_argument::invalid_argument;
};

/// A page of which it is told which leads it holds. They are read one by one, those that somebody asks for: most
/// leads of most pages are known by their bytes.
class ScannedPage {
public:
    ScannedPage() = default;
    /// One that has been read.
    explicit ScannedPage(LeadPage page);
    /// `whole` is the same page read at once, and keeps its body.
    ScannedPage(std::vector<ScannedLead> scanned, std::optional<std::string> cursor, std::function<LeadPage()> whole);

    /// A lead, once. Throws NotPlain.
    sync::RemoteLead take(std::size_t index);

    /// All of the page, for one that is not plain; throws what reading it at once does.
    [[nodiscard]] LeadPage whole() const { return whole_(); }

    /// Leaves leads out, of whole() too.
    void leave_out(std::function<bool(const sync::InstantlyId&)> is_left_out);

    std::vector<ScannedLead> leads;
    std::vector<std::string> unusable;                      ///< as of LeadPage
    std::optional<std::string> next;                        ///< as of LeadPage
    std::optional<std::chrono::sys_seconds> answered_at{};  ///< as of LeadPage

private:
    std::vector<sync::RemoteLead> read_;  ///< in the order of `leads`, where all are read
    std::function<LeadPage()> whole_;
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
