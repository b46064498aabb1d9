#include "connectors/postgres/preview.hpp"

#include <unordered_set>

#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/leads.hpp"
#include "connectors/postgres/progress.hpp"
#include "connectors/postgres/queue.hpp"
#include "connectors/postgres/store.hpp"
#include "connectors/postgres/workspaces.hpp"

namespace leadsync::postgres {

std::optional<std::string> Preview::pinned() {
    static const Statement statement{"pinned", "SELECT instantly_workspace_id FROM crm.workspaces WHERE name = $1"};
    const auto rows = execute(transaction_, statement, workspace_);
    if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

bool Preview::is_driven() { return Workspaces::is_driven(transaction_, workspace_); }

std::vector<QueuedLead> Preview::queue() {
    static const Statement statement{"preview_queue", R"sql(
        SELECT q.lead_id, q.generation, q.attempts, q.resends, b.instantly_id,
               b.expected IS NOT NULL AND b.expected_until > now() AS expecting,
               CASE WHEN b.deleted_at IS NOT NULL THEN 'remove'
                    WHEN l.id IS NULL AND b.lead_id IS NULL THEN 'nothing'
                    WHEN b.lead_id IS NULL THEN 'create'
                    ELSE 'reconcile' END AS work,
               coalesce(q.decision, '') AS decision, coalesce(q.decided, '') AS decided,
               m.destination_id, d.instantly_id AS merge_destination,
               (extract(epoch FROM now() - m.sent_at) * 1000)::int8 AS merge_sent_ago,
               b.expected IS NOT NULL AS awaited, q.edited_at IS NOT NULL AS edited, q.held_at IS NOT NULL AS held, q.dead_at IS NOT NULL AS dead,
               coalesce(q.lease_until > now(), false) AS leased
        FROM sync.queue q
        LEFT JOIN sync.base b ON b.workspace = $1 AND b.lead_id = q.lead_id
        LEFT JOIN crm.leads l ON l.workspace = $1 AND l.id = q.lead_id
        LEFT JOIN sync.merges m ON m.workspace = $1 AND m.source_id = q.lead_id
        LEFT JOIN sync.base d ON d.workspace = $1 AND d.lead_id = m.destination_id AND d.deleted_at IS NULL
                             AND d.gone_at IS NULL
        WHERE q.workspace = $1
        ORDER BY q.due_at, q.lead_id
    )sql"};
    std::vector<QueuedLead> queued;
    for (const auto& row : execute(transaction_, statement, workspace_)) {
        QueuedLead lead;
        lead.claim.id = {row["lead_id"].c_str()};
        lead.claim.instantly_id = {row["instantly_id"].as<std::string>("")};
        lead.claim.work = work_named(row["work"].c_str());
        lead.claim.generation = row["generation"].as<std::int64_t>();
        lead.claim.attempts = row["attempts"].as<int>();
        lead.claim.resends = row["resends"].as<int>();
        lead.claim.expecting = row["expecting"].as<bool>(false);
        lead.claim.approval = approval_named(row["decision"].c_str());
        lead.claim.approval_of = hold_kind_named(row["decided"].c_str());
        if (!row["destination_id"].is_null()) lead.claim.merge_into = sync::LeadId{row["destination_id"].c_str()};
        lead.claim.merge_destination = {row["merge_destination"].as<std::string>("")};
        if (const auto field = row["merge_sent_ago"]; !field.is_null())
            lead.claim.merge_sent_ago = std::chrono::milliseconds{field.as<std::int64_t>()};
        lead.awaited = row["awaited"].as<bool>();
        lead.edited = row["edited"].as<bool>();
        lead.decided = lead.claim.approval != store::Approval::none;
        lead.held = row["held"].as<bool>();
        lead.dead = row["dead"].as<bool>();
        lead.leased = row["leased"].as<bool>();
        queued.push_back(std::move(lead));
    }
    return queued;
}

std::vector<std::pair<sync::LeadId, sync::InstantlyId>> Preview::absent(const std::optional<std::string>& after,
                                                                        const std::optional<std::string>& last,
                                                                        const std::vector<sync::InstantlyId>& present,
                                                                        sync::Instant requested_at) {
    static const Statement statement{"preview_absent", R"sql(
        SELECT b.lead_id, b.instantly_id FROM sync.base b
        WHERE b.workspace = $1 AND b.instantly_id > $2::uuid AND b.instantly_id <= $3::uuid
          AND b.instantly_id <> ALL ($4::uuid[])
          AND b.deleted_at IS NULL AND b.gone_at IS NULL
          AND (b.written_at IS NULL OR b.written_at < to_timestamp($5::float8))
          AND NOT EXISTS (SELECT FROM sync.merges m WHERE m.workspace = b.workspace AND m.source_id = b.lead_id)
        ORDER BY b.instantly_id
    )sql"};
    std::vector<std::pair<sync::LeadId, sync::InstantlyId>> missing;
    for (const auto& row : execute(transaction_, statement, workspace_, after.value_or(first_id),
                                   last.value_or(last_id), array_of(present), epoch_seconds(requested_at)))
        missing.emplace_back(sync::LeadId{row[0].c_str()}, sync::InstantlyId{row[1].c_str()});
    return missing;
}

boost::asio::awaitable<void> read_only(Database& database, const std::string& workspace,
                                       std::function<void(store::Transaction&, Preview&)> step) {
    try {
        co_await database.run([&](pqxx::work& transaction) {
            transaction.exec("SET TRANSACTION READ ONLY");
            Leads leads{transaction, workspace};
            Queue queue{transaction, workspace};
            Progress progress{transaction, workspace};
            Preview preview{transaction, workspace};
            store::Transaction all{leads, queue, progress};
            step(all, preview);
        });
    } catch (const pqxx::undefined_table&) {
        throw;
    } catch (const pqxx::failure& error) {
        throw store::StoreError{one_line(error)};
    }
}

}  // namespace leadsync::postgres
