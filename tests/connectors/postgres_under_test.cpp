#include <fmt/format.h>
#include <pqxx/pqxx>

#include "connectors/postgres/queue.hpp"
#include "connectors/postgres/store.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "tests/connectors/store_contract.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::store_contract {
namespace {

using sync::Kind;

sync::Value value_of(const pqxx::field& field) {
    return field.is_null() ? sync::Value{} : sync::Value{field.c_str()};
}

std::string column_as_text(const sync::FieldSpec& line) {
    const std::string name{line.name};
    if (line.kind == Kind::timestamp)
        return "to_char(" + name + " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    return name + "::text";
}

sync::Value field_of(const pqxx::field& field, Kind kind) {
    const auto value = value_of(field);
    return value && kind == Kind::json ? nlohmann::json::parse(*value).dump() : value;
}

/// The columns that tell when something happened to the store, as `table.column`. Not among them: instants that the
/// engine gave (written_at, attempted_at, remote_updated_at).
constexpr const char* shift_everything = R"sql(
    SET LOCAL leadsync.origin = 'sync';
    UPDATE sync.queue SET due_at = due_at - $d, queued_at = queued_at - $d, lease_until = lease_until - $d,
                          dead_at = dead_at - $d, edited_at = edited_at - $d, held_at = held_at - $d;
    UPDATE sync.base SET expected_until = expected_until - $d, deleted_at = deleted_at - $d, gone_at = gone_at - $d,
                         buried_at = buried_at - $d;
    UPDATE sync.absent SET noticed_at = noticed_at - $d, confirmed_at = confirmed_at - $d;
    UPDATE sync.merges SET requested_at = requested_at - $d, sent_at = sent_at - $d;
    UPDATE sync.sweeps SET started_at = started_at - $d;
    UPDATE crm.workspaces SET backfilled_at = backfilled_at - $d, sweep_completed_at = sweep_completed_at - $d,
                              fresh_as_of = fresh_as_of - $d, new_leads_checked_at = new_leads_checked_at - $d,
                              active_as_of = active_as_of - $d;
    UPDATE crm.history SET at = at - $d;
    UPDATE crm.held SET held_at = held_at - $d, decided_at = decided_at - $d;
)sql";

const std::string unseen = "SET LOCAL session_replication_role = replica; ";

class PostgresUnderTest final : public StoreUnderTest {
public:
    PostgresUnderTest() {
        leadsync_.run_blocking([](pqxx::work& work) { postgres::Workspaces::declare(work, {"acme"}); });
    }

    sync::Instant now() override {
        return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    }

    void advance(std::chrono::milliseconds duration) override {
        std::string sql = shift_everything;
        const auto interval = fmt::format("interval '{} milliseconds'", duration.count());
        for (auto at = sql.find("$d"); at != std::string::npos; at = sql.find("$d")) sql.replace(at, 2, interval);
        as_user(sql);
    }

    sync::LeadId insert(const sync::Content& content, std::optional<sync::LeadId> id) override {
        std::string columns = "workspace, custom_variables, id";
        std::string values =
            "'acme', " + quoted(content.custom_variables) + ", " + (id ? quoted(id->text) : "gen_random_uuid()");
        for (const auto& line : sync::field_table()) {
            if (!content[line.field]) continue;
            columns.append(", ").append(line.name);
            values.append(", ").append(quoted(content[line.field]));
        }
        return {
            as_user("INSERT INTO crm.leads (" + columns + ") VALUES (" + values + ") RETURNING id")[0][0].c_str()};
    }

    void update(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) override {
        if (const auto statement = update_statement(id, edit)) as_user(*statement);
    }

    void erase(const sync::LeadId& id) override { as_user("DELETE FROM crm.leads WHERE id = " + quoted(id.text)); }

    void resolve(std::int64_t conflict, sync::Side side) override {
        as_user(
            fmt::format("UPDATE crm.conflicts SET resolution = '{}' WHERE id = {}", sync::name_of(side), conflict));
    }

