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

    void as_leadsync(const std::string& sql) {
        Database leadsync{database_.url(), 1};
        leadsync.run_blocking([&](pqxx::work& transaction) { transaction.exec(sql); });
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
        for (const auto& statement :
             {std::string{"UPDATE crm.leads SET custom_variables = '"} + nested + "'",
              std::string{"INSERT INTO crm.leads (workspace, email, custom_variables) VALUES ('acme', 'n@acme.io', '"}
                  + nested + "')"}) {
            const auto words = refusal(statement);
            EXPECT_NE(words.find("custom_variables must be a flat JSON object"), std::string::npos) << words;
            EXPECT_NE(words.find("turn nested ones into text"), std::string::npos) << words;
        }
    EXPECT_EQ(refusal(R"(UPDATE crm.leads SET custom_variables = '{"a b": "x", "ü": 1.5, "n": null, "t": true}')"),
              "");
}

TEST_F(Schema, RefusesNumbersThatADoubleDoesNotHold) {
    for (const auto* number : {"7e999", "-7e999", "1e-400", "1234567890123456789", "0.12345678901234567891"}) {
        const auto words =
            refusal("UPDATE crm.leads SET custom_variables = '{\"good\": 1, \"code\": " + std::string{number} + "}'");
        EXPECT_NE(words.find("\"code\" is a number that Instantly can't hold"), std::string::npos) << words;
        EXPECT_NE(words.find("HINT"), std::string::npos) << words;
    }
    for (const auto* number : {"0", "0.1", "-9007199254740992", "3.141592653589793", "1e300", "1.7e-300", "123.450"})
        EXPECT_EQ(refusal("UPDATE crm.leads SET custom_variables = '{\"code\": " + std::string{number} + "}'"), "")
            << number;
}

TEST_F(Schema, LetsOtherVariablesBeEditedBesideANumberThatInstantlyHad) {
    Database leadsync{database_.url(), 1};
    leadsync.run_blocking([](pqxx::work& transaction) {
        transaction.exec(R"(UPDATE crm.leads SET custom_variables = '{"code": 9007199254740993}')");
    });
    EXPECT_EQ(refusal(R"(UPDATE crm.leads SET custom_variables = custom_variables || '{"tier": "gold"}')"), "");
    EXPECT_NE(refusal(R"(UPDATE crm.leads SET custom_variables = custom_variables || '{"code": 9007199254740995}')"),
              "");
    EXPECT_NE(refusal(R"(UPDATE crm.leads SET custom_variables = custom_variables || '{"more": 9007199254740993}')"),
              "");
}

TEST_F(Schema, HoldsLeadsyncToFlatCustomVariablesToo) {
    Database leadsync{database_.url(), 1};
    EXPECT_THROW(leadsync.run_blocking([](pqxx::work& transaction) {
        transaction.exec(R"(UPDATE crm.leads SET custom_variables = '{"a": [1]}')");
    }),
                 std::exception);
}

TEST_F(Schema, RefusesANewLeadThatNoCallCouldCarry) {
    const struct {
        const char* values;
        const char* words;
        const char* hint;
    } cases[] = {
        {"'no address', NULL, NULL", "\"no address\" is no email address", "name@domain, without spaces"},
        {"'a@b', NULL, NULL", "\"a@b\" is no email address", "name@domain"},
        {"'a b@acme.io', NULL, NULL", "is no email address", "name@domain"},
        {"'@acme.io', NULL, NULL", "is no email address", "name@domain"},
        {"'a@b@acme.io', NULL, NULL", "is no email address", "name@domain"},
        {"'', NULL, NULL", "is no email address", "name@domain"},
        {"NULL, gen_random_uuid(), NULL", "a lead in a campaign needs an email", "set list_id instead of campaign"},
        {"'a@acme.io', gen_random_uuid(), gen_random_uuid()", "not to both",
         "Set one of campaign and list_id to NULL"},
    };
    for (const auto& [values, words, hint] : cases) {
        const auto said = refusal("INSERT INTO crm.leads (workspace, email, campaign, list_id) VALUES ('acme', "
                                  + std::string{values} + ")");
        EXPECT_NE(said.find(words), std::string::npos) << values << ": " << said;
        EXPECT_NE(said.find(hint), std::string::npos) << values << ": " << said;
    }
    EXPECT_EQ(value("SELECT count(*) FROM crm.leads"), "1");
    for (const auto* values : {"'Ünï.code+tag@exämple.co.uk', gen_random_uuid(), NULL",
                               "NULL, NULL, gen_random_uuid()", "NULL, NULL, NULL"})
        EXPECT_EQ(refusal("INSERT INTO crm.leads (workspace, email, campaign, list_id) VALUES ('acme', "
                          + std::string{values} + ")"),
                  "")
            << values;
}

