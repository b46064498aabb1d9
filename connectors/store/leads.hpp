#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "sync/observe.hpp"

namespace leadsync::store {

/// What is held of a lead, told by its id on Instantly without locking anything.
struct Held {
    std::uint64_t content_hash = 0;  ///< 0: whatever the lead shows is merged
    std::uint64_t raw_hash = 0;      ///< 0: not known
    sync::LeadId id;
    bool expecting = false;      ///< a write of ours is out
    bool tombstone = false;      ///< the row was deleted here: the lead is not brought back by a page that shows it
    bool gone = false;           ///< was taken for deleted on Instantly
    bool deletion_sent = false;  ///< a DELETE of ours was accepted
    bool is_queued = false;      ///< of a tombstone: what comes of it is still to be carried out
};

/// A part of the workspace in order of ids on Instantly: what lies behind `after` (nothing: from the first) and up to
/// `last` (nothing: to the last).
struct Stretch {
    std::optional<std::string> after;
    std::optional<std::string> last;
};

/// What is held of a stretch.
struct HeldStretch {
    std::unordered_map<std::string, Held> leads;
    bool is_complete = true;  ///< false: there are more leads in it
    bool is_settled = true;   ///< false: of some lead of the workspace there is evidence that it is gone
};

/// By what a local row without a lead is told to be a remote lead (DESIGN §4, Identity).
struct Identity {
    sync::InstantlyId instantly_id;
    sync::Value email;
    sync::Value campaign;
    sync::Value list;
    sync::Value created;  ///< `timestamp_created`
    /// All of the lead: without an email it is the row whose noted create had sent just that.
    const sync::Content* content = nullptr;
};

/// A row of `crm.leads` that Instantly has no lead for.
struct LocalRow {
    sync::LeadId id;
    sync::Content content;
    bool is_being_written = false;  ///< by somebody, who is not waited for: what it holds is not told
};

/// A row tied to the lead that Instantly made of it.
struct Creation {
    sync::LeadId id;
    sync::InstantlyId instantly_id;
    std::map<sync::Key, sync::Value> sent;  ///< awaited from then on
    sync::Content base{};                   ///< what is certain: where it was made
};

/// A create that is about to leave, or whose outcome is not known: where it makes its lead, if it does. A row that is
/// set elsewhere meanwhile must not become two leads.
/// Leads made up to `clock_slack` before are taken to be made by it: our clock need not be theirs.
struct NotedCreate {
    static constexpr std::chrono::seconds clock_slack{60};
    /// So long after it was noted a create may still make its lead: it leaves within three seconds or not at all, and
    /// no request is waited for longer than two minutes (instantly::TransportOptions).
    static constexpr std::chrono::seconds under_way_max{125};

    sync::Instant at;  ///< of the first attempt: nothing older was made by it
    sync::Value campaign;
    sync::Value list;
    /// What was sent: the base of the lead if it was made, and what it is known by where it has no email.
    std::map<sync::Key, sync::Value> sent{};
    /// When the last attempt ended without anybody knowing how, or, as long as that has not been told, when it was
    /// noted: reads may lag behind it.
    sync::Instant last_at{};
    /// What the last attempt sent, where it was not the first, and where it went: either may have made the lead.
    std::map<sync::Key, sync::Value> resent{};
    sync::Value last_campaign{};
    sync::Value last_list{};
    sync::Value email{};

