#include "connectors/postgres/mirror.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "connectors/postgres/binary_array.hpp"
#include "connectors/postgres/database.hpp"

namespace leadsync::postgres {
namespace {

using sync::Field;
using sync::InstantlyId;
using sync::LeadId;
using sync::Observation;
using Element = BinaryArray::Element;

std::string utc(sync::Instant instant) {
    return std::to_string(static_cast<double>(instant.time_since_epoch().count()) / 1e6);
}

template <class Items, class Text>
pqxx::binarystring array_of(Element element, const Items& items, Text text) {
    BinaryArray array{element};
    for (const auto& item : items) array.add(std::string_view{text(item)});
    return array.finish();
}

pqxx::binarystring array_of(const std::vector<LeadId>& ids) {
    return array_of(Element::uuid, ids, [](const auto& id) -> const std::string& { return id.text; });
}

/// What the mirror holds of the leads in a batch, before any row is locked.
struct Held {
    std::uint64_t content_hash = 0;
    LeadId id;
    bool expecting = false;
    bool tombstone = false;
};

std::unordered_map<std::string, Held> look_up_hashes(pqxx::work& transaction, const std::string& workspace,
                                                     const std::vector<Observation>& observations) {
    static const Statement statement{"look_up_hashes", R"sql(
        SELECT instantly_id, content_hash, lead_id, expected IS NOT NULL, deleted_at IS NOT NULL
        FROM sync.base WHERE workspace = $1 AND instantly_id = ANY ($2::uuid[])
    )sql"};
    const auto ids = array_of(Element::uuid, observations,
                              [](const auto& seen) -> const std::string& { return seen.lead.id.text; });
    std::unordered_map<std::string, Held> held;
    for (const auto& row : execute(transaction, statement, workspace, ids))
        held.emplace(row[0].c_str(), Held{static_cast<std::uint64_t>(row[1].as<std::int64_t>()),
                                          {row[2].c_str()},
                                          row[3].as<bool>(),
                                          row[4].as<bool>()});
    return held;
}

/// Of a lead seen twice in a batch the later answer counts.
std::vector<Observation> without_repetitions(std::vector<Observation> observations) {
    std::unordered_set<std::string_view> seen;
    std::vector<Observation> unique;
    for (auto& observation : std::ranges::reverse_view(observations))
        if (seen.insert(observation.lead.id.text).second) unique.push_back(observation);
    return unique;
}

bool is_stale(const Observation& observation, const KnownLead& known) {
    if (observation.requested_at.time_since_epoch().count() < known.written_at) return true;
    const auto& updated = observation.lead.content[Field::timestamp_updated];
    return updated && *updated < known.remote_updated_at;  // canonical times sort as text
}

SyncStatus status_of(const sync::MergeResult& result) {
    if (!result.to_push.empty()) return SyncStatus::pending;
    return result.awaited.empty() ? SyncStatus::synced : SyncStatus::verifying;
}

}  // namespace

/// One call of observe(), step by step.
struct Mirror::Batch {
    pqxx::work& transaction;
    const std::string& workspace;
    const sync::ConflictPolicy& policy;
    Observe how;
    ObserveResult result;
    std::vector<LeadRow> to_insert;
    std::vector<LeadRow> to_update;
    std::vector<std::pair<LeadId, sync::Conflict>> conflicts;
    std::vector<LeadId> to_queue;
    std::vector<LeadId> settled;

    /// A lead that no row stands for: the row is what Instantly holds.
    void add(const LeadId& id, const Observation& observation) {
        ++result.added;
        LeadRow row{.id = id,
                    .instantly_id = observation.lead.id,
                    .local = observation.lead.content,
                    .extra = observation.lead.extra,
                    .content_hash = observation.lead.content_hash};
        row.base.content.custom_variables = row.local.custom_variables;
        for (const auto& line : sync::field_table())
            if (line.owner == sync::Owner::both_ways) row.base.content[line.field] = row.local[line.field];
        to_insert.push_back(std::move(row));
    }

