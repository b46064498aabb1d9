#pragma once

#include <set>

#include "connectors/store/store.hpp"
#include "tests/simulation/model_state.hpp"

namespace leadsync::simulation {

/// Two rows would have one key: PostgreSQL ends the transaction.
class KeyViolation : public store::StoreError {
public:
    using store::StoreError::StoreError;
};

/// The leads of connectors/postgres/ as values.
class ModelLeads final : public store::Leads {
public:
    ModelLeads(ModelTransaction& transaction, const std::set<sync::LeadId>& locked)
        : transaction_{transaction}, locked_{locked} {}

    // model_leads.cpp
    std::unordered_map<std::string, store::Held> look_up(const std::vector<sync::InstantlyId>& ids) override;
    store::HeldStretch look_up(const store::Stretch& stretch, std::size_t limit) override;
    std::vector<sync::KnownLead> load(const std::vector<sync::InstantlyId>& ids, store::Lock lock,
                                      Instant now) override;
    std::unordered_set<std::string> here_or_deleted(const std::vector<sync::LeadId>& ids) override;
    std::unordered_map<std::string, store::LocalRow> adoptable(const std::vector<store::Identity>& leads,
                                                               store::Lock lock) override;
    std::vector<store::LocalRow> rows(const std::vector<sync::LeadId>& ids) override;
    std::unordered_set<std::string> lock_free(const std::vector<sync::LeadId>& ids) override;
    std::unordered_map<std::string, store::LocalRow> rows_without_base(const std::vector<sync::InstantlyId>& leads,
                                                                       store::Lock lock) override;
    std::unordered_set<std::string> forget_tombstones(const std::vector<sync::LeadId>& ids) override;
    std::unordered_set<std::string> taken(const std::vector<sync::LeadId>& ids) override;
    std::unordered_set<std::string> without_lead(const std::vector<sync::LeadId>& ids) override;
    std::vector<sync::LeadId> with_emails(const std::vector<std::string>& emails) override;
    void insert(std::span<const sync::LeadRow> leads) override;
    void update(std::span<const sync::LeadRow> leads) override;
    void note_reformatted(std::span<const store::Reformatted> leads) override;
    void add_conflicts(const std::vector<std::pair<sync::LeadId, sync::Conflict>>& conflicts) override;
    void update_conflicts(const std::vector<sync::ConflictUpdate>& updates) override;
    void add_history(const std::vector<store::HistoryEntry>& entries) override;
    void expect(const store::Writes& writes, std::chrono::milliseconds patience) override;
    void expect_absence(const std::vector<sync::LeadId>& ids, std::chrono::milliseconds patience) override;
    void expect_no_more(const sync::LeadId& id, const std::vector<sync::Key>& keys) override;
    void wrote(const std::vector<sync::LeadId>& ids, Instant written_at) override;
    void created(const std::vector<store::Creation>& creations, std::chrono::milliseconds patience,
                 Instant written_at) override;
    void set_status(const std::vector<sync::LeadId>& ids, sync::SyncStatus status, const sync::Value& error) override;
    void note_creates(const std::map<sync::LeadId, store::NotedCreate>& creates) override;
    std::map<sync::LeadId, store::NotedCreate> noted_creates(const std::vector<sync::LeadId>& ids) override;
    void creates_ended(const std::vector<sync::LeadId>& ids, Instant at) override;
    void take_back_creates(const std::map<sync::LeadId, store::UnsentCreate>& unsent) override;
    std::unordered_map<std::string, sync::LeadId> bury_withdrawn(const std::vector<store::Identity>& leads) override;
    void forget_creates(const std::vector<sync::LeadId>& ids) override;
    std::vector<sync::InstantlyId> newest_time_ordered(int limit,
                                                       const std::optional<sync::InstantlyId>& up_to) override;
    std::optional<std::string> id_before(const std::string& id, std::int64_t leads) override;
    std::optional<std::string> halfway(const std::string& cursor, const std::optional<std::string>& end,
                                       int page) override;
    std::int64_t count() override;

    void note_active(const std::vector<store::ActiveLead>& leads) override;
    std::vector<sync::InstantlyId> active(const std::optional<std::string>& after, int limit, Instant now) override;
    std::int64_t count_active(Instant now) override;
    void forget_inactive(Instant now) override;

    // model_deletions.cpp
    void note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                     const std::vector<sync::InstantlyId>& present, Instant requested_at) override;
    void note_absent(const std::vector<sync::InstantlyId>& asked, const std::vector<sync::InstantlyId>& present,
                     Instant requested_at) override;
    std::vector<std::pair<sync::LeadId, sync::InstantlyId>> absent(store::Absence by, int limit) override;
    void looked_into(const std::vector<sync::LeadId>& ids, const std::unordered_set<std::string>& confirmed,
                     sync::Instant requested_at) override;
    std::vector<sync::LeadId> confirmed_absent() override;
    std::int64_t forget_old_tombstones(std::chrono::milliseconds margin, std::int64_t limit) override;
    void mark_gone(const std::vector<sync::LeadId>& ids, sync::RemoteDeletes policy) override;
    void bring_back(const std::vector<sync::LeadId>& ids) override;
    void keep_gone(const std::vector<sync::LeadId>& ids) override;
    store::Repaired repair(const std::optional<sync::LeadId>& after, int limit) override;
    std::int64_t queue_unborn(int limit) override;

private:
    void queue_untold(const std::vector<sync::LeadId>& ids);
    [[nodiscard]] sync::KnownLead known(const sync::LeadId& id, const ModelBase& base, const ModelRow& row,
                                        Instant now) const;
    void write_base(const sync::LeadRow& lead);
    void put_row(const sync::LeadRow& lead, ModelRow& row);
    void forget_twin(const store::Creation& creation);
    void seen(const std::vector<sync::InstantlyId>& ids);
    void remember_gone(const sync::LeadId& id);
    void settle_gone_row(const sync::LeadId& id, sync::RemoteDeletes policy);
    [[nodiscard]] bool has_unsent_edit(const sync::LeadId& id) const;

    [[nodiscard]] store::LocalRow row_for(const sync::LeadId& id, const sync::Content& content,
                                          store::Lock lock) const;

    ModelTransaction& transaction_;
    const std::set<sync::LeadId>& locked_;
};

}  // namespace leadsync::simulation
