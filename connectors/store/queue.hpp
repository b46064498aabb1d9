#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "sync/failure.hpp"
#include "sync/ids.hpp"
#include "sync/plan.hpp"

namespace leadsync::store {

/// What a queued lead needs, by what is known of it.
enum class Work {
    reconcile,  ///< Instantly has it: look, merge, push what is left
    create,     ///< a row without a lead on Instantly
    remove,     ///< the row was deleted, Instantly has the lead
    nothing,    ///< neither side has it any more
};

/// What an operator said of a lead that the guard had held.
enum class Approval { none, approved, rejected };

/// What the guard counts and holds; the side says whose change it is.
enum class HoldKind {
    create,           ///< local INSERT
    change,           ///< local UPDATE
    remove,           ///< local DELETE, to be pushed
    remote_change,    ///< edits made on Instantly
    remote_deletion,  ///< leads gone on Instantly
};

/// A lead taken from the queue, ours until the lease ends by the database's clock.
struct Claim {
    sync::LeadId id;
    sync::InstantlyId instantly_id;  ///< empty for `create` and `nothing`
    Work work = Work::nothing;
    std::int64_t generation = 0;
    std::int64_t lease_token = 0;
    int attempts = 0;     ///< failed ones before this
    int resends = 0;      ///< how often its writes were sent again because they never showed
    bool unsent = false;  ///< edited here after our last write, if the clocks agree: mostly there is a call to make
    bool expecting = false;  ///< a write of ours may not show yet
    Approval approval = Approval::none;
    std::optional<HoldKind> approval_of;
    /// `crm.merge_leads` asked for this lead to be merged into that one.
    std::optional<sync::LeadId> merge_into;
    sync::InstantlyId merge_destination;  ///< empty while Instantly does not have it
    /// How long ago the merge request left, which may have been carried out; nothing: not yet.
    std::optional<std::chrono::milliseconds> merge_sent_ago;
};

/// A lead whose attempt failed: why, what went over the line, and when it is due again.
struct FailedClaim {
    Claim claim;
    std::string error;
    sync::Exchange exchange{};
    std::chrono::milliseconds delay{0};
};

/// A lead to be moved, and nothing else, as its row and base tell without a look.
struct MoveClaim {
    Claim claim;
    sync::MoveIntent intent;
};

/// How many creates, changes and removals may wait, of the kinds that are watched.
using Allowed = std::map<HoldKind, std::int64_t>;

/// The durable retry queue of one workspace: one row for each lead that needs reconciling, never a payload (DESIGN
/// §4). Rows are written by the capture triggers and by merges. Works within a transaction, on the whole batch.
class Queue {
public:
    virtual ~Queue() = default;

    /// Leases up to `limit` due leads, the longest due first. With `creates_too` false those to be created stay.
    /// Whoever was asleep is awake then.
    virtual std::vector<Claim> claim(int limit, std::chrono::milliseconds lease, bool creates_too) = 0;
    /// Likewise. Nothing, and none is leased, where more may wait than are allowed, leads in hand included. With a
    /// `token` that was drawn before, what is leased can be returned by it when the answer gets lost. One statement.
    virtual std::optional<std::vector<Claim>> claim_within(const Allowed& allowed, int limit,
                                                           std::chrono::milliseconds lease, bool creates_too,
                                                           std::optional<std::int64_t> token) = 0;
    /// A lease token for one claim to come.
    virtual std::int64_t draw_lease_token() = 0;

    /// Leases up to `limit` leads that are to be moved and have not been tried yet, of the `scan` that are due
    /// longest, and puts them aside.
    virtual std::vector<MoveClaim> claim_moves(int limit, int scan, std::chrono::milliseconds lease,
                                               std::chrono::milliseconds aside) = 0;

    /// Takes finished leads off. One that was edited again meanwhile stays, due at once.
    virtual void complete(const std::vector<Claim>& claims) = 0;
    /// Gives leads back, due after `delay`; at once when edited meanwhile. Not an attempt.
    virtual void defer(const std::vector<Claim>& claims, std::chrono::milliseconds delay) = 0;
    /// Likewise, and up to half as long again: what is given back within half the delay falls due at the same moment,
    /// and can share a look-up.
    virtual void defer_together(const std::vector<Claim>& claims, std::chrono::milliseconds delay) = 0;
    /// Like defer(), but for leads whose rows somebody is writing at the moment: those are not waited for, and
    /// returned.
    virtual std::vector<Claim> give_back(const std::vector<Claim>& claims, std::chrono::milliseconds delay) = 0;
    /// Extends the leases of claims whose leads are still ours and were not edited since; tells which.
    virtual std::unordered_set<std::string> renew(const std::vector<Claim>& claims,
                                                  std::chrono::milliseconds lease) = 0;
    /// Keeps leads in hand, but out of the way: for `how_long` they stand behind what is due.
    virtual void put_aside(const std::vector<Claim>& claims, std::chrono::milliseconds how_long) = 0;

