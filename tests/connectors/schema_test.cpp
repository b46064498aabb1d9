#include <map>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "sync/fields.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::postgres {
namespace {

using test_support::TestDatabase;

/// A database with a workspace, and a user's own connection to it.
class Schema : public testing::Test {
protected:
    Schema() {
        Database leadsync{database_.url(), 1};
        leadsync.run_blocking([](pqxx::work& transaction) {
            Workspaces::declare(transaction, {"acme"});
            transaction.exec(R"sql(
                INSERT INTO crm.leads (workspace, id, instantly_id, email, status, sync_status)
                VALUES ('acme', '11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222',
                        'ada@acme.io', 1, 'synced'))sql");
        });
    }

    /// Runs a statement as a user would, and returns what PostgreSQL says against it; empty when it is accepted.
    std::string refusal(const std::string& sql) {
        try {
            pqxx::work transaction{user_};
            transaction.exec(sql);
            transaction.commit();
            return "";
        } catch (const pqxx::sql_error& error) {
            return error.what();
        }
    }

    std::string value(const std::string& sql) {
        pqxx::work transaction{user_};
        return transaction.exec1(sql)[0].as<std::string>("null");
    }

    TestDatabase database_;
    pqxx::connection user_{database_.url()};
};

TEST_F(Schema, HasAColumnForEveryFieldWithTheTypeOfTheFieldTable) {
    const std::map<sync::Kind, std::string> types{
        {sync::Kind::text, "text"},       {sync::Kind::integer, "integer"},
        {sync::Kind::boolean, "boolean"}, {sync::Kind::uuid, "uuid"},
        {sync::Kind::json, "jsonb"},      {sync::Kind::timestamp, "timestamp with time zone"},
    };
    for (const auto& line : sync::field_table())
        EXPECT_EQ(
            value("SELECT coalesce((SELECT data_type FROM information_schema.columns WHERE table_schema = 'crm' AND "
                  "table_name = 'leads' AND column_name = '"
                  + std::string{line.name} + "'), 'missing')"),
            types.at(line.kind))
            << line.name;
}

TEST_F(Schema, RefusesAnUpdateOfEveryColumnThatIsNotTheUsersAndNamesIt) {
    std::vector<std::string> columns{"instantly_id", "extra",      "sync_status", "sync_error", "synced_at",
                                     "updated_at",   "deleted_at", "id",          "workspace"};
    for (const auto& line : sync::field_table())
        if (line.owner != sync::Owner::both_ways) columns.emplace_back(line.name);
    for (const auto& column : columns) {
        const auto type = value(
            "SELECT data_type FROM information_schema.columns WHERE table_schema = 'crm' AND "
            "table_name = 'leads' AND column_name = '"
            + column + "'");
        const std::map<std::string, std::string> other{
            {"text", "'other'"},           {"integer", "77"},         {"boolean", "true"},
            {"uuid", "gen_random_uuid()"}, {"jsonb", "'{\"a\": 1}'"}, {"timestamp with time zone", "'2001-01-01'"}};
        const auto words = refusal("UPDATE crm.leads SET " + column + " = " + other.at(type));
        EXPECT_NE(words.find("\"" + column + "\""), std::string::npos) << column << ": " << words;
        EXPECT_NE(words.find("HINT"), std::string::npos) << column << ": " << words;
    }
}

TEST_F(Schema, TakesAnUpdateOfEveryColumnThatGoesBothWaysAndQueuesTheLeadOnce) {
    for (const auto& line : sync::field_table()) {
        if (line.owner != sync::Owner::both_ways) continue;
        const std::string other = line.kind == sync::Kind::integer ? "2"
                                  : line.kind == sync::Kind::uuid  ? "gen_random_uuid()"
                                                                   : "'other'";
        const auto generations = "SELECT coalesce(sum(generation), 0) FROM sync.queue";
        const auto before = std::stoi(value(generations));
        EXPECT_EQ(refusal("UPDATE crm.leads SET " + std::string{line.name} + " = " + other), "") << line.name;
        EXPECT_EQ(std::stoi(value(generations)), before + 1) << line.name << " is not captured";
        EXPECT_EQ(value("SELECT sync_status FROM crm.leads"), "pending") << line.name;
    }
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "1");
}

