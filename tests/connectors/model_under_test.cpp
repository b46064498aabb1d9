#include <fmt/format.h>

#include "tests/connectors/store_contract.hpp"
#include "tests/simulation/model_store.hpp"

namespace leadsync::store_contract {
namespace {

using simulation::ModelStore;
using simulation::Resolution;

std::string text_of(std::optional<Resolution> resolution) {
    if (!resolution) return "";
    if (*resolution == Resolution::agreed) return "agreed";
    return *resolution == Resolution::local ? "local" : "remote";
}

class ModelUnderTest final : public StoreUnderTest {
public:
    sync::Instant now() override { return now_; }
    void advance(std::chrono::milliseconds duration) override { now_ += duration; }

    sync::LeadId insert(const sync::Content& content, std::optional<sync::LeadId> id) override {
        return model_.insert(content, std::move(id));
    }
    void update(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) override {
        model_.update(id, edit);
    }
    void erase(const sync::LeadId& id) override { model_.erase(id); }
    void resolve(std::int64_t conflict, sync::Side side) override { model_.resolve(conflict, side); }
    void decide(std::int64_t held, bool approve) override { model_.decide(held, approve); }
    void merge_leads(const sync::LeadId& source, const sync::LeadId& destination) override {
        model_.merge_leads(source, destination);
    }
    void lock(const sync::LeadId& id) override { model_.locked.insert(id); }
    void unlock() override { model_.locked.clear(); }

    void lose_row(const sync::LeadId& id) override { model_.tables().rows.erase(id); }
    void lose_base(const sync::LeadId& id) override { model_.tables().bases.erase(id); }
    void lose_queued(const sync::LeadId& id) override { model_.tables().queue.erase(id); }
    void put_back(const sync::LeadId& id, const Row& row) override {
        auto& tables = model_.tables();
        tables.rows[id] = {
            .instantly_id = row.instantly_id, .content = row.content, .status = row.status, .error = row.error};
        tables.queue.erase(id);
    }
    void update_unseen(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) override {
        edit(model_.tables().rows.at(id).content);
    }

    std::optional<Row> row(const sync::LeadId& id) override {
        const auto& rows = model_.state().rows;
        const auto found = rows.find(id);
        if (found == rows.end()) return std::nullopt;
        const auto& row = found->second;
        return Row{row.instantly_id, row.content, row.status, row.error, row.deleted_at.has_value()};
    }

    std::vector<ConflictLine> conflicts() override {
        std::vector<ConflictLine> lines;
        for (const auto& [id, conflict] : model_.state().conflicts)
            lines.push_back({id, conflict.lead, conflict.key, conflict.base, conflict.local, conflict.remote,
                             std::string{sync::name_of(conflict.rule)}, text_of(conflict.resolution),
                             conflict.resolved_at.has_value()});
        return lines;
    }

    std::int64_t pending() override {
        return std::ranges::count_if(model_.state().queue,
                                     [](const auto& lead) { return !lead.second.dead_at && !lead.second.held_at; });
    }

    std::vector<std::string> attempts(const sync::LeadId& id) override {
        const auto& kept = model_.state().attempts;
        const auto found = kept.find(id);
        return found == kept.end() ? std::vector<std::string>{}
                                   : std::vector<std::string>{found->second.begin(), found->second.end()};
    }

    std::vector<HeldLine> held() override {
        std::vector<HeldLine> lines;
        for (const auto& [id, held] : model_.state().held)
            lines.push_back({id, held.lead, held.kind, held.reason, held.decision});
        return lines;
    }

    std::vector<store::HistoryEntry> history() override {
        std::vector<store::HistoryEntry> entries;
        for (const auto& line : model_.state().history) entries.push_back(line.entry);
        return entries;
    }

    WorkspaceLine workspace() override {
        const auto& workspace = model_.state().workspace;
        return {workspace.state,
                workspace.reason,
                workspace.instantly_id,
                workspace.instantly_name,
                static_cast<int>(workspace.requests_last_minute),
                workspace.new_leads_checked_at.has_value()};
    }

    std::vector<store::CatalogRow> catalog(store::Catalog catalog) override {
        std::vector<store::CatalogRow> rows;
        if (const auto found = model_.state().catalogs.find(catalog); found != model_.state().catalogs.end())
            for (const auto& [id, row] : found->second) rows.push_back(row);
        return rows;
    }

protected:
    store::Store& store() override { return model_; }

private:
    sync::LeadId next_id() { return {fmt::format("99999999-0000-4000-8000-{:012}", ++inserted_)}; }

    sync::Instant now_{std::chrono::sys_days{std::chrono::year{2026} / 3 / 14}};
    int inserted_ = 0;
    ModelStore model_{{.now = [this] { return now_; }, .new_id = [this] { return next_id(); }}};
};

}  // namespace

std::unique_ptr<StoreUnderTest> model_under_test() { return std::make_unique<ModelUnderTest>(); }

}  // namespace leadsync::store_contract
