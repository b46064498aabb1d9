#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sync/lead.hpp"

namespace leadsync::store {

/// Where a sweep stands: what it has durably processed.
struct Checkpoint {
    std::optional<std::string> cursor;  ///< id of the last lead processed; nothing at the start
    std::int64_t pages = 0;
    std::int64_t leads = 0;
    std::int64_t changed = 0;  ///< leads of this sweep whose both-ways values had changed on Instantly
};

/// A campaign, lead list or lead label as `crm` shows it.
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

    /// The sweep that is under way, or one that starts now.
    virtual Checkpoint open_sweep() = 0;
    /// One more page is processed. Save it in the transaction that holds the rows of the page.
    virtual void advance_sweep(const std::string& cursor, std::int64_t leads, std::int64_t changed) = 0;
    /// The sweep is complete: nothing is older than its beginning.
    virtual void finish_sweep() = 0;

    virtual bool is_backfilled() = 0;
    /// Since the last complete sweep began; nothing before the first.
    virtual std::optional<std::chrono::milliseconds> fresh_ago() = 0;
    virtual void checked_new_leads() = 0;

    virtual void set_state(const std::string& state, const std::optional<std::string>& reason) = 0;
    /// Pins the workspace that the key belongs to. False when another one was pinned before: a swapped key.
    virtual bool pin(const std::string& instantly_id, const std::string& instantly_name) = 0;
    virtual void set_lead_count(std::int64_t leads) = 0;
    virtual std::optional<std::int64_t> lead_count() = 0;
    virtual void report_requests(std::size_t last_minute) = 0;

    /// What the last minute's requests were, oldest second first: replaces what was recorded before.
    virtual void record_spent(const std::vector<SpentSecond>& seconds) = 0;
    virtual std::vector<SpentSecond> spent() = 0;

    /// Makes the table equal to a complete listing: rows that are not in it go.
    virtual void replace_catalog(Catalog catalog, const std::vector<CatalogRow>& rows) = 0;

    /// Removes history older than `keep`, at most `limit` rows; how many there were.
    virtual std::int64_t prune_history(std::chrono::hours keep, std::int64_t limit) = 0;
};

}  // namespace leadsync::store