    void merge(const LeadId& id, const sync::Base& base, const sync::Content& local, const Observation& observation) {
        auto merged = sync::merge(base, local, observation.lead, policy);
        const auto status = status_of(merged);
        for (const auto& conflict : merged.conflicts) conflicts.emplace_back(id, conflict);
        (status == SyncStatus::synced ? settled : to_queue).push_back(id);
        to_update.push_back({id, observation.lead.id, merged.local, observation.lead.extra, status, merged.base,
                             observation.lead.content_hash});
        result.merged.push_back({id, observation.lead.id, std::move(merged)});
    }

    void merge_known(const std::vector<Observation>& observations,
                     const std::unordered_map<std::string, Held>& held) {
        std::vector<InstantlyId> ids;
        for (const auto& observation : observations) ids.push_back(observation.lead.id);
        if (ids.empty()) return;
        std::unordered_map<std::string, KnownLead> known;
        for (auto& lead : load_and_lock(transaction, workspace, ids)) known.emplace(lead.instantly_id.text, lead);
        std::vector<const Observation*> missing;
        for (const auto& observation : observations) {
            const auto found = known.find(observation.lead.id.text);
            if (found == known.end()) {
                missing.push_back(&observation);
                continue;
            }
            if (is_stale(observation, found->second)) {
                ++result.stale;
                continue;
            }
            ++result.changed;
            merge(found->second.id, found->second.base, found->second.local, observation);
        }
        restore_or_queue(missing, held);
    }

    /// A base without its row: the row was taken away behind the triggers (TRUNCATE, a restored backup), and is
    /// brought back. A row that is there but locked is looked at again when its owner is done.
    void restore_or_queue(const std::vector<const Observation*>& missing,
                          const std::unordered_map<std::string, Held>& held) {
        static const Statement statement{"rows_that_exist", R"sql(
            SELECT id FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[])
        )sql"};
        if (missing.empty()) return;
        std::vector<LeadId> ids;
        for (const auto* observation : missing) ids.push_back(held.at(observation->lead.id.text).id);
        std::unordered_set<std::string> existing;
        for (const auto& row : execute(transaction, statement, workspace, array_of(ids)))
            existing.insert(row[0].c_str());
        for (const auto* observation : missing) {
            const auto& id = held.at(observation->lead.id.text).id;
            if (existing.contains(id.text)) {
                result.busy.push_back(id);
            } else {
                add(id, *observation);
            }
        }
    }

    /// Local rows that Instantly does not have by id, but by email and target: the same lead (DESIGN §4, Identity).
    void adopt_or_add(const std::vector<Observation>& unknown) {
        auto candidates = find_adoptable(unknown);
        for (const auto& observation : unknown) {
            const auto found = candidates.find(observation.lead.id.text);
            if (found == candidates.end()) {
                // Deterministic, so that a page taken in twice makes one row.
                add({observation.lead.id.text}, observation);
                continue;
            }
            ++result.adopted;
            merge(found->second.id, {}, found->second.content, observation);
        }
    }

    std::unordered_map<std::string, Unborn> find_adoptable(const std::vector<Observation>& unknown) {
        static const Statement statement{"find_adoptable", R"sql(
            SELECT u.instantly_id, l.id
            FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::uuid[]) AS u(instantly_id, email, campaign, list_id)
            JOIN crm.leads l ON l.workspace = $1 AND l.instantly_id IS NULL AND lower(l.email) = lower(u.email)
                            AND (l.campaign = u.campaign OR (l.campaign IS NULL AND l.list_id = u.list_id))
            ORDER BY l.id
            FOR NO KEY UPDATE OF l
        )sql"};
        if (unknown.empty()) return {};
        BinaryArray ids{Element::uuid};
        BinaryArray emails{Element::text};
        BinaryArray campaigns{Element::uuid};
        BinaryArray lists{Element::uuid};
        for (const auto& observation : unknown) {
            ids.add(observation.lead.id.text);
            emails.add_or_null(observation.lead.content[Field::email]);
            campaigns.add_or_null(observation.lead.content[Field::campaign]);
            lists.add_or_null(observation.lead.content[Field::list_id]);
        }
        std::unordered_map<std::string, LeadId> pairs;
        std::unordered_set<std::string> taken;
        for (const auto& row : execute(transaction, statement, workspace, ids.finish(), emails.finish(),
                                       campaigns.finish(), lists.finish()))
            if (!pairs.contains(row[0].c_str()) && taken.insert(row[1].c_str()).second)
                pairs.emplace(row[0].c_str(), LeadId{row[1].c_str()});

