#pragma once

#include "connectors/store/progress.hpp"
#include "tests/simulation/model_state.hpp"

namespace leadsync::simulation {

/// The workspace as a whole, of connectors/postgres/, as values.
class ModelProgress final : public store::Progress {
public:
    explicit ModelProgress(ModelTransaction& transaction) : transaction_{transaction} {}

    void begin_chains(const std::vector<store::Place>& places) override;
    std::optional<store::SweepState> chains() override;
    store::SweepState open_sweep(std::int64_t leads_per_range, std::int64_t ranges_max) override;
    void advance_range(const store::SweepRange& from, const std::string& cursor,
                       const store::SweepStep& page) override;
    void finish_range(const store::SweepRange& from, const store::SweepStep& page) override;
    std::optional<std::int64_t> cut_range(std::int64_t number, const std::string& at) override;
    void finish_sweep() override;
    bool begin_repair(std::chrono::milliseconds every) override;
    void finish_repair() override;
    bool is_backfilled() override;
    std::optional<std::chrono::milliseconds> fresh_ago() override;
    std::chrono::milliseconds sweep_took() override;
    void checked_new_leads(std::chrono::milliseconds ago, const std::optional<sync::InstantlyId>& last) override;
    std::optional<sync::InstantlyId> new_leads_read_to() override;
    std::optional<std::chrono::milliseconds> new_leads_ago() override;
    void report_active(std::int64_t leads, std::optional<std::chrono::milliseconds> ago) override;
    std::optional<std::chrono::milliseconds> active_ago() override;
    void set_state(const std::string& state, const std::optional<std::string>& reason) override;
    bool pin(const std::string& instantly_id, const std::string& instantly_name) override;
    void set_lead_count(std::int64_t leads) override;
    std::optional<std::int64_t> lead_count() override;
    void report_requests(std::size_t last_minute) override;
    void record_spent(const std::vector<store::SpentSecond>& seconds) override;
    std::vector<store::SpentSecond> spent() override;
    void replace_catalog(store::Catalog catalog, const std::vector<store::CatalogRow>& rows) override;
    std::int64_t prune_history(std::chrono::hours keep, std::int64_t limit) override;

private:
    std::int64_t add_range(const std::optional<std::string>& begin, const std::optional<std::string>& end);
    std::int64_t prune_holds(std::chrono::hours keep, std::int64_t limit);
    [[nodiscard]] std::optional<std::chrono::milliseconds> ago(const std::optional<Instant>& at) const;
    ModelRange& processed(const store::SweepRange& from, const store::SweepStep& page);

    ModelTransaction& transaction_;
};

}  // namespace leadsync::simulation
