#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sync/lead.hpp"

namespace leadsync::store {

/// Where leads are: one campaign or one list. Neither: anywhere in the workspace.
struct Place {
    std::optional<std::string> campaign;
    std::optional<std::string> list;

    bool operator==(const Place&) const = default;
};

/// A part of the workspace in order of id that a sweep reads by itself, and how far it is.
struct SweepRange {
    std::int64_t number = 0;
    std::optional<std::string> cursor;  ///< id behind which it goes on; nothing: from the first
    std::optional<std::string> end;     ///< the last id that is in it; nothing: to the last
    std::int64_t pages = 0;
    Place place{};  ///< of a chain: only the leads in it
};

/// Where a sweep stands: what it has durably processed.
struct SweepState {
    std::vector<SweepRange> open;  ///< what is left, in order of number
    std::int64_t pages = 0;
    std::int64_t leads = 0;
    std::int64_t changed = 0;  ///< leads whose both-ways values had changed on Instantly, those of chains included
};

/// A page's share of a sweep.
struct SweepStep {
    std::int64_t leads = 0;
    std::int64_t changed = 0;
};

/// A campaign, lead list or lead label as `crm` shows it. No text in it holds U+0000.
struct CatalogRow {
    std::string id;
    std::string name;
    std::optional<int> number;  ///< a campaign's status, a label's interest_status
    nlohmann::json data;
};

/// Which catalogue: `crm.campaigns`, `crm.lead_lists` or `crm.lead_labels`.
enum class Catalog { campaigns, lead_lists, lead_labels };

/// How many requests a second of the daemon's clock was given.
struct SpentSecond {
    sync::Instant begin;
    int requests = 0;

    bool operator==(const SpentSecond&) const = default;
};

/// What is known of the workspace as a whole: checkpoints, state, catalogues.
class Progress {
public:
    virtual ~Progress() = default;

    /// A first backfill begins by reading these places, each as a range of its own: a chain, for its leads are not
    /// cut. A sweep that is under way is dropped.
    virtual void begin_chains(const std::vector<Place>& places) = 0;
    /// The chains of the first backfill, until the sweep behind them is finished; nothing: none were begun.
    virtual std::optional<SweepState> chains() = 0;

    /// The sweep that is under way, or one that starts now, cut at leads that are known into ranges of
    /// `leads_per_range`, or of several times as many: of whole pages, and not more than `ranges_max`.
    virtual SweepState open_sweep(std::int64_t leads_per_range, std::int64_t ranges_max) = 0;
    /// One more page of the range or chain is processed, behind `from`, where it stood. Save it in the transaction
    /// that holds the rows of the page. StoreError: it does not stand there, as after a failover to a server that had
    /// not got all of the last pages.
    virtual void advance_range(const SweepRange& from, const std::string& cursor, const SweepStep& page) = 0;
    /// The same, of its last page, up to the end that `from` has. StoreError: it reaches further.
    virtual void finish_range(const SweepRange& from, const SweepStep& page) = 0;
    /// Cuts a range in two: it ends at the id `at` now, and what lies behind is a range of its own, whose number is
    /// answered. Nothing: it is complete already.
    virtual std::optional<std::int64_t> cut_range(std::int64_t number, const std::string& at) = 0;
    /// All ranges are complete: nothing is older than the beginning of the sweep.
    virtual void finish_sweep() = 0;

    /// Whether rows are to be compared with their bases again, `every` so often: it begins with that. One that did
    /// not come to its end is begun again.
    virtual bool begin_repair(std::chrono::milliseconds every) = 0;
    /// All rows were compared, unless the table was truncated meanwhile.
    virtual void finish_repair() = 0;

    virtual bool is_backfilled() = 0;
    /// Since the last complete sweep began; nothing before the first.
    virtual std::optional<std::chrono::milliseconds> fresh_ago() = 0;
    /// How long the last complete sweep took; 0 before the first.
    virtual std::chrono::milliseconds sweep_took() = 0;
    /// New leads were looked for: whatever was there `ago` is here. `last`: the last that was shown; nothing: none
    /// was.
    virtual void checked_new_leads(std::chrono::milliseconds ago, const std::optional<sync::InstantlyId>& last) = 0;
    /// The last that a look has shown: what was added since lies behind it. Nothing before the first.
    virtual std::optional<sync::InstantlyId> new_leads_read_to() = 0;
    /// Since new leads were looked for, or, before the first time, since the first sweep was complete; nothing
    /// before.
    virtual std::optional<std::chrono::milliseconds> new_leads_ago() = 0;
    /// How many leads are active, and since when none of them was read; nothing: there are none, or not known.
    virtual void report_active(std::int64_t leads, std::optional<std::chrono::milliseconds> ago) = 0;
    /// What was reported: how old the oldest of them can be by now.
    virtual std::optional<std::chrono::milliseconds> active_ago() = 0;

    virtual void set_state(const std::string& state, const std::optional<std::string>& reason) = 0;
    /// Pins the workspace that the key belongs to. False when another one was pinned before: a swapped key.
    virtual bool pin(const std::string& instantly_id, const std::string& instantly_name) = 0;
    virtual void set_lead_count(std::int64_t leads) = 0;
    virtual std::optional<std::int64_t> lead_count() = 0;
    virtual void report_requests(std::size_t last_minute) = 0;

    /// What the last minute's requests were, oldest second first: replaces what was recorded before.
    virtual void record_spent(const std::vector<SpentSecond>& seconds) = 0;
    virtual std::vector<SpentSecond> spent() = 0;

    /// Makes the table equal to a complete listing: rows that are not in it go. One whose id is no UUID is left out;
    /// of several of one id, in whatever case, the first counts.
    virtual void replace_catalog(Catalog catalog, const std::vector<CatalogRow>& rows) = 0;

    /// Removes history, and holds that were decided, older than `keep`, at most `limit` of each; how many there were
    /// of the one that there was more of. What was said of a deletion on Instantly stays until it is carried out.
    virtual std::int64_t prune_history(std::chrono::hours keep, std::int64_t limit) = 0;
};

}  // namespace leadsync::store
