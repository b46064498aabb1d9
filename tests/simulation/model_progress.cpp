#include "tests/simulation/model_progress.hpp"

#include <algorithm>

namespace leadsync::simulation {

store::Checkpoint ModelProgress::open_sweep() {
    auto& sweep = transaction_.write_workspace().sweep;
    if (!sweep) sweep = ModelSweep{.started_at = transaction_.now()};
    return sweep->checkpoint;
}

void ModelProgress::advance_sweep(const std::string& cursor, std::int64_t leads, std::int64_t changed) {
    auto& sweep = transaction_.write_workspace().sweep;
    if (!sweep) return;
    auto& checkpoint = sweep->checkpoint;
    checkpoint.cursor = cursor;
    ++checkpoint.pages;
    checkpoint.leads += leads;
    checkpoint.changed += changed;
}

void ModelProgress::finish_sweep() {
    auto& workspace = transaction_.write_workspace();
    auto& sweep = workspace.sweep;
    if (!sweep) return;
    if (!workspace.backfilled_at) workspace.backfilled_at = transaction_.now();
    workspace.sweep_completed_at = transaction_.now();
    workspace.fresh_as_of = sweep->started_at;
    sweep.reset();
}

bool ModelProgress::is_backfilled() { return transaction_.read().workspace.backfilled_at.has_value(); }

std::optional<std::chrono::milliseconds> ModelProgress::fresh_ago() {
    const auto& fresh_as_of = transaction_.read().workspace.fresh_as_of;
    if (!fresh_as_of) return std::nullopt;
    return std::chrono::round<std::chrono::milliseconds>(transaction_.now() - *fresh_as_of);
}

void ModelProgress::checked_new_leads() { transaction_.write_workspace().new_leads_checked_at = transaction_.now(); }

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
        if (sync::canonical(sync::Kind::uuid, row.id)) complete[row.id] = row;
    transaction_.write().catalogs[catalog] = std::move(complete);
}

std::int64_t ModelProgress::prune_history(std::chrono::hours keep, std::int64_t limit) {
    auto& history = transaction_.write().history;
    const auto looked_at = std::min(limit, static_cast<std::int64_t>(history.size()));
    const auto end = history.begin() + static_cast<std::ptrdiff_t>(looked_at);
    const auto kept = std::remove_if(history.begin(), end,
                                     [&](const ModelHistory& line) { return line.at < transaction_.now() - keep; });
    const auto pruned = end - kept;
    history.erase(kept, end);
    return pruned;
}

}  // namespace leadsync::simulation
