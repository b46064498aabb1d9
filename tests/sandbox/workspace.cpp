#include "tests/sandbox/workspace.hpp"

#include <algorithm>

#include "tests/sandbox/documented_lead.hpp"

namespace leadsync::sandbox {
namespace {

PopulationSettings population_of(const WorkspaceSettings& settings) {
    const bool documented = settings.documented_lead && settings.leads > 0;
    return {settings.seed, settings.leads - (documented ? 1 : 0), settings.old_id_share, settings.list_share,
            settings.odd_share};
}

std::string hex(std::uint64_t bits, std::size_t digits) {
    std::string text;
    for (std::size_t i = 0; i < digits; ++i) text += "0123456789abcdef"[bits >> (4 * i) & 15];
    return text;
}

}  // namespace

Workspace::Workspace(WorkspaceSettings given)
    : settings{std::move(given)},
      catalog{{settings.name, settings.seed, settings.campaigns, settings.lists, settings.documented_lead}},
      leads{population_of(settings), catalog},
      faults{settings.seed},
      random_state_{mix(settings.seed ^ 0xAB5)} {
    if (!settings.documented_lead || settings.leads == 0) return;
    leads.put(*parse_uuid(documented_lead_id), Json::parse(documented_lead), Tick{}, Tick{});
}

void Workspace::settle(const Moment& now) {
    while (!pending_.empty() && pending_.begin()->first <= now.tick) {
        const auto due = pending_.extract(pending_.begin());
        due.mapped()(now.at(due.key()));
    }
}

void Workspace::later(Tick due, std::function<void(const Moment&)> action) {
    pending_.emplace(due, std::move(action));
}

std::optional<Json> Workspace::lead(const Uuid& id) const {
    const auto ref = leads.find(id, truth);
    if (!ref) return std::nullopt;
    return leads.json(*ref);
}

void Workspace::put(const Uuid& id, const Json& lead, const Moment& now) {
    leads.put(id, lead, now.tick, now.tick + milliseconds{switches.read_lag_ms});
}

void Workspace::erase(const Uuid& id, const Moment& now) {
    leads.erase(id, now.tick, now.tick + milliseconds{switches.read_lag_ms});
}

Uuid Workspace::next_lead_id(const Moment& now) {
    constexpr std::uint64_t sequence_end = 0x1000;
    if (now.unix_ms > last_id_ms_) {
        last_id_ms_ = now.unix_ms;
        last_id_sequence_ = 0;
    } else if (++last_id_sequence_ == sequence_end) {
        ++last_id_ms_;
        last_id_sequence_ = 0;
    }
    return uuid_v7(last_id_ms_, last_id_sequence_, random_bits());
}

Job& Workspace::add_job(std::string_view entity_type, const Uuid& entity, const Moment& now) {
    Job job;
    job.id = hex(random_bits(), 16) + hex(random_bits(), 8);
    job.entity_id = to_text(entity);
    job.entity_type = entity_type;
    job.created = job.updated = now.unix_ms;
    return jobs_.emplace_back(std::move(job));
}

const Job* Workspace::job(std::string_view id) const {
    const auto found = std::ranges::find(jobs_, id, &Job::id);
    return found == jobs_.end() ? nullptr : &*found;
}

void Workspace::refuse_if_held(const Home& home) const {
    for (const auto& container : {home.campaign, home.list}) {
        const auto held = held_.find(container);
        if (held == held_.end() || held->second == 0) continue;
        throw refusal(409, "Leads are being moved. Please try again in a few seconds");
    }
}

std::optional<std::int64_t> Workspace::remaining_in_plan() const {
    if (switches.plan_limit < 0) return std::nullopt;
    return std::max(std::int64_t{0}, switches.plan_limit - static_cast<std::int64_t>(leads.size()));
}

bool Workspace::next_write_is_ignored() {
    return switches.ignore_writes_every > 0 && ++writes_ % switches.ignore_writes_every == 0;
}

}  // namespace leadsync::sandbox
