#include <map>

#include "tests/sandbox/api.hpp"
#include "tests/sandbox/lead_filter.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::int64_t limit_default = 10;
constexpr std::int64_t limit_max = 100;

struct Page {
    std::size_t limit = 0;
    std::optional<Uuid> after;
};

Page page_of(const Call& call, const Body& body) {
    const auto& switches = call.workspace.switches;
    const auto limit = body.integer("limit").value_or(limit_default);
    if (limit < 1) throw refusal(400, "body/limit must be >= 1");
    if (limit > limit_max && switches.limit_over_100 == "400") throw refusal(400, "body/limit must be <= 100");
    Page page{limit > limit_max ? 0 : static_cast<std::size_t>(limit), std::nullopt};
    const auto cursor = body.text("starting_after");
    if (!cursor) return page;
    page.after = parse_uuid(*cursor);
    if (!page.after) throw refusal(400, "body/starting_after must match format \"uuid\"");
    if (switches.unknown_cursor == "accept" || call.workspace.leads.find(*page.after, call.eyes())) return page;
    if (switches.unknown_cursor == "ignore") return {page.limit, std::nullopt};
    if (switches.unknown_cursor == "empty") return {0, std::nullopt};
    throw refusal(switches.unknown_cursor == "400" ? 400 : 404, "starting_after: no such lead");
}

void refuse_gone_places(const Call& call, const Body& body) {
    const auto& gone = call.workspace.switches.gone_places;
    if (gone.empty()) return;
    for (const char* key : {"campaign", "list_id"})
        if (gone.contains(body.text(key).value_or(""))) throw refusal(404, std::string{key} + ": not found");
}

bool is_hidden(Workspace& workspace, const Uuid& id) {
    const auto& switches = workspace.switches;
    if (!switches.hidden_ids.empty() && switches.hidden_ids.contains(to_text(id))) return true;
    return switches.hidden_share > 0 && Dice{workspace.random_bits()}.chance(0, switches.hidden_share);
}

std::vector<LeadRef> page_by_id(const Call& call, const LeadFilter& filter, const Page& page) {
    std::vector<LeadRef> rows;
    const bool descending = call.workspace.switches.list_order == "id_descending";
    filter.select(call.workspace.leads, page.after, descending, call.now, call.eyes(), [&](const LeadRef& ref) {
        if (!is_hidden(call.workspace, ref.id)) rows.push_back(ref);
        return rows.size() < page.limit;
    });
    return rows;
}

/// One lead for each email, in the order of the emails. There is no index for it: every page looks at all leads.
std::vector<LeadRef> page_by_email(const Call& call, const LeadFilter& filter, const Page& page) {
    const auto& leads = call.workspace.leads;
    std::string after;
    if (page.after) {
        if (const auto cursor = leads.find(*page.after, call.eyes())) after = lower_case(leads.email(*cursor));
    }
    std::map<std::string, LeadRef> smallest;
    filter.select(leads, std::nullopt, false, call.now, call.eyes(), [&](const LeadRef& ref) {
        auto email = lower_case(leads.email(ref));
        if (email.empty() || email <= after || is_hidden(call.workspace, ref.id)) return true;
        if (smallest.size() == page.limit && email >= smallest.rbegin()->first) return true;
        smallest.try_emplace(std::move(email), ref);
        if (smallest.size() > page.limit) smallest.erase(std::prev(smallest.end()));
        return true;
    });
    std::vector<LeadRef> rows;
    for (const auto& [email, ref] : smallest) rows.push_back(ref);
    return rows;
}

void answer_page(Call& call, const std::vector<LeadRef>& rows) {
    auto& out = call.reply.body;
    out += R"({"items":[)";
    for (const auto& row : rows) {
        append_answer(call.workspace, row, out);
        out += ',';
    }
    if (rows.empty()) {
        out += "]}";
        return;
    }
    out.back() = ']';
    out += R"(,"next_starting_after":")";
    append_uuid(out, rows.back().id);
    out += "\"}";
}

}  // namespace

void list_leads(Call& call) {
    const Body body{call.request};
    const LeadFilter filter{body, body.ids("organization_user_ids")};
    refuse_gone_places(call, body);
    const auto page = page_of(call, body);
    if (page.limit == 0 || call.is(FaultKind::empty) || call.workspace.switches.empty_lists) {
        answer_page(call, {});
    } else {
        answer_page(call, body.flag("distinct_contacts") ? page_by_email(call, filter, page)
                                                         : page_by_id(call, filter, page));
    }
}

}  // namespace leadsync::sandbox