    bool operator==(const NotedCreate&) const = default;
};

/// A create that was noted and of which nothing came: it did not leave, or was refused.
struct UnsentCreate {
    sync::Instant noted_at;             ///< the `at` that it was noted with
    std::optional<NotedCreate> before;  ///< what was noted of earlier attempts
};

/// One line of `crm.history`. `key` is empty where the lead as a whole is meant (created, deleted, …).
struct HistoryEntry {
    sync::LeadId lead;
    sync::Key key;
    sync::Value before;
    sync::Value after;
    sync::Side side = sync::Side::remote;  ///< whose value came to stand
    std::string rule;                      ///< why, in a word
    std::string request;                   ///< the call that carried it, or told of it
};

/// A lead that is read again more often until then, by the daemon's clock.
struct ActiveLead {
    sync::InstantlyId id;
    sync::Instant until;
};

/// What did not show a lead: a sweep, whose notes count when it is complete, or a look at chosen leads.
enum class Absence { sweep, look };

/// A lead that shows what it did before in other bytes.
struct Reformatted {
    sync::LeadId id;
    std::uint64_t content_hash = 0;
    std::uint64_t raw_hash = 0;
    sync::Instant requested_at;  ///< as of Observation
};

/// Whether rows are locked until the transaction ends. Locked by somebody else: left out, not waited for.
enum class Lock { none, rows };

/// What local repair came to in a stretch of leads.
struct Repaired {
    std::optional<sync::LeadId> last;  ///< behind which it goes on; nothing: there are no more
    std::int64_t shown_anew = 0;       ///< rows that were gone or out of date: leads that the next page brings back
    std::int64_t edited = 0;           ///< rows whose edits nobody had told of, queued
};

using Writes = std::map<sync::LeadId, std::map<sync::Key, sync::Value>>;

/// The leads of one workspace, rows and bases, within a transaction. Every function takes the whole batch.
class Leads {
public:
    virtual ~Leads() = default;

    virtual std::unordered_map<std::string, Held> look_up(const std::vector<sync::InstantlyId>& ids) = 0;
    /// The same of all leads of a stretch, at most the first `limit`.
    virtual HeldStretch look_up(const Stretch& stretch, std::size_t limit) = 0;

    /// Leads that have a row and a base, in order of our id; tombstones are left out. `now` is the daemon's clock, in
    /// which `edited_at` is told.
    virtual std::vector<sync::KnownLead> load(const std::vector<sync::InstantlyId>& ids, Lock lock,
                                              sync::Instant now) = 0;

    /// Which of these have a row, or had one that a user has deleted: as of now, whatever an earlier look showed.
    virtual std::unordered_set<std::string> here_or_deleted(const std::vector<sync::LeadId>& ids) = 0;

    /// Rows without a lead, by the remote lead that they are: by email and by where the row says; or, where a create
    /// is noted, by email and by having been made since then, wherever it is by now; without an email by what the
    /// create had sent. A row at most once, a lead at most once, and those first that are where the row says. Of a
    /// row that is to be locked and that somebody is writing only that is told.
    virtual std::unordered_map<std::string, LocalRow> adoptable(const std::vector<Identity>& leads, Lock lock) = 0;

    virtual std::vector<LocalRow> rows(const std::vector<sync::LeadId>& ids) = 0;

    /// Locks those of these rows that nobody else is writing at the moment; tells the others. Waits for none.
    virtual std::unordered_set<std::string> lock_free(const std::vector<sync::LeadId>& ids) = 0;

    /// Rows that stand for one of these leads, which have no base, by the lead: where tables were restored from
    /// backups of different times. Locked like adoptable().
    virtual std::unordered_map<std::string, LocalRow> rows_without_base(const std::vector<sync::InstantlyId>& leads,
                                                                        Lock lock) = 0;
    /// Takes away those of these that are tombstones; tells which. Their leads are nobody's then.
    virtual std::unordered_set<std::string> forget_tombstones(const std::vector<sync::LeadId>& ids) = 0;
    /// Which of these ids a row or a base has. A user may choose the id of a row, and why not that of a lead.
    virtual std::unordered_set<std::string> taken(const std::vector<sync::LeadId>& ids) = 0;

    /// Which of these rows are still without a lead; locked.
    virtual std::unordered_set<std::string> without_lead(const std::vector<sync::LeadId>& ids) = 0;

    /// Rows of every lead with one of these emails that Instantly has.
    virtual std::vector<sync::LeadId> with_emails(const std::vector<std::string>& emails) = 0;