    void decide(std::int64_t held, bool approve) override {
        as_user(
            fmt::format("UPDATE crm.held SET decision = '{}' WHERE id = {}", approve ? "approve" : "reject", held));
    }

    void merge_leads(const sync::LeadId& source, const sync::LeadId& destination) override {
        as_user("SELECT crm.merge_leads('acme', " + quoted(source.text) + ", " + quoted(destination.text) + ")");
    }

    void lock(const sync::LeadId& id) override {
        if (!open_) open_ = std::make_unique<pqxx::work>(other_user_);
        open_->exec("SELECT FROM crm.leads WHERE id = " + quoted(id.text) + " FOR UPDATE");
    }
    void unlock() override { open_.reset(); }

    void lose_row(const sync::LeadId& id) override {
        as_user(unseen + "DELETE FROM crm.leads WHERE id = " + quoted(id.text));
    }
    void lose_base(const sync::LeadId& id) override {
        as_user("DELETE FROM sync.base WHERE lead_id = " + quoted(id.text));
    }
    void lose_queued(const sync::LeadId& id) override {
        as_user("DELETE FROM sync.queue WHERE lead_id = " + quoted(id.text));
    }
    void put_back(const sync::LeadId& id, const Row& row) override {
        const auto lead = quoted(row.instantly_id.text);
        as_user(unseen + "INSERT INTO crm.leads (workspace, id, instantly_id, sync_status, email) VALUES ('acme', "
                + quoted(id.text) + ", " + lead + ", 'synced', " + quoted(row.content[sync::Field::email]) + ")");
        as_user("DELETE FROM sync.queue WHERE lead_id = " + quoted(id.text));
    }
    void update_unseen(const sync::LeadId& id, const std::function<void(sync::Content&)>& edit) override {
        if (const auto statement = update_statement(id, edit)) as_user(unseen + *statement);
    }

    std::optional<Row> row(const sync::LeadId& id) override {
        std::string columns = "instantly_id, sync_status, sync_error, deleted_at IS NOT NULL, custom_variables::text";
        for (const auto& line : sync::field_table()) columns.append(", ").append(column_as_text(line));
        const auto found = as_user("SELECT " + columns + " FROM crm.leads WHERE id = " + quoted(id.text));
        if (found.empty()) return std::nullopt;
        const auto line = found[0];
        Row row{.instantly_id = {line[0].as<std::string>("")},
                .status = sync::sync_status_named(line[1].c_str()),
                .error = value_of(line[2]),
                .deleted = line[3].as<bool>()};
        row.content.custom_variables = nlohmann::json::parse(line[4].c_str()).get<sync::CustomVariables>();
        int column = 5;
        for (const auto& spec : sync::field_table()) row.content[spec.field] = field_of(line[column++], spec.kind);
        return row;
    }

    std::vector<ConflictLine> conflicts() override {
        std::vector<ConflictLine> lines;
        for (const auto& row : as_user("SELECT id, lead_id, field, base, local, remote, rule, resolution, "
                                       "resolved_at IS NOT NULL FROM crm.conflicts ORDER BY id"))
            lines.push_back({row[0].as<std::int64_t>(),
                             {row[1].c_str()},
                             row[2].c_str(),
                             value_of(row[3]),
                             value_of(row[4]),
                             value_of(row[5]),
                             row[6].c_str(),
                             row[7].as<std::string>(""),
                             row[8].as<bool>()});
        return lines;
    }

    std::int64_t pending() override {
        return as_user("SELECT count(*) FROM sync.queue WHERE dead_at IS NULL AND held_at IS NULL")[0][0]
            .as<std::int64_t>();
    }

    std::vector<std::string> attempts(const sync::LeadId& id) override {
        std::vector<std::string> errors;
        for (const auto& row :
             as_user("SELECT error FROM crm.attempts WHERE lead_id = '" + id.text + "' ORDER BY id"))
            errors.emplace_back(row[0].c_str());
        return errors;
    }

