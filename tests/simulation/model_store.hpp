#pragma once

#include <functional>
#include <set>

#include "connectors/store/store.hpp"
#include "tests/simulation/model_state.hpp"

namespace leadsync::simulation {

/// Where the store fails a transaction: before it ran, or after it was committed, so that the caller is in doubt.
enum class StoreFailure { no, before, after };

/// What a model of the store gets from the world around it. Only `now` and `new_id` have to be there.
struct ModelSurroundings {
    std::function<Instant()> now;          ///< the clock of the database and of the daemon
    std::function<sync::LeadId()> new_id;  ///< the id of the next lead that a user inserts
    /// Awaited before each transaction and after its commit: delays, or a crash by throwing.
    std::function<boost::asio::awaitable<void>()> before;
    std::function<boost::asio::awaitable<void>()> after;
    std::function<StoreFailure()> fails;  ///< asked once for each transaction, before it runs
};

/// The store as values in memory, which does what the SQL in connectors/postgres/ and migrations/ does; one contract
/// suite (tests/connectors/store_contract.cpp) holds both to the same behaviour. On one thread.
class ModelStore final : public store::Store {
public:
    explicit ModelStore(ModelSurroundings surroundings) : surroundings_{std::move(surroundings)} {}

    [[nodiscard]] const ModelState& state() const { return state_; }
    /// For what no trigger sees: restored backups, session_replication_role = replica.
    [[nodiscard]] ModelState& tables() { return state_; }
    /// Violated keys: what PostgreSQL refused, each of them a mistake of the engine. The caller saw StoreError.
    [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }

    /// Rows that a user's open transaction has locked: load with Lock::rows leaves them out.
    std::set<sync::LeadId> locked;

    // --- a user's transactions (model_user.cpp); std::invalid_argument is what PostgreSQL refuses ---

    /// INSERT INTO crm.leads: email, both-ways fields and custom variables; with the id of an earlier row, or a new
    /// one.
    sync::LeadId insert(const sync::Content& content, std::optional<sync::LeadId> given = std::nullopt);
    /// UPDATE crm.leads; nothing when the row is not there.
    void update(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit);
    /// DELETE FROM crm.leads; nothing when the row is not there.
    void erase(const sync::LeadId& id);
    /// UPDATE crm.conflicts SET resolution; nothing when there is no such conflict.
    void resolve(std::int64_t conflict, sync::Side side);
    /// UPDATE crm.held SET decision; nothing when nothing is held by this id.
    void decide(std::int64_t held, bool approve);
    /// crm.merge_leads.
    void merge_leads(const sync::LeadId& source, const sync::LeadId& destination);

protected:
    boost::asio::awaitable<void> transact(std::function<void(store::Transaction&)> step, Scope scope) override;

private:
    void run_in_transaction(const std::function<void(store::Transaction&)>& step);

    ModelSurroundings surroundings_;
    ModelState state_;
    std::vector<std::string> violations_;
};

}  // namespace leadsync::simulation
