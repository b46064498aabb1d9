#include "tests/sandbox/population.hpp"

#include <algorithm>
#include <cassert>

#include "tests/sandbox/population_draws.hpp"

namespace leadsync::sandbox {
namespace {

constexpr std::int64_t first_v7 = 1'760'486'400'000;   // 2025-10-15: from here on ids are ordered by time
constexpr std::int64_t last_v7 = 1'767'225'600'000;    // 2026-01-01: later ids belong to leads added at run time
constexpr std::int64_t first_old = 1'704'067'200'000;  // 2024-01-01

std::vector<Uuid> make_ids(const PopulationSettings& settings) {
    const Dice dice{mix(settings.seed ^ 0x1D5)};
    const auto old = static_cast<std::uint32_t>(settings.old_id_share * settings.leads);
    std::vector<Uuid> ids;
    ids.reserve(settings.leads);
    for (std::uint32_t i = 0; i < settings.leads; ++i) {
        const auto high = dice.bits(2ULL * i);
        const auto low = dice.bits(2ULL * i + 1);
        if (i < old) {
            ids.push_back(uuid_v4(high, low));
        } else {
            const auto time = static_cast<std::int64_t>(high % static_cast<std::uint64_t>(last_v7 - first_v7));
            ids.push_back(uuid_v7(first_v7 + time, high >> 48, low));
        }
    }
    std::ranges::sort(ids);
    assert(std::ranges::adjacent_find(ids) == ids.end());
    return ids;
}

std::vector<Uuid> ids_of(const std::vector<CatalogEntry>& entries) {
    std::vector<Uuid> ids;
    for (const auto& entry : entries) ids.push_back(entry.id);
    return ids;
}

// The person's number is written into the address, so that a look-up by email needs no index of a million texts.
void append_base36(std::string& out, std::uint32_t number) {
    constexpr std::string_view digits = "0123456789abcdefghijklmnopqrstuvwxyz";
    if (number >= 36) append_base36(out, number / 36);
    out += digits[number % 36];
}

std::optional<std::uint32_t> person_in(std::string_view email) {
    const auto local = email.substr(0, email.find_first_of("+@"));
    const auto digits = local.substr(local.rfind('.') + 1);
    if (digits.empty() || digits.size() > 6) return std::nullopt;
    std::uint64_t number = 0;
    for (const char c : digits) {
        if (c >= '0' && c <= '9') {
            number = number * 36 + static_cast<std::uint64_t>(c - '0');
        } else if (c >= 'a' && c <= 'z') {
            number = number * 36 + static_cast<std::uint64_t>(c - 'a' + 10);
        } else {
            return std::nullopt;
        }
    }
    return static_cast<std::uint32_t>(number);
}

}  // namespace

Population::Population(const PopulationSettings& settings, const Catalog& catalog)
    : seed_{mix(settings.seed)},
      list_share_{settings.list_share},
      odd_share_{settings.odd_share},
      campaigns_{ids_of(catalog.campaigns)},
      lists_{ids_of(catalog.lists)},
      users_{catalog.users},
      organization_{",\"organization\":\"" + to_text(catalog.organization) + '"'},
      ids_{make_ids(settings)} {
    assert(ids_.empty() || !campaigns_.empty() || !lists_.empty());
}

std::uint32_t Population::rank_before(const Uuid& id) const {
    return static_cast<std::uint32_t>(std::ranges::lower_bound(ids_, id) - ids_.begin());
}

std::optional<std::uint32_t> Population::rank_of(const Uuid& id) const {
    const auto rank = rank_before(id);
    return rank < size() && ids_[rank] == id ? std::optional{rank} : std::nullopt;
}

bool Population::in_list(std::uint32_t rank) const {
    return campaigns_.empty() || (!lists_.empty() && dice(rank).chance(Draw::home, list_share_));
}

Home Population::home(std::uint32_t rank) const {
    if (in_list(rank)) return {{}, lists_[rank % lists_.size()]};
    return {campaigns_[rank % campaigns_.size()], {}};
}

// One lead in eight is the same person as one of the two before it, in another campaign or list: an email may be
// several leads, but only one in each place.
std::uint32_t Population::person(std::uint32_t rank) const {
    const auto back = static_cast<std::uint32_t>(dice(rank).below(Draw::twin, 16)) + 1;
    if (back > 2 || rank < back) return rank;
    for (std::uint32_t other = rank - back; other < rank; ++other) {
        if (home(other) == home(rank)) return rank;
    }
    return rank - back;
}

bool Population::has_email(std::uint32_t rank) const {
    return !in_list(rank) || dice(rank).below(Draw::no_email, 10) != 0;
}

std::size_t Population::company(std::uint32_t person) const {
    return static_cast<std::size_t>(dice(person).below(Draw::company, words_.companies.size()));
}

std::string_view Population::first_name(std::uint32_t rank) const {
    return words_.first_names[dice(person(rank)).below(Draw::first_name, words_.first_names.size())].plain;
}

std::string_view Population::last_name(std::uint32_t rank) const {
    return words_.last_names[dice(person(rank)).below(Draw::last_name, words_.last_names.size())].plain;
}

void Population::append_domain(std::uint32_t person, std::string& out) const {
    constexpr std::string_view endings[] = {".example.com", ".example.org", ".example.net", ".example"};
    out += words_.companies[company(person)].domain;
    append_base36(out, static_cast<std::uint32_t>(dice(person).below(Draw::domain, 1000)));
    out += endings[dice(person).below(Draw::domain, std::size(endings))];
}

void Population::append_email(std::uint32_t person, std::string& out) const {
    const auto draws = dice(person);
    const auto start = out.size();
    out += words_.first_names[draws.below(Draw::first_name, words_.first_names.size())].mail;
    out += '.';
    out += words_.last_names[draws.below(Draw::last_name, words_.last_names.size())].mail;
    out += '.';
    append_base36(out, person);
    if (draws.below(Draw::plus_tag, 8) == 0) out += "+newsletter";
    out += '@';
    append_domain(person, out);
    if (draws.below(Draw::capitals, 8) != 0) return;
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; };
    out[start] = upper(out[start]);
    const auto domain = out.find('@', start) + 1;
    out[domain] = upper(out[domain]);
}