TEST_F(Schema, RefusesTheSameWhenARowThatIsNotThereYetIsEdited) {
    EXPECT_EQ(refusal("INSERT INTO crm.leads (workspace, email, list_id) VALUES ('acme', 'n@acme.io', "
                      "gen_random_uuid()), ('acme', NULL, gen_random_uuid())"),
              "");
    EXPECT_NE(
        refusal("UPDATE crm.leads SET campaign = gen_random_uuid() WHERE email = 'n@acme.io'").find("not to both"),
        std::string::npos);
    EXPECT_NE(refusal("UPDATE crm.leads SET campaign = gen_random_uuid(), list_id = NULL WHERE email IS NULL")
                  .find("needs an email"),
              std::string::npos);
    EXPECT_EQ(refusal("UPDATE crm.leads SET campaign = gen_random_uuid(), list_id = gen_random_uuid() WHERE email = "
                      "'ada@acme.io'"),
              "")
        << "of a lead that Instantly has, the push decides what a call can carry";
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

TEST_F(Schema, KeepsAHeldLeadHeldWhateverIsEditedOnTop) {
    as_leadsync("UPDATE crm.leads SET sync_status = 'held', sync_error = 'too many'");
    as_leadsync("INSERT INTO sync.queue (workspace, lead_id, held_at) SELECT workspace, id, now() FROM crm.leads");
    EXPECT_EQ(refusal("UPDATE crm.leads SET first_name = 'Ada'"), "");
    EXPECT_EQ(value("SELECT sync_status || ': ' || sync_error FROM crm.leads"), "held: too many");
    EXPECT_EQ(value("SELECT held_at IS NOT NULL AND generation = 2 FROM sync.queue"), "t");
}

TEST_F(Schema, RemembersADeletedLeadAndForgetsWhatWaitedForADecisionOfIt) {
    as_leadsync(
        "INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash) SELECT workspace, id, "
        "instantly_id, '{}', 0 FROM crm.leads");
    as_leadsync(
        "INSERT INTO crm.held (workspace, lead_id, kind, side, reason, decision) SELECT workspace, id, "
        "'change', side, 'too many', decision FROM crm.leads, (VALUES ('local', NULL), ('remote', 'approve')) AS "
        "h(side, decision)");
    as_leadsync("INSERT INTO sync.queue (workspace, lead_id, held_at) SELECT workspace, id, now() FROM crm.leads");
    EXPECT_EQ(refusal("DELETE FROM crm.leads"), "");
    EXPECT_EQ(value("SELECT deleted_at IS NOT NULL FROM sync.base"), "t");
    EXPECT_EQ(value("SELECT string_agg(side, ' ') FROM crm.held"), "remote") << "what was decided is history";
    EXPECT_EQ(value("SELECT held_at IS NULL AND edited_at IS NOT NULL FROM sync.queue"), "t") << "a new wish";
}

// --- what people decide --------------------------------------------------------------------------------------------

/// A lead in conflict, and one held.
class Decisions : public Schema {
protected:
    Decisions() {
        as_leadsync(
            "INSERT INTO crm.conflicts (workspace, lead_id, field, base, local, remote, rule) SELECT workspace, "
            "id, 'phone', '1', '2', '3', 'manual' FROM crm.leads");
        as_leadsync(
            "INSERT INTO crm.held (workspace, lead_id, kind, side, reason) SELECT workspace, id, 'change', "
            "'remote', 'too many' FROM crm.leads");
    }
};

TEST_F(Decisions, AResolutionQueuesTheLeadAndSaysWhoGaveIt) {
    as_leadsync(
        "INSERT INTO sync.queue (workspace, lead_id, dead_at, attempts) SELECT workspace, id, now(), 9 FROM "
        "crm.leads");
    EXPECT_EQ(refusal("UPDATE crm.conflicts SET resolution = 'local'"), "");
    EXPECT_EQ(value("SELECT resolved_by = session_user AND resolved_at IS NULL FROM crm.conflicts"), "t")
        << "resolved_at is when it was carried out";
    EXPECT_EQ(
        value("SELECT dead_at IS NULL AND attempts = 0 AND generation = 2 AND edited_at IS NULL FROM sync.queue"),
        "t");
}

TEST_F(Decisions, OfAConflictOnlyTheResolutionCanBeSetAndOnce) {
    for (const auto* assignment : {"local = 'x'", "resolved_at = now()", "resolution = 'local', remote = 'x'",
                                   "resolution = 'agreed'", "resolution = 'mine'", "lead_id = gen_random_uuid()"})
        EXPECT_NE(refusal(std::string{"UPDATE crm.conflicts SET "} + assignment)
                      .find("of a conflict only the resolution can be set, to local or remote"),
                  std::string::npos)
            << assignment;
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
    EXPECT_EQ(refusal("UPDATE crm.conflicts SET resolution = 'remote'"), "");
    const auto words = refusal("UPDATE crm.conflicts SET resolution = 'local'");
    EXPECT_NE(words.find("was resolved as remote already"), std::string::npos) << words;
    EXPECT_NE(words.find("UPDATE crm.leads"), std::string::npos) << words;
}

TEST_F(Decisions, ADecisionTravelsWithTheLead) {
    for (const auto* decision : {"approve", "reject"}) {
        as_leadsync("DELETE FROM crm.held");
        as_leadsync("DELETE FROM sync.queue");
        as_leadsync(
            "INSERT INTO crm.held (workspace, lead_id, kind, side, reason) SELECT workspace, id, 'change', "
            "'local', 'too many' FROM crm.leads");
        as_leadsync(
            "INSERT INTO sync.queue (workspace, lead_id, held_at) SELECT workspace, id, now() FROM crm.leads");
        EXPECT_EQ(refusal(std::string{"UPDATE crm.held SET decision = '"} + decision + "'"), "");
        EXPECT_EQ(value("SELECT decided_by = session_user AND decided_at IS NOT NULL FROM crm.held"), "t");
        EXPECT_EQ(value("SELECT format('%s %s %s', decision, decided, held_at IS NULL) FROM sync.queue"),
                  std::string{decision} + " local change t");
    }
}

TEST_F(Decisions, OfAHeldChangeOnlyTheDecisionCanBeSetAndOnce) {
    for (const auto* assignment :
         {"reason = 'x'", "kind = 'delete'", "decision = 'approve', decided_by = 'somebody'", "decision = NULL"})
        EXPECT_NE(refusal(std::string{"UPDATE crm.held SET "} + assignment)
                      .find("of a held change only the decision can be set, to approve or reject"),
                  std::string::npos)
            << assignment;
    EXPECT_NE(refusal("UPDATE crm.held SET decision = 'maybe'"), "");
    EXPECT_EQ(value("SELECT count(*) FROM sync.queue"), "0");
    EXPECT_EQ(refusal("UPDATE crm.held SET decision = 'approve'"), "");
    EXPECT_NE(refusal("UPDATE crm.held SET decision = 'reject'").find("was decided already: approve"),
              std::string::npos);
}

TEST_F(Decisions, AnEditOnTopOfADecisionIsAskedForAnew) {
    EXPECT_EQ(refusal("UPDATE crm.held SET decision = 'approve'"), "");
    EXPECT_EQ(refusal("UPDATE crm.leads SET first_name = 'Ada'"), "");
    EXPECT_EQ(value("SELECT decision IS NULL AND decided IS NULL AND generation = 2 FROM sync.queue"), "t");
}

TEST_F(Decisions, AreAWritersToMakeAndNotAReaders) {
    EXPECT_EQ(refusal("SET ROLE leadsync_writer"), "");
    EXPECT_EQ(refusal("UPDATE crm.conflicts SET resolution = 'local'"), "");
    EXPECT_EQ(refusal("UPDATE crm.held SET decision = 'approve'"), "");
    EXPECT_NE(refusal("UPDATE crm.conflicts SET remote = 'x'").find("permission denied"), std::string::npos);
    EXPECT_NE(refusal("DELETE FROM crm.held").find("permission denied"), std::string::npos);
    EXPECT_NE(refusal("INSERT INTO crm.history (workspace, lead_id, side, rule) VALUES ('acme', gen_random_uuid(), "
                      "'local', 'edit')")
                  .find("permission denied"),
              std::string::npos);
    const auto merge = "SELECT crm.merge_leads('acme', gen_random_uuid(), gen_random_uuid())";
    EXPECT_NE(refusal(merge).find("has no lead"), std::string::npos) << refusal(merge);
    EXPECT_EQ(refusal("SET ROLE leadsync_reader"), "");
    EXPECT_NE(refusal("UPDATE crm.conflicts SET resolution = 'local'").find("permission denied"), std::string::npos);
    EXPECT_NE(refusal(merge).find("permission denied"), std::string::npos);
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

TEST_F(Schema, RunsNothingOfAWritersAsItsOwner) {
    as_leadsync(R"sql(
        CREATE SCHEMA planted;
        GRANT USAGE ON SCHEMA planted TO PUBLIC;
        CREATE TABLE planted.ran (as_whom text);
        GRANT INSERT ON planted.ran TO PUBLIC;
        CREATE FUNCTION planted.same(a text, b text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO planted.ran VALUES (current_user);
            RETURN a OPERATOR(pg_catalog.=) b;
        END $$;
        CREATE OPERATOR planted.= (LEFTARG = text, RIGHTARG = text, FUNCTION = planted.same))sql");
    EXPECT_EQ(refusal("SET ROLE leadsync_writer"), "");
    EXPECT_EQ(refusal("SET search_path = planted, pg_catalog"), "");
    EXPECT_EQ(refusal("SET leadsync.origin = 'crm'"), "") << "of what is NULL nothing is asked";
    EXPECT_EQ(refusal("INSERT INTO crm.leads (workspace, email, campaign) VALUES ('acme', 'w@acme.io', "
                      "'33333333-3333-4333-8333-333333333333')"),
              "");
    EXPECT_EQ(refusal("UPDATE crm.leads SET first_name = 'Ada'"), "");
    EXPECT_EQ(refusal("DELETE FROM crm.leads WHERE email OPERATOR(pg_catalog.=) 'w@acme.io'"), "");
    EXPECT_EQ(refusal("RESET ROLE"), "");
    EXPECT_EQ(value("SELECT string_agg(DISTINCT as_whom, ',') FROM planted.ran "
                    "WHERE as_whom OPERATOR(pg_catalog.<>) 'leadsync_writer'"),
              "null");
    EXPECT_EQ(value("SELECT count(*) > 0 FROM planted.ran"), "t") << "it was there to be found";
}

TEST_F(Schema, LetsAReaderReadOnly) {
    EXPECT_EQ(refusal("SET ROLE leadsync_reader"), "");
    EXPECT_EQ(refusal("SELECT * FROM crm.leads, crm.conflicts, crm.workspaces"), "");
    EXPECT_NE(refusal("UPDATE crm.leads SET first_name = 'x'").find("permission denied"), std::string::npos);
}

}  // namespace
}  // namespace leadsync::postgres
