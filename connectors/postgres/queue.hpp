#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "sync/ids.hpp"

namespace leadsync::postgres {

/// What a queued lead needs, by what is known of it.
enum class Work {
    reconcile,  ///< Instantly has it: look, merge, push what is left
    create,     ///< a row without a lead on Instantly
    remove,     ///< the row was deleted, Instantly has the lead
    nothing,    ///< neither side has it any more
};

/// A lead taken from the queue, ours until the lease ends by the database's clock.
struct Claim {
    sync::LeadId id;
    sync::InstantlyId instantly_id;  ///< empty for `create` and `nothing`
    Work work = Work::nothing;
    std::int64_t generation = 0;
    std::int64_t lease_token = 0;
    int attempts = 0;        ///< failed ones before this
    int resends = 0;         ///< how often its writes were sent again because they never showed
    bool expecting = false;  ///< a write of ours may not show yet
};

/// The durable retry queue: one row for each lead that needs reconciling, never a payload (DESIGN §4). Rows are
/// written by the capture triggers and by merges. Every function works inside the caller's transaction, on the whole
/// batch.
class Queue {
public:
    explicit Queue(std::string workspace) : workspace_{std::move(workspace)} {}

    /// Leases up to `limit` due leads, the longest due first. With `creates_too` false those to be created stay.
    std::vector<Claim> claim(pqxx::work& transaction, int limit, std::chrono::milliseconds lease, bool creates_too);

    /// Takes finished leads off. One that was edited again meanwhile stays, due at once.
    void complete(pqxx::work& transaction, const std::vector<Claim>& claims);

    /// Gives leads back, due after `delay`; at once when edited meanwhile. Not an attempt.
    void defer(pqxx::work& transaction, const std::vector<Claim>& claims, std::chrono::milliseconds delay);

    /// Gives a lead back after a failed attempt, due after `delay`.
    void retry(pqxx::work& transaction, const Claim& claim, std::chrono::milliseconds delay,
               const std::string& error);

    /// Gives a lead back whose writes had not been stored and were sent once more, due after `delay`.
    void resent(pqxx::work& transaction, const Claim& claim, std::chrono::milliseconds delay,
                const std::string& what);

    /// Gives up on a lead until its next edit. An edit made meanwhile keeps it alive.
    void dead_letter(pqxx::work& transaction, const Claim& claim, const std::string& reason);

    /// Returns what an earlier process held: its leases are void once this process drives the workspace alone.
    void release_all(pqxx::work& transaction);

    /// When the next lead falls due, in milliseconds from now; 0: at once. Nothing: none is waiting.
    std::optional<std::chrono::milliseconds> next_due(pqxx::work& transaction, bool creates_too);

    /// Leads that are neither finished nor given up on.
    std::int64_t pending(pqxx::work& transaction);

private:
    std::string workspace_;
};

}  // namespace leadsync::postgres