std::string Population::email(std::uint32_t rank) const {
    std::string email;
    if (has_email(rank)) append_email(person(rank), email);
    return email;
}

std::vector<std::uint32_t> Population::with_email(std::string_view wanted) const {
    std::vector<std::uint32_t> ranks;
    const auto first = person_in(wanted);
    if (!first) return ranks;
    for (std::uint32_t back = 0; back <= 2; ++back) {
        const auto rank = *first + back;
        if (rank < size() && lower_case(email(rank)) == wanted) ranks.push_back(rank);
    }
    return ranks;
}

Facts Population::facts(std::uint32_t rank) const {
    const auto draws = dice(rank);
    constexpr std::int64_t day = 86'400'000;
    const auto within = [&](Draw draw, std::int64_t span) {
        return static_cast<std::int64_t>(draws.below(draw, static_cast<std::uint64_t>(span)));
    };
    Facts facts;
    facts.home = home(rank);
    facts.created =
        is_v7(ids_[rank]) ? unix_ms_of_v7(ids_[rank]) : first_old + within(Draw::created, first_v7 - first_old);
    facts.updated = facts.created + within(Draw::updated, 30 * day);
    facts.verification = draws.below(Draw::verification, 10) < 8 ? 1 : 11;
    facts.enrichment = draws.below(Draw::enrichment, 2) == 0 ? 1 : 0;
    facts.website_visitor = draws.below(Draw::visitor, 50) == 0;
    if (draws.below(Draw::assigned, 2) == 0) facts.assigned_to = users_[rank % users_.size()];
    if (draws.below(Draw::stage, 10) >= 7) return facts;

    constexpr int statuses[] = {1, 1, 1, 1, 3, 3, 2, -1, -2, -3};
    facts.status = statuses[draws.below(Draw::status, std::size(statuses))];
    facts.contacted = facts.created + within(Draw::sent_step, 10 * day);
    facts.opens = static_cast<int>(draws.below(Draw::opens, 4));
    if (facts.opens > 0) facts.opened = facts.contacted + within(Draw::opens, day);
    facts.clicks = draws.below(Draw::clicks, 6) == 0 ? 1 : 0;
    if (facts.clicks > 0) facts.clicked = facts.contacted + within(Draw::clicks, day);
    facts.replies = draws.below(Draw::replies, 5) == 0 ? 1 : 0;
    if (facts.replies > 0) {
        constexpr int interests[] = {1, 1, 2, 3, 4, 0, -1, -2, -3, -4, 5001, -5003};
        facts.replied = facts.contacted + within(Draw::replies, 2 * day);
        facts.interest = interests[draws.below(Draw::interest, std::size(interests))];
        facts.interest_changed = facts.replied + within(Draw::interest, day);
    }
    facts.in_subsequence = facts.replies > 0 && draws.below(Draw::subsequence, 4) == 0;
    facts.updated = std::max(
        {facts.updated, facts.contacted, facts.opened, facts.replied, facts.clicked, facts.interest_changed});
    if (draws.chance(Draw::odd, odd_share_ / 2)) facts.status = 0;
    return facts;
}

}  // namespace leadsync::sandbox
