#pragma once

#include <chrono>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <pqxx/pqxx>

#include "connectors/postgres/lead_rows.hpp"
#include "sync/lead.hpp"
#include "sync/merge.hpp"

namespace leadsync::postgres {

/// A lead after an observation went through the merge.
struct MergedLead {
    sync::LeadId id;
    sync::InstantlyId instantly_id;
    sync::MergeResult result;
};

/// What a batch of observations came to.
struct ObserveResult {
    std::size_t added = 0;           ///< leads not known before
    std::size_t adopted = 0;         ///< local rows that turned out to be on Instantly already
    std::size_t changed = 0;         ///< known leads whose remote content differs from last time
    std::size_t unchanged = 0;       ///< recognised by their hash, nothing written
    std::size_t stale = 0;           ///< older than what is known already, not used
    std::vector<sync::LeadId> busy;  ///< locked by somebody else, not taken in: to be looked at again
    std::size_t conflicts = 0;
    std::vector<MergedLead> merged;  ///< every known or adopted lead that was merged
};

/// Whether leads with an unchanged hash are merged all the same.
enum class Observe {
    changes,     ///< a page: unchanged leads cost one look-up and nothing else
    everything,  ///< a look-up of queued leads before a push: the merge says what is left to send
};

/// The tables `crm.leads` and `sync.base`: where every answer of Instantly meets the local rows (DESIGN §4).
/// Each function works inside the caller's transaction.
class Mirror {
public:
    Mirror(std::string workspace, sync::ConflictPolicy policy);

    /// Takes observations in: compares, merges, writes rows, bases, conflicts, and queues what is left to push.
    /// Set-based: a fixed number of statements, whatever the number of leads. Each lead at most once in a batch; of
    /// two, the later counts.
    ObserveResult observe(pqxx::work& transaction, std::vector<sync::Observation> observations, Observe how) const;

    /// Queues leads to be looked at again, one that is being queued by an open transaction excepted: that one does
    /// it.
    void look_again(pqxx::work& transaction, const std::vector<sync::LeadId>& ids) const;

    /// Writes that are about to leave, by lead: their values are awaited for `patience` from now. Recorded before the
    /// request, so that one whose answer is lost is awaited too.
    void expect(pqxx::work& transaction, const std::map<sync::LeadId, std::map<sync::Key, sync::Value>>& writes,
                std::chrono::milliseconds patience) const;

    /// Our calls for these leads have ended: answers asked for before `written_at` (daemon's clock) are stale.
    void wrote(pqxx::work& transaction, const std::vector<sync::LeadId>& ids, sync::Instant written_at) const;

    /// These writes were refused: nothing is awaited of them any more.
    void expect_no_more(pqxx::work& transaction, const sync::LeadId& id, const std::vector<sync::Key>& keys) const;

    /// Ties rows to the leads that Instantly created from them. What was sent is awaited from then on. A row deleted
    /// meanwhile becomes a tombstone.
    struct Creation {
        sync::LeadId id;
        sync::InstantlyId instantly_id;
        std::map<sync::Key, sync::Value> sent;
    };
    void created(pqxx::work& transaction, const std::vector<Creation>& creations, std::chrono::milliseconds patience,
                 sync::Instant written_at) const;

    /// A row that is to be created on Instantly.
    struct Unborn {
        sync::LeadId id;
        sync::Content content;
    };
    [[nodiscard]] std::vector<Unborn> load_unborn(pqxx::work& transaction,
                                                  const std::vector<sync::LeadId>& ids) const;

    /// Marks a row as given up on, with the reason for a person.
    void mark_error(pqxx::work& transaction, const sync::LeadId& id, const std::string& reason) const;

    /// The newest id that says when it was made; nothing when there is none. New leads come after it.
    [[nodiscard]] std::optional<sync::InstantlyId> newest_time_ordered(pqxx::work& transaction) const;

    /// The last known id before `id`: a cursor in place of one that the server refuses. Nothing: `id` was the first.
    [[nodiscard]] std::optional<std::string> id_before(pqxx::work& transaction, const std::string& id) const;

    [[nodiscard]] const std::string& workspace() const { return workspace_; }

private:
    struct Batch;

    std::string workspace_;
    sync::ConflictPolicy policy_;
};

}  // namespace leadsync::postgres
