#include "connectors/postgres/migrator.hpp"

#include <algorithm>
#include <future>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "tests/support/test_database.hpp"

namespace leadsync::postgres {
namespace {

using test_support::TestDatabase;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Migration first{1, "first", "CREATE TABLE one (n int);\nINSERT INTO one VALUES (1);\n"};
constexpr Migration second{2, "second", "CREATE TABLE two (n int);\n"};
constexpr Migration broken{2, "broken", "CREATE TABLE two (n int);\nDROP TABLE missing;\n"};
constexpr Migration misspelt{2, "misspelt", "CREATE TABLE two (n int);\n\nSELEC 1;\n"};

std::vector<int> versions(const std::vector<Migration>& migrations) {
    std::vector<int> result;
    result.reserve(migrations.size());
    for (const auto& migration : migrations) result.push_back(migration.version);
    return result;
}

std::vector<MigrationState> states(const std::vector<MigrationStatus>& status) {
    std::vector<MigrationState> result;
    result.reserve(status.size());
    for (const auto& row : status) result.push_back(row.state);
    return result;
}

std::vector<int> migrate(const TestDatabase& database, const std::vector<Migration>& migrations) {
    return versions(Migrator{database.url(), migrations}.migrate());
}

std::string error_of(const TestDatabase& database, const std::vector<Migration>& migrations) {
    try {
        migrate(database, migrations);
    } catch (const MigrationError& error) {
        return error.what();
    }
    return "no error";
}

std::string value_of(const TestDatabase& database, const std::string& expression) {
    pqxx::connection connection{database.url()};
    return pqxx::nontransaction{connection}.exec1("SELECT " + expression)[0].as<std::string>("");
}

class MigratorTest : public ::testing::Test {
protected:
    const TestDatabase& database() const { return database_; }

private:
    TestDatabase database_{TestDatabase::Contents::nothing};
};

TEST_F(MigratorTest, AppliesEachMigrationOnce) {
    EXPECT_THAT(migrate(database(), {first}), ElementsAre(1));
    EXPECT_THAT(migrate(database(), {first, second}), ElementsAre(2));
    EXPECT_THAT(migrate(database(), {first, second}), IsEmpty());
    EXPECT_EQ(value_of(database(), "(SELECT count(*) FROM one) || ' ' || (SELECT count(*) FROM two)"), "1 0");
}

TEST_F(MigratorTest, ReportsWhatIsAppliedAndWhatIsPending) {
    const std::vector<Migration> both{first, second};
    const Migrator migrator{database().url(), both};
    EXPECT_THAT(states(migrator.status()), ElementsAre(MigrationState::pending, MigrationState::pending));

    migrate(database(), {first});
    const auto status = migrator.status();
    EXPECT_THAT(states(status), ElementsAre(MigrationState::applied, MigrationState::pending));
    EXPECT_EQ(status[0].name, "first");
    EXPECT_THAT(status[0].applied_at.value(), ::testing::MatchesRegex("....-..-..T..:..:..Z"));
    EXPECT_EQ(status[1].applied_at, std::nullopt);
}

TEST_F(MigratorTest, AskingForTheStatusChangesNothing) {
    const std::vector<Migration> one{first};
    EXPECT_EQ((Migrator{database().url(), one}.status().size()), 1U);
    EXPECT_EQ(value_of(database(), "to_regnamespace('sync')"), "");
}

TEST_F(MigratorTest, AFailingMigrationLeavesNothingAndKeepsTheOnesBefore) {
    EXPECT_EQ(error_of(database(), {first, broken}), "migrations/0002_broken.sql: table \"missing\" does not exist");
    EXPECT_EQ(value_of(database(), "to_regclass('two')"), "");
    EXPECT_EQ(value_of(database(), "max(version) FROM sync.migrations"), "1");

    EXPECT_THAT(migrate(database(), {first, second}), ElementsAre(2)) << "once mended, it goes on from there";
}

TEST_F(MigratorTest, SaysWhichLineOfTheFileIsWrong) {
    EXPECT_EQ(error_of(database(), {first, misspelt}),
              "migrations/0002_misspelt.sql:3: syntax error at or near \"SELEC\"");
}

TEST_F(MigratorTest, RefusesWhenAnAppliedMigrationHasAnotherText) {
    migrate(database(), {first});
    const Migration edited{1, "first", "CREATE TABLE one (n bigint);"};
    EXPECT_THAT(error_of(database(), {edited, second}), HasSubstr("migration 0001_first was applied"));
    EXPECT_EQ(value_of(database(), "to_regclass('two')"), "");

    const std::vector<Migration> migrations{edited};
    EXPECT_THAT(states(Migrator{database().url(), migrations}.status()), ElementsAre(MigrationState::changed));
}

TEST_F(MigratorTest, RefusesADatabaseThatIsNewerThanTheProgram) {
    migrate(database(), {first, second});
    EXPECT_THAT(error_of(database(), {first}), HasSubstr("the database is newer than this program"));

    const std::vector<Migration> migrations{first};
    EXPECT_THAT(states(Migrator{database().url(), migrations}.status()),
                ElementsAre(MigrationState::applied, MigrationState::unknown));
}

TEST_F(MigratorTest, SeveralAtOnceApplyEachMigrationOnce) {
    const Migration slow{1, "slow", "CREATE TABLE one (n int); SELECT pg_sleep(0.2);"};
    const std::vector<Migration> migrations{slow, second};
    std::vector<std::future<std::vector<Migration>>> starters(4);
    for (auto& starter : starters)
        starter = std::async(std::launch::async, [&] { return Migrator{database().url(), migrations}.migrate(); });
    std::vector<int> applied;
    for (auto& starter : starters) std::ranges::copy(versions(starter.get()), std::back_inserter(applied));
    std::ranges::sort(applied);
    EXPECT_THAT(applied, ElementsAre(1, 2));
}

TEST_F(MigratorTest, OurOwnMigrationsApplyToAnEmptyDatabase) {
    const auto ours = embedded_migrations();
    EXPECT_EQ((Migrator{database().url(), ours}.migrate().size()), ours.size());
}

TEST(TestDatabaseTest, HoldsEveryMigrationAndIsAloneInIt) {
    const TestDatabase one;
    const TestDatabase other;
    for (const auto& row : Migrator{one.url(), embedded_migrations()}.status())
        EXPECT_EQ(row.state, MigrationState::applied) << row.name;

    pqxx::connection connection{one.url()};
    pqxx::nontransaction{connection}.exec("CREATE TABLE only_here ()");
    EXPECT_EQ(value_of(other, "to_regclass('only_here')"), "");
}

}  // namespace
}  // namespace leadsync::postgres