        std::vector<LeadId> rows;
        for (const auto& [instantly_id, id] : pairs) rows.push_back(id);
        std::unordered_map<std::string, Unborn> adoptable;
        for (auto& row : load_rows(transaction, workspace, rows))
            for (const auto& [instantly_id, id] : pairs)
                if (id == row.id) adoptable.emplace(instantly_id, row);
        return adoptable;
    }

    void write() {
        insert_leads(transaction, workspace, to_insert);
        update_leads(transaction, workspace, to_update);
        write_conflicts();
        queue_what_is_left();
        result.conflicts = conflicts.size();
    }

    void write_conflicts() {
        static const Statement statement{"write_conflicts", R"sql(
            INSERT INTO crm.conflicts (workspace, lead_id, field, base, local, remote, rule, resolution)
            SELECT $1, u.lead_id, u.field, u.base, u.local, u.remote, u.rule, u.rule
            FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                 AS u(lead_id, field, base, local, remote, rule)
        )sql"};
        if (conflicts.empty()) return;
        BinaryArray ids{Element::uuid};
        BinaryArray fields{Element::text};
        BinaryArray bases{Element::text};
        BinaryArray locals{Element::text};
        BinaryArray remotes{Element::text};
        BinaryArray rules{Element::text};
        for (const auto& [id, conflict] : conflicts) {
            ids.add(id.text);
            fields.add(conflict.key);
            bases.add_or_null(conflict.base);
            locals.add_or_null(conflict.local);
            remotes.add_or_null(conflict.remote);
            rules.add(sync::name_of(conflict.rule));
        }
        execute(transaction, statement, workspace, ids.finish(), fields.finish(), bases.finish(), locals.finish(),
                remotes.finish(), rules.finish());
    }

    /// Leads given up on stay so until their next edit, unless both sides agree by now.
    void queue_what_is_left() {
        // A page raises the generation: whoever is at work on the lead has not seen what this page found.
        static const Statement enqueue{"enqueue", R"sql(
            INSERT INTO sync.queue AS q (workspace, lead_id)
            SELECT $1, u.lead_id FROM unnest($2::uuid[]) AS u(lead_id) ORDER BY u.lead_id
            ON CONFLICT (workspace, lead_id) DO UPDATE SET generation = q.generation + 1
            WHERE q.dead_at IS NULL
        )sql"};
        static const Statement forget_dead{"forget_dead", R"sql(
            DELETE FROM sync.queue WHERE workspace = $1 AND lead_id = ANY ($2::uuid[]) AND dead_at IS NOT NULL
        )sql"};
        if (!to_queue.empty() && how == Observe::changes)
            execute(transaction, enqueue, workspace, array_of(to_queue));
        if (!settled.empty()) execute(transaction, forget_dead, workspace, array_of(settled));
    }

    static std::vector<Unborn> load_rows(pqxx::work& transaction, const std::string& workspace,
                                         const std::vector<LeadId>& ids) {
        static const Statement statement{"load_rows", [] {
                                             std::string columns;
                                             for (const auto& line : sync::field_table())
                                                 if (line.owner != sync::Owner::instantly)
                                                     columns.append(", ").append(line.name);
                                             return "SELECT id, custom_variables::text" + columns +
                   " FROM crm.leads WHERE workspace = $1 AND id = ANY ($2::uuid[]) ORDER BY id";
                                         }()};
        std::vector<Unborn> rows;
        if (ids.empty()) return rows;
        for (const auto& row : execute(transaction, statement, workspace, array_of(ids))) {
            Unborn unborn{.id = {row[0].c_str()}};
            unborn.content.custom_variables = nlohmann::json::parse(row[1].c_str()).get<sync::CustomVariables>();
            int column = 2;
            for (const auto& line : sync::field_table()) {
                if (line.owner == sync::Owner::instantly) continue;
                if (const auto value = row[column++]; !value.is_null()) unborn.content[line.field] = value.c_str();
            }
            rows.push_back(std::move(unborn));
        }
        return rows;
    }
};