    virtual void insert(std::span<const sync::LeadRow> leads) = 0;
    /// The base included, which is made where there is none. A lead that was gone is back.
    virtual void update(std::span<const sync::LeadRow> leads) = 0;

    /// How long a base keeps the bytes that it knows its lead by: a server that writes the same in two ways in turn
    /// is not followed with each answer.
    static constexpr std::chrono::hours raw_hash_kept{24};
    /// Notes the bytes, and the answer as the one that the base rests on, where none are known, or where those known
    /// have been kept that long.
    virtual void note_reformatted(std::span<const Reformatted> leads) = 0;

    virtual void add_conflicts(const std::vector<std::pair<sync::LeadId, sync::Conflict>>& conflicts) = 0;
    virtual void update_conflicts(const std::vector<sync::ConflictUpdate>& updates) = 0;
    virtual void add_history(const std::vector<HistoryEntry>& entries) = 0;

    /// Writes that are about to leave: their values are awaited for `patience` from now. Recorded before the request,
    /// so that one whose answer is lost is awaited too.
    virtual void expect(const Writes& writes, std::chrono::milliseconds patience) = 0;
    /// Deletions that were accepted: until `patience` from now a page that shows one of these leads is only late. Of
    /// a row that was inserted again meanwhile nothing is awaited.
    virtual void expect_absence(const std::vector<sync::LeadId>& ids, std::chrono::milliseconds patience) = 0;
    /// Takes away tombstones of leads that Instantly has deleted at our request, at most `limit`; how many there
    /// were. One goes when the last complete sweep began `margin` or more after the deletion was accepted and nobody
    /// has queued it: a page that had shown its lead since would have. Leads that are only no longer synced are still
    /// there, and keep theirs.
    virtual std::int64_t forget_old_tombstones(std::chrono::milliseconds margin, std::int64_t limit) = 0;
    /// These were refused: nothing is awaited of them any more.
    virtual void expect_no_more(const sync::LeadId& id, const std::vector<sync::Key>& keys) = 0;
    /// Our calls for these leads have ended: answers asked for before `written_at` (daemon's clock) are stale.
    virtual void wrote(const std::vector<sync::LeadId>& ids, sync::Instant written_at) = 0;
    /// Ties rows to the leads made of them. A row deleted meanwhile becomes a tombstone.
    virtual void created(const std::vector<Creation>& creations, std::chrono::milliseconds patience,
                         sync::Instant written_at) = 0;

    virtual void set_status(const std::vector<sync::LeadId>& ids, sync::SyncStatus status,
                            const sync::Value& error) = 0;

    /// Creates that are about to leave, at their `at`. One that is noted already stays as it is, but for when it was
    /// attempted last, and what was sent then, and where.
    virtual void note_creates(const std::map<sync::LeadId, NotedCreate>& creates) = 0;
    virtual std::map<sync::LeadId, NotedCreate> noted_creates(const std::vector<sync::LeadId>& ids) = 0;
    /// Their last attempts have ended at `at`, and nobody knows how.
    virtual void creates_ended(const std::vector<sync::LeadId>& ids, sync::Instant at) = 0;
    /// What was noted before stands again. One that was noted anew since, or has ended, stays as it is.
    virtual void take_back_creates(const std::map<sync::LeadId, UnsentCreate>& unsent) = 0;
    /// Makes tombstones of those of these leads that nobody here has, and that a noted create has made whose row was
    /// deleted since, as the queue says: with the same email, in the place where it makes its lead, while it may have
    /// made it. By their ids on Instantly.
    virtual std::unordered_map<std::string, sync::LeadId> bury_withdrawn(const std::vector<Identity>& leads) = 0;
    /// Their outcome is known.
    virtual void forget_creates(const std::vector<sync::LeadId>& ids) = 0;