    // What failed is kept in `crm.attempts`, of each lead the latest few. A claim that is no longer ours changes and
    // leaves nothing.

    static constexpr int attempts_kept = 20;
    /// Gives leads back after a failed attempt, due after their delay; at once when edited meanwhile.
    virtual void retry(const std::vector<FailedClaim>& failed) = 0;
    /// Gives leads back whose writes had not been stored and were sent once more, likewise.
    virtual void resent(const std::vector<FailedClaim>& failed) = 0;
    /// Gives up on leads until their next edit, and tells on which: an edit made meanwhile keeps a lead alive.
    virtual std::vector<sync::LeadId> dead_letter(const std::vector<FailedClaim>& failed) = 0;

    /// Queues leads, or raises the generation of those queued already: whoever is at work on one has not seen what
    /// the caller found. Leads given up on stay so.
    virtual void enqueue(const std::vector<sync::LeadId>& ids) = 0;
    /// Queues leads to be looked at after `delay`, unless they are queued already. A row that an open transaction is
    /// queueing is not waited for: that one does it, if it commits. Returns those.
    virtual std::vector<sync::LeadId> look_again(const std::vector<sync::LeadId>& ids,
                                                 std::chrono::milliseconds delay) = 0;
    /// Leads given up on that are in agreement after all.
    virtual void forget_dead(const std::vector<sync::LeadId>& ids) = 0;

    /// Returns what was leased under a token that was drawn, whether or not anybody heard of it. Leads whose rows
    /// somebody is writing at the moment are not waited for, and told as give_back() takes them.
    virtual std::vector<Claim> release_lease(std::int64_t token) = 0;
    /// Returns what an earlier process held: its leases are void once this process drives the workspace alone. Leads
    /// whose rows somebody is writing are told likewise.
    virtual std::vector<Claim> release_all() = 0;
    /// When the next lead falls due, in milliseconds from now; 0: at once. Nothing: none is waiting.
    virtual std::optional<std::chrono::milliseconds> next_due(bool creates_too) = 0;
    /// Many wait, where few did a moment ago: what reads and writes the queue is to be made for that from now on.
    virtual void has_grown() = 0;
    /// Whether every lead in it is finished, given up on or held.
    virtual bool is_idle() = 0;
    /// Whether any of the others, in hand or not, is a row that is to be created.
    virtual bool has_creates() = 0;

    /// Asks to be rung for the next local edit: a writer's commit rings nobody who is awake. False: one that is under
    /// way may not have seen that yet, and its edit may come without a ring: look again soon, and ask again. True:
    /// whoever sees no edit with the next statement, will be rung for it.
    virtual bool fall_asleep() = 0;
    /// Nobody has to be rung: the queue is looked at again soon.
    virtual void wake() = 0;

    /// The rejections of these leads are carried out: not a second time.
    virtual void rejected(const std::vector<sync::LeadId>& ids) = 0;

    /// How many local creates, changes or removals wait that no operator has approved; counts up to `limit`.
    virtual std::int64_t backlog(HoldKind kind, std::int64_t limit) = 0;
    /// The kinds of which more wait than are allowed.
    virtual std::vector<HoldKind> exceeded(const Allowed& allowed) = 0;
    /// Holds all of them in `crm.held` until an operator decides.
    virtual void hold_backlog(HoldKind kind, const std::string& why) = 0;
    /// Holds something that happened on Instantly; a lead that is held for it already stays as it is.
    virtual void hold(HoldKind kind, const std::vector<sync::LeadId>& ids, const std::string& why) = 0;
    /// Those of `ids` that wait for an operator's word on something of this kind.
    virtual std::vector<sync::LeadId> held(HoldKind kind, const std::vector<sync::LeadId>& ids) = 0;
    /// What was said of those whose deletion on Instantly was held, is confirmed and not dealt with yet. A claim
    /// tells of one decision only, and of a rejection first.
    virtual std::map<sync::LeadId, Approval> deletions_decided(const std::vector<sync::LeadId>& ids) = 0;

    /// A merge request is about to leave for this lead.
    virtual void merge_leaves(const sync::LeadId& source) = 0;
    /// The merge is done, or refused: the request is forgotten; with `merged` the source's row and base are too.
    virtual void merge_ended(const sync::LeadId& source, bool merged) = 0;
};

}  // namespace leadsync::store