TEST_F(Schema, DoesNotQueueAnUpdateThatChangesNothing) {
    EXPECT_EQ(refusal("UPDATE crm.leads SET first_name = first_name"), "");
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
    EXPECT_EQ(value("SELECT sync_status FROM crm.leads"), "synced");
}

TEST_F(Schema, DoesNotCaptureLeadsyncsOwnWrites) {
    Database leadsync{database_.url(), 1};
    leadsync.run_blocking(
        [](pqxx::work& transaction) { transaction.exec("UPDATE crm.leads SET first_name = 'Ada', status = 3"); });
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
}

TEST_F(Schema, RollsTheQueueBackWithTheEdit) {
    {
        pqxx::work transaction{user_};
        transaction.exec("UPDATE crm.leads SET first_name = 'Ada'");
    }
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
}

TEST_F(Schema, RefusesNestedCustomVariables) {
    for (const auto* nested : {R"({"a": [1]})", R"({"a": {"b": 1}})", "[]", R"("text")"})
        EXPECT_NE(refusal(std::string{"UPDATE crm.leads SET custom_variables = '"} + nested + "'")
                      .find("custom_variables_are_flat"),
                  std::string::npos)
            << nested;
    EXPECT_EQ(refusal(R"(UPDATE crm.leads SET custom_variables = '{"a b": "x", "ü": 1.5, "n": null, "t": true}')"),
              "");
}

TEST_F(Schema, RefusesAnInsertIntoAWorkspaceThatIsNotThereAndSaysWhichAre) {
    const auto words = refusal("INSERT INTO crm.leads (workspace, email) VALUES ('acmee', 'a@b.c')");
    EXPECT_NE(words.find("there is no workspace \"acmee\""), std::string::npos) << words;
    EXPECT_NE(words.find("Known: acme"), std::string::npos) << words;
}

TEST_F(Schema, RefusesAnInsertThatSetsWhatIsInstantlys) {
    const auto words =
        refusal("INSERT INTO crm.leads (workspace, email, email_open_count) VALUES ('acme', 'a@b.c', 3)");
    EXPECT_NE(words.find("\"email_open_count\""), std::string::npos) << words;
}

TEST_F(Schema, KeepsARowWithoutATargetLocalAndSaysSo) {
    EXPECT_EQ(refusal("INSERT INTO crm.leads (workspace, email) VALUES ('acme', 'new@acme.io')"), "");
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
    EXPECT_NE(value("SELECT sync_error FROM crm.leads WHERE email = 'new@acme.io'").find("set campaign or list_id"),
              std::string::npos);
    EXPECT_EQ(refusal("UPDATE crm.leads SET list_id = gen_random_uuid() WHERE email = 'new@acme.io'"), "");
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "1");
    EXPECT_EQ(value("SELECT sync_error FROM crm.leads WHERE email = 'new@acme.io'"), "null");
}

TEST_F(Schema, LetsAWriterWriteWhatIsTheirsAndNothingElse) {
    EXPECT_EQ(refusal("SET ROLE leadsync_writer"), "");
    EXPECT_EQ(refusal("UPDATE crm.leads SET first_name = 'Ada', custom_variables = '{\"a\": 1}'"), "");
    EXPECT_EQ(refusal("INSERT INTO crm.leads (workspace, email) VALUES ('acme', 'w@acme.io')"), "");
    EXPECT_EQ(refusal("DELETE FROM crm.leads WHERE email = 'w@acme.io'"), "");
    EXPECT_NE(refusal("UPDATE crm.leads SET status = 2").find("permission denied"), std::string::npos);
    EXPECT_NE(refusal("SELECT * FROM sync.queue").find("permission denied"), std::string::npos);
    EXPECT_NE(refusal("UPDATE crm.workspaces SET state = 'stopped'").find("permission denied"), std::string::npos);
}

TEST_F(Schema, LetsAReaderReadOnly) {
    EXPECT_EQ(refusal("SET ROLE leadsync_reader"), "");
    EXPECT_EQ(refusal("SELECT * FROM crm.leads, crm.conflicts, crm.workspaces"), "");
    EXPECT_NE(refusal("UPDATE crm.leads SET first_name = 'x'").find("permission denied"), std::string::npos);
}

}  // namespace
}  // namespace leadsync::postgres