Mirror::Mirror(std::string workspace, sync::ConflictPolicy policy)
    : workspace_{std::move(workspace)}, policy_{std::move(policy)} {}

ObserveResult Mirror::observe(pqxx::work& transaction, std::vector<Observation> observations, Observe how) const {
    if (observations.empty()) return {};
    const auto held = look_up_hashes(transaction, workspace_, observations);
    Batch batch{transaction, workspace_, policy_, how};
    std::vector<Observation> known;
    std::vector<Observation> unknown;
    for (auto& observation : without_repetitions(std::move(observations))) {
        const auto found = held.find(observation.lead.id.text);
        if (found == held.end())
            unknown.push_back(std::move(observation));
        else if (found->second.tombstone
                 || (how == Observe::changes && !found->second.expecting
                     && found->second.content_hash == observation.lead.content_hash))
            ++batch.result.unchanged;
        else
            known.push_back(std::move(observation));
    }
    batch.merge_known(known, held);
    batch.adopt_or_add(unknown);
    batch.write();
    return std::move(batch.result);
}

void Mirror::look_again(pqxx::work& transaction, const std::vector<LeadId>& ids) const {
    static const Statement statement{"look_again", R"sql(
        INSERT INTO sync.queue (workspace, lead_id) VALUES ($1, $2::uuid) ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql"};
    transaction.exec("SET LOCAL lock_timeout = '100ms'");
    for (const auto& id : ids) {
        pqxx::subtransaction attempt{transaction};
        try {
            attempt.conn().prepare(statement.name, statement.sql);
            attempt.exec_prepared(statement.name, workspace_, id.text);
            attempt.commit();
        } catch (const pqxx::sql_error&) {
            attempt.abort();  // the lock is held by the edit that queues the lead itself
        }
    }
}

void Mirror::expect(pqxx::work& transaction, const std::map<LeadId, std::map<sync::Key, sync::Value>>& writes,
                    std::chrono::milliseconds patience) const {
    static const Statement statement{"expect", R"sql(
        UPDATE sync.base b
        SET expected = coalesce(b.expected, '{}') || u.expected,
            expected_until = now() + $4::int8 * interval '1 millisecond'
        FROM unnest($2::uuid[], $3::jsonb[]) AS u(lead_id, expected)
        WHERE b.workspace = $1 AND b.lead_id = u.lead_id
    )sql"};
    static const Statement mark{"mark_verifying", R"sql(
        UPDATE crm.leads SET sync_status = 'verifying', sync_error = NULL
        WHERE workspace = $1 AND id = ANY ($2::uuid[]) AND sync_status = 'pending'
    )sql"};
    if (writes.empty()) return;
    BinaryArray ids{Element::uuid};
    BinaryArray expected{Element::jsonb};
    for (const auto& [id, values] : writes) {
        ids.add(id.text);
        expected.add(expectations_to_json(values).dump());
    }
    execute(transaction, mark, workspace_, ids.finish());
    execute(transaction, statement, workspace_, ids.finish(), expected.finish(), patience.count());
}

void Mirror::wrote(pqxx::work& transaction, const std::vector<LeadId>& ids, sync::Instant written_at) const {
    static const Statement statement{"wrote", R"sql(
        UPDATE sync.base SET written_at = to_timestamp($3::float8)
        WHERE workspace = $1 AND lead_id = ANY ($2::uuid[])
    )sql"};
    if (!ids.empty()) execute(transaction, statement, workspace_, array_of(ids), utc(written_at));
}

void Mirror::expect_no_more(pqxx::work& transaction, const LeadId& id, const std::vector<sync::Key>& keys) const {
    static const Statement statement{"expect_no_more", R"sql(
        UPDATE sync.base SET expected = nullif(expected - $3::text[], '{}')
        WHERE workspace = $1 AND lead_id = $2::uuid
    )sql"};
    if (keys.empty()) return;
    const auto names = array_of(Element::text, keys, [](const auto& key) -> const std::string& { return key; });
    execute(transaction, statement, workspace_, id.text, names);
}

void Mirror::created(pqxx::work& transaction, const std::vector<Creation>& creations,
                     std::chrono::milliseconds patience, sync::Instant written_at) const {
    static const Statement name_rows{"name_rows", R"sql(
        UPDATE crm.leads l SET instantly_id = u.instantly_id, sync_status = 'verifying', sync_error = NULL
        FROM unnest($2::uuid[], $3::uuid[]) AS u(id, instantly_id)
        WHERE l.workspace = $1 AND l.id = u.id
    )sql"};
    static const Statement make_bases{"make_bases", R"sql(
        INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash, expected, expected_until,
                               written_at, deleted_at)
        SELECT $1, u.id, u.instantly_id, '{}', 0, u.expected, now() + $5::int8 * interval '1 millisecond',
               to_timestamp($6::float8),
               CASE WHEN NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = $1 AND l.id = u.id) THEN now() END
        FROM unnest($2::uuid[], $3::uuid[], $4::jsonb[]) AS u(id, instantly_id, expected)
    )sql"};
    if (creations.empty()) return;
    BinaryArray ids{Element::uuid};
    BinaryArray instantly_ids{Element::uuid};
    BinaryArray expected{Element::jsonb};
    for (const auto& creation : creations) {
        ids.add(creation.id.text);
        instantly_ids.add(creation.instantly_id.text);
        expected.add(expectations_to_json(creation.sent).dump());
    }
    execute(transaction, name_rows, workspace_, ids.finish(), instantly_ids.finish());
    execute(transaction, make_bases, workspace_, ids.finish(), instantly_ids.finish(), expected.finish(),
            patience.count(), utc(written_at));
}