    /// The newest ids that say when they were made, newest first, of leads that count() counts; none behind `up_to`.
    virtual std::vector<sync::InstantlyId> newest_time_ordered(int limit,
                                                               const std::optional<sync::InstantlyId>& up_to) = 0;
    /// The id so many of those leads before `id`: a cursor in place of one that the server refuses. Nothing: there
    /// are not so many.
    virtual std::optional<std::string> id_before(const std::string& id, std::int64_t leads) = 0;
    /// The known id behind which half of what is known between the two begins, `end` included, so that a whole number
    /// of pages lies before it: a cursor to share the rest with. Nothing where that is less than two pages.
    virtual std::optional<std::string> halfway(const std::string& cursor, const std::optional<std::string>& end,
                                               int page) = 0;
    /// Leads that are neither deleted here nor gone on Instantly.
    virtual std::int64_t count() = 0;

    // --- leads in which something happened lately: read again more often (DESIGN §5, Known leads) ---

    /// They are active until then, or for longer where that is said already.
    virtual void note_active(const std::vector<ActiveLead>& leads) = 0;
    /// The first active leads behind `after` (nothing: of all) in order of id, at most `limit`. Times are the
    /// daemon's.
    virtual std::vector<sync::InstantlyId> active(const std::optional<std::string>& after, int limit,
                                                  sync::Instant now) = 0;
    virtual std::int64_t count_active(sync::Instant now) = 0;
    /// Forgets those that are active no more, deleted here or gone on Instantly.
    virtual void forget_inactive(sync::Instant now) = 0;

    // --- deletions on Instantly: evidence first (DESIGN §5) ---

    /// Notes the leads whose id lies behind `after` and up to `last` (nothing: to the end) and is not among
    /// `present`, unless written since `requested_at`: the sweep did not find them.
    virtual void note_absent(const std::optional<std::string>& after, const std::optional<std::string>& last,
                             const std::vector<sync::InstantlyId>& present, sync::Instant requested_at) = 0;
    /// The same for those of `asked` that an answer to a look at chosen leads did not show.
    virtual void note_absent(const std::vector<sync::InstantlyId>& asked,
                             const std::vector<sync::InstantlyId>& present, sync::Instant requested_at) = 0;
    /// Leads noted that way and not looked into yet, at most `limit`. A lead on its way into another is left to
    /// whoever merges it.
    virtual std::vector<std::pair<sync::LeadId, sync::InstantlyId>> absent(Absence by, int limit) = 0;
    /// They were looked into: `confirmed` ones wait for what the guard says, the others are forgotten. An answer that
    /// was asked for before `requested_at` is stale from here on.
    virtual void looked_into(const std::vector<sync::LeadId>& ids, const std::unordered_set<std::string>& confirmed,
                             sync::Instant requested_at) = 0;
    /// Noted leads that were looked into and are gone.
    virtual std::vector<sync::LeadId> confirmed_absent() = 0;
    /// Carries a deletion on Instantly out here and forgets the note. A row with an edit that was not sent yet is
    /// kept and told in `sync_error`, whatever the policy. Writes the history.
    virtual void mark_gone(const std::vector<sync::LeadId>& ids, sync::RemoteDeletes policy) = 0;
    /// The deletion of these rows here was rejected by an operator: they come back with the next look at their leads.
    virtual void bring_back(const std::vector<sync::LeadId>& ids) = 0;
    /// The deletion was rejected by an operator: the row stays, without its lead.
    virtual void keep_gone(const std::vector<sync::LeadId>& ids) = 0;

    // --- local repair: what capture missed (DESIGN §5) ---

    /// Compares rows and bases behind `after` (nothing: from the first) in order of our id, at most `limit` leads. A
    /// base whose row is gone without having been deleted, or was put back, or is not tied to its lead any more, is
    /// merged with whatever its lead shows next. A row that is said to be in step and holds edits is queued as if it
    /// had been edited now. Where all is well nothing is written.
    virtual Repaired repair(const std::optional<sync::LeadId>& after, int limit) = 0;
    /// Rows that have a place and no lead, that wait for nothing and that nobody has queued: they are, at most
    /// `limit`, as if they had been inserted now. Returns how many.
    virtual std::int64_t queue_unborn(int limit) = 0;
};

}  // namespace leadsync::store
