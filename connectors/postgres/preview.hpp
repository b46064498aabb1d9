#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "connectors/store/store.hpp"

namespace leadsync::postgres {

/// A row of the queue as a dry run sees it: as it would be claimed, but left alone.
struct QueuedLead {
    store::Claim claim;
    bool edited = false;   ///< by somebody here; otherwise leadsync queued it
    bool decided = false;  ///< by an operator, not carried out yet
    bool held = false;
    bool dead = false;
    bool leased = false;   ///< a daemon has it in hand right now
    bool awaited = false;  ///< writes of it are out
};

/// What a dry run reads beyond what the sync itself does: the same questions, without a lock or a note left behind.
class Preview {
public:
    Preview(pqxx::work& transaction, const std::string& workspace)
        : transaction_{transaction}, workspace_{workspace} {}

    /// The workspace on Instantly that this one's leads came from; nothing before the first contact.
    std::optional<std::string> pinned();
    /// Whether a daemon drives the workspace, and spends requests beside us.
    bool is_driven();
    std::vector<QueuedLead> queue();
    /// See store::Leads::adoptable.
    std::unordered_map<std::string, store::LocalRow> adoptable(const std::vector<store::Identity>& leads);
    /// See store::Leads::note_absent.
    std::vector<std::pair<sync::LeadId, sync::InstantlyId>> absent(const std::optional<std::string>& after,
                                                                   const std::optional<std::string>& last,
                                                                   const std::vector<sync::InstantlyId>& present,
                                                                   sync::Instant requested_at);

private:
    pqxx::work& transaction_;
    const std::string& workspace_;
};

/// Runs `step` in a transaction in which PostgreSQL itself refuses every write. Throws StoreError.
boost::asio::awaitable<void> read_only(Database& database, const std::string& workspace,
                                       std::function<void(store::Transaction&, Preview&)> step);

}  // namespace leadsync::postgres