    std::vector<HeldLine> held() override {
        std::vector<HeldLine> lines;
        for (const auto& row :
             as_user("SELECT id, lead_id, side || ' ' || kind, reason, decision FROM crm.held ORDER BY id")) {
            const auto decision = row[4].as<std::string>("");
            lines.push_back({row[0].as<std::int64_t>(),
                             {row[1].c_str()},
                             postgres::hold_kind_named(row[2].c_str()).value(),
                             row[3].c_str(),
                             decision.empty()        ? store::Approval::none
                             : decision == "approve" ? store::Approval::approved
                                                     : store::Approval::rejected});
        }
        return lines;
    }

    std::vector<store::HistoryEntry> history() override {
        std::vector<store::HistoryEntry> entries;
        for (const auto& row :
             as_user("SELECT lead_id, field, old, new, side, rule, request FROM crm.history ORDER BY id"))
            entries.push_back({{row[0].c_str()},
                               row[1].as<std::string>(""),
                               value_of(row[2]),
                               value_of(row[3]),
                               row[4].as<std::string>() == "local" ? sync::Side::local : sync::Side::remote,
                               row[5].c_str(),
                               row[6].as<std::string>("")});
        return entries;
    }

    WorkspaceLine workspace() override {
        const auto row = as_user(
            "SELECT state, state_reason, instantly_workspace_id, instantly_name, "
            "requests_last_minute, new_leads_checked_at IS NOT NULL FROM crm.workspaces")[0];
        return {row[0].c_str(),   value_of(row[1]), value_of(row[2]),
                value_of(row[3]), row[4].as<int>(), row[5].as<bool>()};
    }

    std::vector<store::CatalogRow> catalog(store::Catalog catalog) override {
        const char* query = catalog == store::Catalog::campaigns
                                ? "SELECT id, name, status, data FROM crm.campaigns ORDER BY id"
                            : catalog == store::Catalog::lead_lists
                                ? "SELECT id, name, NULL, data FROM crm.lead_lists ORDER BY id"
                                : "SELECT id, label, interest_status, data FROM crm.lead_labels ORDER BY id";
        std::vector<store::CatalogRow> rows;
        for (const auto& row : as_user(query))
            rows.push_back({row[0].c_str(), row[1].c_str(),
                            row[2].is_null() ? std::nullopt : std::optional{row[2].as<int>()},
                            nlohmann::json::parse(row[3].c_str())});
        return rows;
    }

protected:
    store::Store& store() override { return store_; }

private:
    pqxx::result as_user(const std::string& sql) {
        try {
            pqxx::work transaction{user_};
            auto result = transaction.exec(sql);
            transaction.commit();
            return result;
        } catch (const pqxx::sql_error& error) {
            throw std::invalid_argument{error.what()};
        }
    }

    std::optional<std::string> update_statement(const sync::LeadId& id,
                                                const std::function<void(sync::Content&)>& edit) {
        const auto before = row(id);
        if (!before) return std::nullopt;
        auto content = before->content;
        edit(content);
        std::string changes = "custom_variables = " + quoted(content.custom_variables);
        for (const auto& line : sync::field_table())
            if (content[line.field] != before->content[line.field])
                changes.append(", ").append(line.name).append(" = ").append(quoted(content[line.field]));
        return "UPDATE crm.leads SET " + changes + " WHERE id = " + quoted(id.text);
    }

    std::string quoted(const sync::Value& value) { return value ? user_.quote(*value) : "NULL"; }
    std::string quoted(const sync::CustomVariables& variables) {
        return quoted(sync::Value{nlohmann::json(variables).dump()});
    }

    test_support::TestDatabase database_;
    postgres::Database leadsync_{database_.url(), 1};
    postgres::Store store_{leadsync_, "acme"};
    pqxx::connection user_{database_.url()};
    pqxx::connection other_user_{database_.url()};
    std::unique_ptr<pqxx::work> open_;
};

}  // namespace

std::unique_ptr<StoreUnderTest> postgres_under_test() { return std::make_unique<PostgresUnderTest>(); }

}  // namespace leadsync::store_contract
