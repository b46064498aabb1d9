#include "tests/simulation/model_store.hpp"

#include "tests/simulation/model_leads.hpp"
#include "tests/simulation/model_progress.hpp"
#include "tests/simulation/model_queue.hpp"

namespace leadsync::simulation {

ModelQueued& queue_up(ModelState& state, const sync::LeadId& id, Instant now) {
    const auto [queued, is_new] = state.queue.try_emplace(id, ModelQueued{.due_at = now});
    if (!is_new) ++queued->second.generation;
    return queued->second;
}

void forget_undecided(ModelState& state, const sync::LeadId& id) {
    std::erase_if(state.held, [&](const auto& held) {
        return held.second.lead == id && held.second.decision == store::Approval::none;
    });
}

void ModelStore::run_in_transaction(const std::function<void(store::Transaction&)>& step) {
    ModelTransaction transaction{state_, surroundings_.now()};
    ModelLeads leads{transaction, locked};
    ModelQueue queue{transaction};
    ModelProgress progress{transaction};
    store::Transaction all{leads, queue, progress};
    try {
        step(all);
    } catch (const KeyViolation& violation) {
        transaction.roll_back();
        violations_.emplace_back(violation.what());
        throw;
    } catch (...) {
        transaction.roll_back();
        throw;
    }
}

boost::asio::awaitable<void> ModelStore::transact(std::function<void(store::Transaction&)> step, Scope /*scope*/) {
    if (surroundings_.before) co_await surroundings_.before();
    const auto failure = surroundings_.fails ? surroundings_.fails() : StoreFailure::no;
    if (failure == StoreFailure::before) throw store::StoreError{"the store is out of reach"};
    run_in_transaction(step);
    if (surroundings_.after) co_await surroundings_.after();
    if (failure == StoreFailure::after) throw store::StoreError{"the connection broke at the commit"};
}

}  // namespace leadsync::simulation
