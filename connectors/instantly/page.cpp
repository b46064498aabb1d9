#include "connectors/instantly/page.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/quick_page.hpp"

namespace leadsync::instantly {

using nlohmann::json;

json items_of(json& page) {
    const auto items = page.is_object() ? page.find("items") : page.end();
    if (!page.is_object() || items == page.end() || !items->is_array()) throw std::invalid_argument{"no `items`"};
    return std::move(*items);
}

std::optional<std::string> cursor_of(const json& page) {
    const auto found = page.find("next_starting_after");
    if (found == page.end() || found->is_null()) return std::nullopt;
    if (!found->is_string() || found->get_ref<const std::string&>().empty())
        throw std::invalid_argument{"a cursor that is no text"};
    return found->get<std::string>();
}

LeadPage lead_page_of(json body) {
    LeadPage page;
    auto items = items_of(body);
    page.leads.reserve(items.size());
    for (auto& item : items) {
        try {
            page.leads.push_back(parse_lead(std::move(item)));
        } catch (const std::invalid_argument&) {
            page.unusable.push_back(compact(item));  // untouched
        }
    }
    if (!items.empty()) page.next = cursor_of(body);  // an empty page is the last, whatever it says
    return page;
}

ScannedPage::ScannedPage(LeadPage page)
    : unusable{std::move(page.unusable)},
      next{std::move(page.next)},
      answered_at{page.answered_at},
      read_{std::move(page.leads)} {
    leads.reserve(read_.size());
    for (const auto& lead : read_) leads.push_back({lead.id, lead.raw_hash, {}});
}

ScannedPage::ScannedPage(std::vector<ScannedLead> scanned, std::optional<std::string> cursor,
                         std::function<LeadPage()> whole)
    : leads{std::move(scanned)}, next{std::move(cursor)}, whole_{std::move(whole)} {}

sync::RemoteLead ScannedPage::take(std::size_t index) {
    if (!whole_) return std::move(read_.at(index));
    auto lead = quick_lead(leads.at(index).text);
    if (!lead) throw NotPlain{"a lead that is not plain: " + leads.at(index).id.text};
    return *std::move(lead);
}

void ScannedPage::leave_out(std::function<bool(const sync::InstantlyId&)> is_left_out) {
    const auto leads_left_out = [&](const auto& lead) { return is_left_out(lead.id); };
    std::erase_if(leads, leads_left_out);
    std::erase_if(read_, leads_left_out);
    if (!whole_) return;
    whole_ = [whole = std::move(whole_), is_left_out = std::move(is_left_out)] {
        auto page = whole();
        std::erase_if(page.leads, [&](const auto& lead) { return is_left_out(lead.id); });
        return page;
    };
}

LeadPage parse_lead_page(const std::string& body) {
    auto page = quick_page(body);
    return page ? *std::move(page) : lead_page_of(parse_json(body));
}

}  // namespace leadsync::instantly
