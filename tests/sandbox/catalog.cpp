#include "tests/sandbox/catalog.hpp"

#include <algorithm>
#include <array>

#include "tests/sandbox/dice.hpp"
#include "tests/sandbox/documented_lead.hpp"
#include "tests/sandbox/instant.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::int64_t first_created = 1'704'067'200'000;  // 2024-01-01
constexpr std::int64_t hour = 3'600'000;
constexpr std::uint32_t user_count = 4;

enum class Kind : std::uint64_t { organization = 1, user, campaign, list, label };

class Maker {
public:
    explicit Maker(std::uint64_t seed) : dice_{mix(seed)} {}

    Uuid id(Kind kind, std::uint64_t number) const {
        const auto draw = static_cast<std::uint64_t>(kind) * 1'000'003 + number * 2;
        return uuid_v4(dice_.bits(draw), dice_.bits(draw + 1));
    }
    std::int64_t created(Kind kind, std::uint64_t number) const {
        const auto minutes = dice_.below(static_cast<std::uint64_t>(kind) * 7'919 + number, 60);
        return first_created + static_cast<std::int64_t>(number) * hour + static_cast<std::int64_t>(minutes) * 60'000;
    }

private:
    Dice dice_;
};

Json schedule() {
    Json days;
    for (const char* day : {"0", "1", "2", "3", "4", "5", "6"}) days[day] = day[0] >= '1' && day[0] <= '5';
    return {{"schedules", Json::array({{{"name", "Working hours"},
                                        {"timing", {{"from", "09:00"}, {"to", "17:00"}}},
                                        {"days", days},
                                        {"timezone", "Etc/GMT+12"}}})}};
}

Json campaign_json(const CatalogEntry& entry, std::uint64_t number, const Uuid& organization) {
    return {{"id", to_text(entry.id)},
            {"name", "Campaign " + std::to_string(number + 1)},
            {"status", 1},
            {"campaign_schedule", schedule()},
            {"sequences", Json::array()},
            {"timestamp_created", to_iso(entry.created)},
            {"timestamp_updated", to_iso(entry.created)},
            {"email_list", Json::array()},
            {"daily_limit", 100},
            {"stop_on_reply", true},
            {"organization", to_text(organization)}};
}

Json list_json(const CatalogEntry& entry, std::uint64_t number, const Uuid& organization, const Uuid& owner) {
    return {{"id", to_text(entry.id)},
            {"organization_id", to_text(organization)},
            {"has_enrichment_task", false},
            {"owned_by", to_text(owner)},
            {"name", "List " + std::to_string(number + 1)},
            {"timestamp_created", to_iso(entry.created)}};
}

struct Label {
    const char* name;
    const char* sentiment;
    int interest_status;
};
constexpr std::array<Label, 3> labels_of_a_workspace{
    {{"Hot Lead 🔥", "positive", 5001}, {"Call back later", "neutral", 5002}, {"Competitor", "negative", -5003}}};

Json label_json(const CatalogEntry& entry, const Label& label, const Uuid& organization, const Uuid& creator) {
    return {{"id", to_text(entry.id)},
            {"timestamp_created", to_iso(entry.created)},
            {"created_by", to_text(creator)},
            {"organization_id", to_text(organization)},
            {"label", label.name},
            {"interest_status_label", label.sentiment},
            {"interest_status", label.interest_status},
            {"use_with_ai", false}};
}

void newest_first(std::vector<CatalogEntry>& entries) {
    std::ranges::sort(entries, [](const auto& a, const auto& b) { return a.created > b.created; });
}

}  // namespace

Catalog::Catalog(const CatalogSettings& settings) {
    const Maker maker{settings.seed};
    const auto pick = [&](std::string_view documented, Kind kind, std::uint64_t number) {
        return settings.documented && number == 0 ? *parse_uuid(documented) : maker.id(kind, number);
    };
    organization = pick(documented_organization, Kind::organization, 0);
    for (std::uint32_t i = 0; i < user_count; ++i) users.push_back(pick(documented_user, Kind::user, i));
    if (settings.documented) users[1] = *parse_uuid(documented_assignee);
    for (std::uint32_t i = 0; i < settings.campaigns; ++i) {
        CatalogEntry entry{pick(documented_campaign, Kind::campaign, i), maker.created(Kind::campaign, i), {}};
        entry.json = campaign_json(entry, i, organization);
        campaigns.push_back(std::move(entry));
    }
    for (std::uint32_t i = 0; i < settings.lists; ++i) {
        CatalogEntry entry{pick(documented_list, Kind::list, i), maker.created(Kind::list, i), {}};
        entry.json = list_json(entry, i, organization, users[0]);
        lists.push_back(std::move(entry));
    }
    for (std::size_t i = 0; i < labels_of_a_workspace.size(); ++i) {
        CatalogEntry entry{maker.id(Kind::label, i), maker.created(Kind::label, i), {}};
        entry.json = label_json(entry, labels_of_a_workspace[i], organization, users[0]);
        labels.push_back(std::move(entry));
    }
    newest_first(campaigns);
    newest_first(lists);
    newest_first(labels);
    workspace = {{"id", to_text(organization)},
                 {"timestamp_created", to_iso(first_created)},
                 {"timestamp_updated", to_iso(first_created)},
                 {"owner", to_text(users[0])},
                 {"name", settings.workspace},
                 {"plan_id", "pid_hg_v1"}};
}

const CatalogEntry* Catalog::find(const std::vector<CatalogEntry>& entries, const Uuid& id) {
    const auto found = std::ranges::find(entries, id, &CatalogEntry::id);
    return found == entries.end() ? nullptr : &*found;
}

}  // namespace leadsync::sandbox