std::vector<Mirror::Unborn> Mirror::load_unborn(pqxx::work& transaction, const std::vector<LeadId>& ids) const {
    return Batch::load_rows(transaction, workspace_, ids);
}

void Mirror::mark_error(pqxx::work& transaction, const LeadId& id, const std::string& reason) const {
    static const Statement statement{"mark_error", R"sql(
        UPDATE crm.leads SET sync_status = 'error', sync_error = $3 WHERE workspace = $1 AND id = $2::uuid
    )sql"};
    execute(transaction, statement, workspace_, id.text, reason);
}

std::optional<InstantlyId> Mirror::newest_time_ordered(pqxx::work& transaction) const {
    // Ids from the far future of the version-7 clock are random old ones: a year ahead leaves those few behind.
    static const Statement statement{"newest_time_ordered", R"sql(
        SELECT instantly_id FROM sync.base
        WHERE workspace = $1 AND substr(instantly_id::text, 15, 1) = '7'
          AND instantly_id < (lpad(to_hex((extract(epoch FROM now() + interval '1 year') * 1000)::int8), 12, '0')
                              || '70008000000000000000')::uuid
        ORDER BY instantly_id DESC LIMIT 1
    )sql"};
    const auto rows = execute(transaction, statement, workspace_);
    if (rows.empty()) return std::nullopt;
    return InstantlyId{rows[0][0].c_str()};
}

std::optional<std::string> Mirror::id_before(pqxx::work& transaction, const std::string& id) const {
    static const Statement statement{"id_before", R"sql(
        SELECT instantly_id FROM sync.base WHERE workspace = $1 AND instantly_id < $2::uuid
        ORDER BY instantly_id DESC LIMIT 1
    )sql"};
    const auto rows = execute(transaction, statement, workspace_, id);
    if (rows.empty()) return std::nullopt;
    return rows[0][0].as<std::string>();
}

}  // namespace leadsync::postgres
