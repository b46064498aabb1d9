#pragma once

#include <string>

#include <pqxx/pqxx>

#include "connectors/store/leads.hpp"

namespace leadsync::postgres {

/// `crm.leads`, `sync.base` and what is recorded about them, as SQL: set-based, a fixed number of statements whatever
/// the number of leads.
class Leads final : public store::Leads {
public:
    Leads(pqxx::transaction_base& transaction, const std::string& workspace)
        : transaction_{transaction}, workspace_{workspace} {}

    // leads.cpp
    std::unordered_map<std::string, store::Held> look_up(const std::vector<sync::InstantlyId>& ids) override;
    store::HeldStretch look_up(const store::Stretch& stretch, std::size_t limit) override;
    std::vector<sync::KnownLead> load(const std::vector<sync::InstantlyId>& ids, store::Lock lock,
                                      sync::Instant now) override;
    std::unordered_set<std::string> here_or_deleted(const std::vector<sync::LeadId>& ids) override;
    std::unordered_map<std::string, store::LocalRow> adoptable(const std::vector<store::Identity>& leads,
                                                               store::Lock lock) override;
    std::unordered_map<std::string, sync::LeadId> bury_withdrawn(const std::vector<store::Identity>& leads) override;
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
    std::vector<sync::InstantlyId> newest_time_ordered(int limit,
                                                       const std::optional<sync::InstantlyId>& up_to) override;
    void note_reformatted(std::span<const store::Reformatted> leads) override;
    std::optional<std::string> id_before(const std::string& id, std::int64_t leads) override;
    std::optional<std::string> halfway(const std::string& cursor, const std::optional<std::string>& end,
                                       int page) override;
    std::int64_t count() override;

    // active_leads.cpp
    void note_active(const std::vector<store::ActiveLead>& leads) override;
    std::vector<sync::InstantlyId> active(const std::optional<std::string>& after, int limit,
                                          sync::Instant now) override;
    std::int64_t count_active(sync::Instant now) override;
    void forget_inactive(sync::Instant now) override;

    // lead_records.cpp
    void add_conflicts(const std::vector<std::pair<sync::LeadId, sync::Conflict>>& conflicts) override;
    void update_conflicts(const std::vector<sync::ConflictUpdate>& updates) override;
    void add_history(const std::vector<store::HistoryEntry>& entries) override;

    // lead_writes.cpp
    void expect(const store::Writes& writes, std::chrono::milliseconds patience) override;
    void expect_absence(const std::vector<sync::LeadId>& ids, std::chrono::milliseconds patience) override;
    void expect_no_more(const sync::LeadId& id, const std::vector<sync::Key>& keys) override;
    void wrote(const std::vector<sync::LeadId>& ids, sync::Instant written_at) override;
    void created(const std::vector<store::Creation>& creations, std::chrono::milliseconds patience,
                 sync::Instant written_at) override;
    void set_status(const std::vector<sync::LeadId>& ids, sync::SyncStatus status, const sync::Value& error) override;
    void note_creates(const std::map<sync::LeadId, store::NotedCreate>& creates) override;
    std::map<sync::LeadId, store::NotedCreate> noted_creates(const std::vector<sync::LeadId>& ids) override;
    void creates_ended(const std::vector<sync::LeadId>& ids, sync::Instant at) override;
    void take_back_creates(const std::map<sync::LeadId, store::UnsentCreate>& unsent) override;
    void forget_creates(const std::vector<sync::LeadId>& ids) override;

    // lead_deletions.cpp
    void note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                     const std::vector<sync::InstantlyId>& present, sync::Instant requested_at) override;
    void note_absent(const std::vector<sync::InstantlyId>& asked, const std::vector<sync::InstantlyId>& present,
                     sync::Instant requested_at) override;
    std::vector<std::pair<sync::LeadId, sync::InstantlyId>> absent(store::Absence by, int limit) override;
    void looked_into(const std::vector<sync::LeadId>& ids, const std::unordered_set<std::string>& confirmed,
                     sync::Instant requested_at) override;
    std::vector<sync::LeadId> confirmed_absent() override;
    std::int64_t forget_old_tombstones(std::chrono::milliseconds margin, std::int64_t limit) override;
    void mark_gone(const std::vector<sync::LeadId>& ids, sync::RemoteDeletes policy) override;
    void bring_back(const std::vector<sync::LeadId>& ids) override;
    void keep_gone(const std::vector<sync::LeadId>& ids) override;

    // local_repair.cpp
    store::Repaired repair(const std::optional<sync::LeadId>& after, int limit) override;
    std::int64_t queue_unborn(int limit) override;

private:
    bool has_rows_without_lead();
    std::unordered_set<std::string> lock_free_of(const std::unordered_map<std::string, sync::LeadId>& row_of_lead,
                                                 std::unordered_map<std::string, store::LocalRow>& found);
    void add_rows(const std::unordered_map<std::string, sync::LeadId>& row_of_lead,
                  std::unordered_map<std::string, store::LocalRow>& found);
    std::unordered_map<std::string, sync::LeadId> look_for_rows(const std::vector<store::Identity>& leads,
                                                                const std::unordered_set<std::string>* among);
    void seen(const std::vector<sync::InstantlyId>& ids);
    void no_longer_unborn(const pqxx::binarystring& ids);
    void put_back_creates(const std::map<sync::LeadId, store::NotedCreate>& creates);

    pqxx::transaction_base& transaction_;
    const std::string& workspace_;
};

/// An instant as `to_timestamp($n::float8)` takes it.
std::string epoch_seconds(sync::Instant instant);

}  // namespace leadsync::postgres
