#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <pqxx/pqxx>

#include "sync/merge.hpp"

namespace leadsync::postgres {

/// `crm.leads.sync_status` as leadsync itself sets it after a merge.
enum class SyncStatus { synced, pending, verifying };

std::string_view name_of(SyncStatus status);

/// A lead as its rows in `crm.leads` and `sync.base` are to be.
struct LeadRow {
    sync::LeadId id;
    sync::InstantlyId instantly_id;
    sync::Content local;
    nlohmann::json extra;
    SyncStatus status = SyncStatus::synced;
    sync::Base base;
    std::uint64_t content_hash = 0;
};

/// A lead as its rows are now, locked until the transaction ends.
struct KnownLead {
    sync::LeadId id;
    sync::InstantlyId instantly_id;
    sync::Content local;  ///< email, both-ways fields, custom variables
    sync::Base base;
    std::string remote_updated_at;  ///< canonical; empty when unknown
    std::int64_t written_at = 0;    ///< microseconds since 1970 by the daemon's clock; 0: never
};

/// Leads by their id on Instantly, without tombstones, locked in order of our id. Rows that somebody else has locked
/// are left out, and so are bases without a row.
std::vector<KnownLead> load_and_lock(pqxx::work& transaction, const std::string& workspace,
                                     const std::vector<sync::InstantlyId>& ids);

/// Accepted writes as `sync.base.expected` holds them: {key: value or null}.
nlohmann::json expectations_to_json(const std::map<sync::Key, sync::Value>& expected);

/// Writes new leads: one statement for the rows, one for the bases.
void insert_leads(pqxx::work& transaction, const std::string& workspace, std::span<const LeadRow> leads);

/// Writes changed leads, the base included (made when it is not there). A row given up on (`error`) keeps that state
/// while there is still something to push.
void update_leads(pqxx::work& transaction, const std::string& workspace, std::span<const LeadRow> leads);

}  // namespace leadsync::postgres
