#include "connectors/postgres/arrays.hpp"
#include "connectors/postgres/database.hpp"
#include "connectors/postgres/leads.hpp"

namespace leadsync::postgres {

using enum BinaryArray::Element;

void Leads::add_conflicts(const std::vector<std::pair<sync::LeadId, sync::Conflict>>& conflicts) {
    // An open one of the same field moves on instead of becoming two.
    static const Statement statement{"add_conflicts", R"sql(
        INSERT INTO crm.conflicts (workspace, lead_id, field, base, local, remote, rule, resolution, resolved_at)
        SELECT $1, u.lead_id, u.field, u.base, u.local, u.remote, u.rule, u.resolution,
               CASE WHEN u.resolution IS NOT NULL THEN now() END
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
             AS u(lead_id, field, base, local, remote, rule, resolution)
        ON CONFLICT (workspace, lead_id, field) WHERE resolved_at IS NULL
        DO UPDATE SET local = excluded.local, remote = excluded.remote
    )sql"};
    if (conflicts.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray fields{text};
    BinaryArray bases{text};
    BinaryArray locals{text};
    BinaryArray remotes{text};
    BinaryArray rules{text};
    BinaryArray resolutions{text};
    for (const auto& [id, conflict] : conflicts) {
        ids.add(id.text);
        fields.add(conflict.key);
        bases.add_or_null(conflict.base);
        locals.add_or_null(conflict.local);
        remotes.add_or_null(conflict.remote);
        rules.add(sync::name_of(conflict.rule));
        resolutions.add_or_null(conflict.resolution ? sync::Value{sync::name_of(*conflict.resolution)}
                                                    : std::nullopt);
    }
    execute(transaction_, statement, workspace_, ids.finish(), fields.finish(), bases.finish(), locals.finish(),
            remotes.finish(), rules.finish(), resolutions.finish());
}

void Leads::update_conflicts(const std::vector<sync::ConflictUpdate>& updates) {
    static const Statement statement{"update_conflicts", R"sql(
        UPDATE crm.conflicts c
        SET local = u.local, remote = u.remote,
            resolution = CASE WHEN u.outcome = 'agreed' AND c.resolution IS NULL THEN 'agreed' ELSE c.resolution END,
            resolved_at = CASE WHEN u.outcome <> 'open' THEN now() END
        FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[]) AS u(id, local, remote, outcome)
        WHERE c.workspace = $1 AND c.id = u.id
    )sql"};
    if (updates.empty()) return;
    BinaryArray ids{int8};
    BinaryArray locals{text};
    BinaryArray remotes{text};
    BinaryArray outcomes{text};
    for (const auto& update : updates) {
        using Outcome = sync::ConflictUpdate::Outcome;
        ids.add_int8(update.id);
        locals.add_or_null(update.local);
        remotes.add_or_null(update.remote);
        outcomes.add(update.outcome == Outcome::still_open ? "open"
                     : update.outcome == Outcome::agreed   ? "agreed"
                                                           : "settled");
    }
    execute(transaction_, statement, workspace_, ids.finish(), locals.finish(), remotes.finish(), outcomes.finish());
}

void Leads::add_history(const std::vector<store::HistoryEntry>& entries) {
    static const Statement statement{"add_history", R"sql(
        INSERT INTO crm.history (workspace, lead_id, field, old, new, side, rule, request)
        SELECT $1, u.lead_id, nullif(u.field, ''), u.old, u.new, u.side, u.rule, u.request
        FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
             WITH ORDINALITY AS u(lead_id, field, old, new, side, rule, request, position)
        ORDER BY u.position
    )sql"};
    if (entries.empty()) return;
    BinaryArray ids{uuid};
    BinaryArray fields{text};
    BinaryArray before{text};
    BinaryArray after{text};
    BinaryArray sides{text};
    BinaryArray rules{text};
    BinaryArray requests{text};
    for (const auto& entry : entries) {
        ids.add(entry.lead.text);
        fields.add(entry.key);
        before.add_or_null(entry.before);
        after.add_or_null(entry.after);
        sides.add(sync::name_of(entry.side));
        rules.add(entry.rule);
        requests.add(entry.request);
    }
    execute(transaction_, statement, workspace_, ids.finish(), fields.finish(), before.finish(), after.finish(),
            sides.finish(), rules.finish(), requests.finish());
}

}  // namespace leadsync::postgres
