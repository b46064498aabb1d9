#include "tests/simulation/model_progress.hpp"

#include <algorithm>
#include <utility>

namespace leadsync::simulation {
namespace {

store::SweepState state_of(const std::map<std::int64_t, ModelRange>& ranges) {
    store::SweepState state;
    for (const auto& [number, range] : ranges) {
        state.pages += range.at.pages;
        state.leads += range.read.leads;
        state.changed += range.read.changed;
        if (!range.is_complete) state.open.push_back(range.at);
    }
    return state;
}

}  // namespace

void ModelProgress::begin_chains(const std::vector<store::Place>& places) {
    auto& workspace = transaction_.write_workspace();
    workspace.sweep.reset();
    workspace.chains.clear();
    for (const auto& place : places) {
        const auto number = workspace.next_range++;
        workspace.chains[number].at = {.number = number, .place = place};
    }
}

std::optional<store::SweepState> ModelProgress::chains() {
    const auto& workspace = transaction_.read().workspace;
    if (workspace.chains.empty()) return std::nullopt;
    auto state = state_of(workspace.chains);
    if (workspace.sweep) state.changed += state_of(workspace.sweep->ranges).changed;
    return state;
}

store::SweepState ModelProgress::open_sweep(std::int64_t leads_per_range, std::int64_t ranges_max) {
    auto& workspace = transaction_.write_workspace();
    if (!workspace.sweep) {
        workspace.sweep = ModelSweep{.started_at = transaction_.now(), .ranges = {}};
        const auto& bases = transaction_.read().bases;
        const auto size =
            leads_per_range * (static_cast<std::int64_t>(bases.size()) / (leads_per_range * ranges_max) + 1);
        std::vector<std::string> known;
        for (const auto& [id, base] : bases)
            if (!base.gone_at && !base.deleted_at) known.push_back(base.instantly_id.text);
        std::ranges::sort(known);
        std::optional<std::string> begin;
        for (auto n = size; n <= static_cast<std::int64_t>(known.size()); n += size) {
            const auto& cut = known[static_cast<std::size_t>(n - 1)];
            add_range(begin, cut);
            begin = cut;
        }
        add_range(begin, std::nullopt);
    }
    auto state = state_of(workspace.sweep->ranges);
    state.changed += state_of(workspace.chains).changed;
    return state;
}

std::int64_t ModelProgress::add_range(const std::optional<std::string>& begin,
                                      const std::optional<std::string>& end) {
    auto& workspace = transaction_.write_workspace();
    const auto number = workspace.next_range++;
    workspace.sweep->ranges[number].at = {.number = number, .cursor = begin, .end = end};
    return number;
}

ModelRange& ModelProgress::processed(const store::SweepRange& from, const store::SweepStep& page) {
    auto& workspace = transaction_.write_workspace();
    const bool is_chain = workspace.chains.contains(from.number);
    const bool is_there = is_chain || (workspace.sweep && workspace.sweep->ranges.contains(from.number));
    auto* range = is_there ? &(is_chain ? workspace.chains : workspace.sweep->ranges).at(from.number) : nullptr;
    if (range == nullptr || range->is_complete || range->at.cursor != from.cursor)
        throw store::StoreError{"a range does not stand where it was left"};
    ++range->at.pages;
    range->read.leads += page.leads;
    range->read.changed += page.changed;
    return *range;
}

void ModelProgress::advance_range(const store::SweepRange& from, const std::string& cursor,
                                  const store::SweepStep& page) {
    processed(from, page).at.cursor = cursor;
}

void ModelProgress::finish_range(const store::SweepRange& from, const store::SweepStep& page) {
    auto& range = processed(from, page);
    if (from.end && (!range.at.end || *range.at.end > *from.end))
        throw store::StoreError{"a range reaches further than it was read"};
    range.is_complete = true;
}

std::optional<std::int64_t> ModelProgress::cut_range(std::int64_t number, const std::string& at) {
    auto& sweep = transaction_.write_workspace().sweep;
    if (!sweep || !sweep->ranges.contains(number) || sweep->ranges.at(number).is_complete) return std::nullopt;
    const auto end = std::exchange(sweep->ranges.at(number).at.end, at);
    return add_range(at, end);
}

void ModelProgress::finish_sweep() {
    auto& workspace = transaction_.write_workspace();
    auto& sweep = workspace.sweep;
    if (!sweep) return;
    if (!workspace.backfilled_at) workspace.backfilled_at = transaction_.now();
    workspace.sweep_completed_at = transaction_.now();
    workspace.fresh_as_of = sweep->started_at;
    sweep.reset();
    workspace.chains.clear();
}

bool ModelProgress::begin_repair(std::chrono::milliseconds every) {
    const auto repaired = ago(transaction_.read().workspace.repaired_at);
    if (repaired && *repaired < every) return false;
    transaction_.write().workspace.repaired_at.reset();
    return true;
}

void ModelProgress::finish_repair() { transaction_.write().workspace.repaired_at = transaction_.now(); }

bool ModelProgress::is_backfilled() { return transaction_.read().workspace.backfilled_at.has_value(); }

std::optional<std::chrono::milliseconds> ModelProgress::fresh_ago() {
    return ago(transaction_.read().workspace.fresh_as_of);
}

std::optional<std::chrono::milliseconds> ModelProgress::ago(const std::optional<Instant>& at) const {
    if (!at) return std::nullopt;
    return std::chrono::round<std::chrono::milliseconds>(transaction_.now() - *at);
}

std::chrono::milliseconds ModelProgress::sweep_took() {
    const auto& workspace = transaction_.read().workspace;
    if (!workspace.sweep_completed_at || !workspace.fresh_as_of) return std::chrono::milliseconds{0};
    return std::chrono::round<std::chrono::milliseconds>(*workspace.sweep_completed_at - *workspace.fresh_as_of);
}

void ModelProgress::checked_new_leads(std::chrono::milliseconds ago, const std::optional<sync::InstantlyId>& last) {
    auto& workspace = transaction_.write_workspace();
    workspace.new_leads_checked_at = transaction_.now() - ago;
    if (last) workspace.new_leads_read_to = last;
}

std::optional<sync::InstantlyId> ModelProgress::new_leads_read_to() {
    return transaction_.read().workspace.new_leads_read_to;
}

std::optional<std::chrono::milliseconds> ModelProgress::new_leads_ago() {
    const auto& workspace = transaction_.read().workspace;
    return ago(workspace.new_leads_checked_at ? workspace.new_leads_checked_at : workspace.backfilled_at);
}

void ModelProgress::report_active(std::int64_t leads, std::optional<std::chrono::milliseconds> ago) {
    auto& workspace = transaction_.write_workspace();
    workspace.active_leads = leads;
    workspace.active_as_of.reset();
    if (ago) workspace.active_as_of = transaction_.now() - *ago;
}

std::optional<std::chrono::milliseconds> ModelProgress::active_ago() {
    return ago(transaction_.read().workspace.active_as_of);
}

void ModelProgress::set_state(const std::string& state, const std::optional<std::string>& reason) {
    auto& workspace = transaction_.write_workspace();
    workspace.state = state;
    workspace.reason = reason;
}

bool ModelProgress::pin(const std::string& instantly_id, const std::string& instantly_name) {
    const auto& pinned = transaction_.read().workspace.instantly_id;
    if (pinned && *pinned != instantly_id) return false;
    auto& workspace = transaction_.write_workspace();
    workspace.instantly_id = instantly_id;
    workspace.instantly_name = instantly_name;
    return true;
}

void ModelProgress::set_lead_count(std::int64_t leads) { transaction_.write_workspace().leads_on_instantly = leads; }

std::optional<std::int64_t> ModelProgress::lead_count() { return transaction_.read().workspace.leads_on_instantly; }

void ModelProgress::report_requests(std::size_t last_minute) {
    transaction_.write_workspace().requests_last_minute = last_minute;
}

void ModelProgress::record_spent(const std::vector<store::SpentSecond>& seconds) {
    transaction_.write_workspace().spent = seconds;
}

std::vector<store::SpentSecond> ModelProgress::spent() { return transaction_.read().workspace.spent; }

void ModelProgress::replace_catalog(store::Catalog catalog, const std::vector<store::CatalogRow>& rows) {
    std::map<std::string, store::CatalogRow> complete;
    for (const auto& row : rows)
        if (const auto id = sync::canonical(sync::Kind::uuid, row.id))
            complete.try_emplace(*id, row).first->second.id = *id;
    transaction_.write().catalogs[catalog] = std::move(complete);
}

std::int64_t ModelProgress::prune_history(std::chrono::hours keep, std::int64_t limit) {
    const auto decided = prune_holds(keep, limit);
    if (transaction_.read().history.empty()) return decided;
    auto& history = transaction_.write_history().history;
    const auto looked_at = std::min(limit, static_cast<std::int64_t>(history.size()));
    const auto end = history.begin() + static_cast<std::ptrdiff_t>(looked_at);
    const auto kept = std::remove_if(history.begin(), end,
                                     [&](const ModelHistory& line) { return line.at < transaction_.now() - keep; });
    const std::int64_t pruned = end - kept;
    history.erase(kept, end);
    return std::max(pruned, decided);
}

std::int64_t ModelProgress::prune_holds(std::chrono::hours keep, std::int64_t limit) {
    const auto& state = transaction_.read();
    std::vector<std::int64_t> old;
    for (const auto& [id, held] : state.held)
        if (held.decided_at && *held.decided_at < transaction_.now() - keep && !state.absent.contains(held.lead)
            && std::ssize(old) < limit)
            old.push_back(id);
    if (old.empty()) return 0;
    auto& all = transaction_.write().held;
    for (const auto id : old) all.erase(id);
    return std::ssize(old);
}

}  // namespace leadsync::simulation
