#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <gtest/gtest.h>

#include "connectors/store/store.hpp"

/// One contract for every store: what the engine relies on, checked against PostgreSQL and against the simulation's
/// model alike, so that what the simulation finds holds for the real one.
namespace leadsync::store_contract {

/// A row of `crm.leads` as a user sees it.
struct Row {
    sync::InstantlyId instantly_id;  ///< empty: none
    sync::Content content;           ///< all fields, Instantly's own too
    sync::SyncStatus status = sync::SyncStatus::pending;
    sync::Value error;
    bool deleted = false;
};

/// A row of `crm.conflicts`.
struct ConflictLine {
    std::int64_t id = 0;
    sync::LeadId lead;
    sync::Key key;
    sync::Value base;
    sync::Value local;
    sync::Value remote;
    std::string rule;
    std::string resolution;  ///< empty: none
    bool settled = false;
};

/// A row of `crm.held`.
struct HeldLine {
    std::int64_t id = 0;
    sync::LeadId lead;
    store::HoldKind kind = store::HoldKind::create;
    std::string reason;
    store::Approval decision = store::Approval::none;
};

/// The row of `crm.workspaces`.
struct WorkspaceLine {
    std::string state;
    std::optional<std::string> reason;
    sync::Value instantly_id;
    sync::Value instantly_name;
    int requests_last_minute = 0;
    bool checked_new_leads = false;
};

/// A store with one empty workspace, a user beside it and a clock that can be put forward.
class StoreUnderTest {
public:
    StoreUnderTest() = default;
    virtual ~StoreUnderTest() = default;
    StoreUnderTest(const StoreUnderTest&) = delete;
    StoreUnderTest& operator=(const StoreUnderTest&) = delete;

    /// Runs a step as the engine does, and waits for it.
    template <class Work>
    auto run(Work work) -> std::invoke_result_t<Work&, store::Transaction&> {
        boost::asio::io_context io;
        auto outcome = boost::asio::co_spawn(io, store().run(std::move(work)), boost::asio::use_future);
        io.run();
        return outcome.get();
    }

    /// The daemon's clock.
    virtual sync::Instant now() = 0;
    /// For the store so much time goes by. Instants that the engine gave it stay what they are.
    virtual void advance(std::chrono::milliseconds duration) = 0;

    // --- a user's transactions; what is refused throws std::invalid_argument ---
    virtual sync::LeadId insert(const sync::Content& content, std::optional<sync::LeadId> id = std::nullopt) = 0;
    virtual void update(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) = 0;
    virtual void erase(const sync::LeadId& id) = 0;
    virtual void resolve(std::int64_t conflict, sync::Side side) = 0;
    virtual void decide(std::int64_t held, bool approve) = 0;
    virtual void merge_leads(const sync::LeadId& source, const sync::LeadId& destination) = 0;
    /// A transaction that has locked the row and stays open until `unlock`.
    virtual void lock(const sync::LeadId& id) = 0;
    virtual void unlock() = 0;

    // --- what no trigger sees: restored backups, session_replication_role = replica ---
    virtual void lose_row(const sync::LeadId& id) = 0;
    virtual void lose_base(const sync::LeadId& id) = 0;
    virtual void lose_queued(const sync::LeadId& id) = 0;
    /// A row as of row(), in step with its lead.
    virtual void put_back(const sync::LeadId& id, const Row& row) = 0;
    virtual void update_unseen(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) = 0;

    // --- what a user sees ---
    virtual std::optional<Row> row(const sync::LeadId& id) = 0;
    virtual std::vector<ConflictLine> conflicts() = 0;
    virtual std::vector<HeldLine> held() = 0;
    virtual std::vector<store::HistoryEntry> history() = 0;
    virtual WorkspaceLine workspace() = 0;
    virtual std::int64_t pending() = 0;  ///< queued, and neither given up on nor held
    virtual std::vector<std::string> attempts(const sync::LeadId& id) = 0;  ///< errors of the kept ones, oldest first
    virtual std::vector<store::CatalogRow> catalog(store::Catalog catalog) = 0;  ///< in order of id

protected:
    virtual store::Store& store() = 0;
};

std::unique_ptr<StoreUnderTest> postgres_under_test();
std::unique_ptr<StoreUnderTest> model_under_test();

/// A kind of store that the contract holds for.
struct Candidate {
    const char* name;
    std::unique_ptr<StoreUnderTest> (*make)();
};
inline const auto candidates =
    testing::Values(Candidate{"PostgreSQL", postgres_under_test}, Candidate{"Model", model_under_test});
inline void PrintTo(const Candidate& candidate, std::ostream* out) { *out << candidate.name; }
inline std::string name_of(const testing::TestParamInfo<Candidate>& candidate) { return candidate.param.name; }

// Leads for the tests, told apart by a small number.
sync::LeadId lead_id(int number);
sync::InstantlyId instantly_id(int number);  ///< time-ordered, in order of the number
std::string email_of(int number);
inline const std::string campaign_id = "cccccccc-0000-4000-8000-000000000001";
inline const std::string list_id = "11111111-0000-4000-8000-000000000002";

/// As fine as PostgreSQL keeps them.
inline const sync::Instant an_instant{std::chrono::sys_days{std::chrono::year{2026} / 1 / 2} + std::chrono::hours{3}
                                      + std::chrono::minutes{4} + std::chrono::seconds{5}
                                      + std::chrono::microseconds{678'901}};

/// The both-ways values and custom variables that a user may set, by name; `email` too.
sync::Content content(const std::map<std::string, std::string>& fields, sync::CustomVariables variables = {});

/// A lead that both sides agree on.
sync::LeadRow agreed_lead(int number, sync::Content values = {});

/// An entry as one line of text.
std::string line(const store::HistoryEntry& entry);

/// What the suites have in common.
class StoreContract : public testing::TestWithParam<Candidate> {
protected:
    using Transaction = store::Transaction;
    using Claims = std::vector<store::Claim>;

    /// Leads that both sides agree on, without work to do.
    void synced(const std::vector<int>& numbers);
    /// The user sets a field.
    void edit(const sync::LeadId& id, sync::Field field, const sync::Value& value);
    void edit(int number, const std::string& first_name) {
        edit(lead_id(number), sync::Field::first_name, first_name);
    }
    /// What a merge came to, written.
    void update(const sync::LeadRow& lead);
    /// A row that waits to be created.
    sync::LeadId new_row(const std::string& email);

    std::optional<sync::KnownLead> load(int number, store::Lock lock = store::Lock::none);
    std::optional<store::Held> look_up(int number);

    Claims claim(int limit = 100, bool creates_too = true);
    store::Claim claim_one();
    void complete(const Claims& claims);
    std::int64_t pending() { return store_->pending(); }
    bool is_idle();
    std::optional<std::chrono::milliseconds> next_due(bool creates_too = true);
    std::int64_t backlog(store::HoldKind kind, std::int64_t limit = 100);
    std::vector<store::HoldKind> exceeded(const store::Allowed& allowed);
    std::vector<std::string> history_lines();
    void mark_gone(int number, sync::RemoteDeletes policy);
    void hold(store::HoldKind kind, const std::vector<sync::LeadId>& ids, const std::string& why = "too many");

    std::unique_ptr<StoreUnderTest> store_ = GetParam().make();
};

}  // namespace leadsync::store_contract
