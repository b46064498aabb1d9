#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/lead_rows.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {

void Leads::note_active(const std::vector<store::ActiveLead>& leads) {
    // A lead that goes on being busy is not written each time.
    static const Statement statement{"note_active", R"sql(
        INSERT INTO sync.active AS a (workspace, instantly_id, until)
        SELECT $1, u.instantly_id, 'epoch'::timestamptz + u.until * interval '1 microsecond'
        FROM unnest($2::uuid[], $3::int8[]) AS u(instantly_id, until) ORDER BY u.instantly_id
        ON CONFLICT (workspace, instantly_id) DO UPDATE SET until = excluded.until
        WHERE a.until < excluded.until - interval '5 minutes'
    )sql"};
    if (leads.empty()) return;
    BinaryArray ids{BinaryArray::Element::uuid};
    BinaryArray ends{BinaryArray::Element::int8};
    for (const auto& lead : leads) {
        ids.add(lead.id.text);
        ends.add_int8(lead.until.time_since_epoch().count());
    }
    execute(transaction_, statement, workspace_, ids.finish(), ends.finish());
}

std::vector<sync::InstantlyId> Leads::active(const std::optional<std::string>& after, int limit, sync::Instant now) {
    static const Statement statement{"active", R"sql(
        SELECT instantly_id FROM sync.active
        WHERE workspace = $1 AND instantly_id > $2::uuid AND until > to_timestamp($3::float8)
        ORDER BY instantly_id LIMIT $4
    )sql"};
    std::vector<sync::InstantlyId> ids;
    for (const auto& row :
         execute(transaction_, statement, workspace_, after.value_or(first_id), epoch_seconds(now), limit))
        ids.push_back({row[0].c_str()});
    return ids;
}

std::int64_t Leads::count_active(sync::Instant now) {
    static const Statement statement{"count_active", R"sql(
        SELECT count(*) FROM sync.active WHERE workspace = $1 AND until > to_timestamp($2::float8)
    )sql"};
    return execute(transaction_, statement, workspace_, epoch_seconds(now))[0][0].as<std::int64_t>();
}

void Leads::forget_inactive(sync::Instant now) {
    static const Statement statement{"forget_inactive", R"sql(
        DELETE FROM sync.active WHERE workspace = $1 AND instantly_id IN (
            SELECT a.instantly_id FROM sync.active a
            WHERE a.workspace = $1
              AND (a.until <= to_timestamp($2::float8)
                   OR NOT EXISTS (SELECT FROM sync.base b
                                  WHERE b.workspace = $1 AND b.instantly_id = a.instantly_id
                                    AND b.deleted_at IS NULL AND b.gone_at IS NULL))
            ORDER BY a.instantly_id FOR UPDATE SKIP LOCKED)
    )sql"};
    execute(transaction_, statement, workspace_, epoch_seconds(now));
}

}  // namespace leadsync::postgres
