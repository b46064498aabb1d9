#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "sync/observe.hpp"

namespace leadsync::daemon {

/// How observations are taken in.
struct ObserveOptions {
    sync::ConflictPolicy policy;
    /// The call that told, for the history.
    std::string request = "POST /leads/list";
    /// Merge leads with an unchanged hash too: before a push the merge says what is left to send. Otherwise they cost
    /// one look-up and nothing else.
    bool everything = false;
    /// How many leads may still take edits made on Instantly before the guard holds the rest. Nothing: any number.
    std::optional<std::int64_t> changes_left;
    /// Leads that the guard counts already, by their ids on Instantly: their edits are taken in however many are
    /// left, and are not among the `pulled`.
    std::unordered_set<std::string> let_in;
    /// What an operator has rejected, by lead: local edits are undone, remote ones are overruled.
    std::map<sync::LeadId, store::HoldKind> rejected;
    /// Leads whose writes were sent so often that the form they took on Instantly is believed.
    std::set<sync::LeadId> form_is_believed;
    /// For how long a lead in which something happened is read again more often.
    std::chrono::milliseconds active_for = std::chrono::days{7};
    /// A dry run: decides, locks nothing, writes nothing.
    bool dry_run = false;
    /// Rows that an earlier batch of the dry run has adopted, and could not write down.
    std::unordered_set<std::string> adopted;
};

/// A lead after an observation went through the merge.
struct MergedLead {
    sync::LeadId id;
    sync::InstantlyId instantly_id;
    sync::MergeResult result;
    bool adopted = false;  ///< a local row that turned out to be this lead
};

/// What a batch of observations came to.
struct ObserveResult {
    std::size_t added = 0;      ///< leads not known before
    std::size_t adopted = 0;    ///< local rows that turned out to be on Instantly already
    std::size_t unchanged = 0;  ///< recognised by their hash, nothing written
    std::size_t stale = 0;      ///< older than what is known already, not used
    std::size_t pulled = 0;     ///< leads whose both-ways values came over from Instantly
    std::size_t held = 0;       ///< leads whose remote edits wait for an operator
    std::size_t conflicts = 0;
    /// Of a page: no lead is known to lie in its stretch that it does not show, or to be taken for gone.
    bool shows_all = false;
    std::vector<sync::LeadId> still_there;  ///< deleted here and on Instantly, yet shown: to be deleted again
    std::vector<sync::LeadId> withdrawn;    ///< made by a create whose row was deleted since: to be deleted there
    std::vector<sync::LeadId> busy;         ///< locked by somebody else, not taken in: to be looked at again
    std::vector<MergedLead> merged;         ///< every known or adopted lead that was merged
    std::vector<sync::LeadRow> new_leads;   ///< of a dry run
};

/// Whether a merge lets in what the guard counts.
bool brings_remote_edits(const sync::MergeResult& result);

/// When an answer was asked for and when it came, by the daemon's clock.
struct Asked {
    sync::Instant at;
    sync::Instant answered;
};

/// Where every answer of Instantly meets the local rows (DESIGN §4): compares, merges, and writes rows, bases,
/// conflicts, history, and what is left to push. Of a lead seen twice in a batch, the later answer counts.
/// `now` is the daemon's clock.
ObserveResult observe(store::Transaction& transaction, std::vector<sync::Observation> observations,
                      const ObserveOptions& options, sync::Instant now);

/// The same of a page, whose leads are all of the stretch, where one is told, as they stand on Instantly. Leads in
/// the bytes they came in before are not read, unless `everything` is merged. Throws instantly::NotPlain before
/// anything is written.
ObserveResult observe(store::Transaction& transaction, instantly::ScannedPage& page, const Asked& asked,
                      const std::optional<store::Stretch>& stretch, const ObserveOptions& options, sync::Instant now);

/// Observations of a page. `requested_at` and `now` are the daemon's clock before the request and after its answer.
std::vector<sync::Observation> observations_of(instantly::LeadPage& page, sync::Instant requested_at,
                                               sync::Instant now);

}  // namespace leadsync::daemon
