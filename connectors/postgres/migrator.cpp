#include "connectors/postgres/migrator.hpp"

#include <algorithm>
#include <regex>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "connectors/postgres/digest.hpp"

namespace leadsync::postgres {
namespace {

struct Applied {
    int version;
    std::string name;
    std::string checksum;
    std::string applied_at;
};

std::string file_of(const Migration& migration) {
    return fmt::format("migrations/{:04}_{}.sql", migration.version, migration.name);
}

std::vector<Applied> applied_migrations(pqxx::transaction_base& transaction) {
    if (transaction.exec1("SELECT to_regclass('sync.migrations')")[0].is_null()) return {};
    std::vector<Applied> result;
    for (const auto& row : transaction.exec(R"(
            SELECT version, name, checksum, to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            FROM sync.migrations ORDER BY version)"))
        result.push_back({row[0].as<int>(), row[1].c_str(), row[2].c_str(), row[3].c_str()});
    return result;
}

/// Not IF NOT EXISTS alone, which asks for the right to create even where there is nothing to create.
void make_table(pqxx::transaction_base& transaction) {
    if (transaction.exec1("SELECT to_regnamespace('sync')")[0].is_null()) transaction.exec("CREATE SCHEMA sync");
    if (transaction.exec1("SELECT to_regclass('sync.migrations')")[0].is_null())
        transaction.exec(R"(
            CREATE TABLE sync.migrations (
                version    int PRIMARY KEY,
                name       text NOT NULL,
                checksum   text NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            ))");
}

/// Held to the end of the transaction, so that a connection pooler between us and the server does no harm.
void wait_for_other_migrators(pqxx::transaction_base& transaction) {
    transaction.exec("SELECT pg_advisory_xact_lock(hashtext('leadsync migrations'), 0)");
}

MigrationState state_of(const Applied& applied, std::span<const Migration> migrations) {
    const auto ours = std::ranges::find(migrations, applied.version, &Migration::version);
    if (ours == migrations.end()) return MigrationState::unknown;
    return applied.checksum == sha256_hex(ours->sql) ? MigrationState::applied : MigrationState::changed;
}

void require_same_history(const std::vector<Applied>& applied, std::span<const Migration> migrations) {
    for (const auto& row : applied) {
        const auto state = state_of(row, migrations);
        if (state == MigrationState::unknown)
            throw MigrationError{fmt::format(
                "the database is newer than this program: it has migration {:04}_{} (applied {}), and the program "
                "ends "
                "at {:04}; run the newer leadsync",
                row.version, row.name, row.applied_at, migrations.empty() ? 0 : migrations.back().version)};
        if (state == MigrationState::changed)
            throw MigrationError{fmt::format(
                "migration {:04}_{} was applied {} with another text than this program has (checksum {:.12}…): "
                "run the leadsync that made this database, or put the file back and add a new migration",
                row.version, row.name, row.applied_at, row.checksum)};
    }
}

/// PostgreSQL's message (`ERROR:  …`, `LINE 3: …`, a caret, `DETAIL:  …`) as one line; its LINE is the file's.
std::string located(const Migration& migration, const std::string& message) {
    static const std::regex line_number{R"(\nLINE (\d+): )"};
    static const std::regex first_line{R"(^(?:[A-Z]+:\s+)?([^\n]*))"};
    static const std::regex detail{R"(\nDETAIL:\s+([^\n]*))"};
    std::smatch found;
    std::string text = file_of(migration);
    if (std::regex_search(message, found, line_number)) text += ":" + found[1].str();
    if (std::regex_search(message, found, first_line)) text += ": " + found[1].str();
    if (std::regex_search(message, found, detail)) text += "; " + found[1].str();
    return text;
}

void apply(pqxx::transaction_base& transaction, const Migration& migration) {
    try {
        transaction.exec(std::string{migration.sql});
    } catch (const pqxx::sql_error& error) {
        throw MigrationError{located(migration, error.what())};
    }
    transaction.exec_params("INSERT INTO sync.migrations (version, name, checksum) VALUES ($1, $2, $3)",
                            migration.version, std::string{migration.name}, sha256_hex(migration.sql));
}

/// The first migration that is pending, applied and committed. Nothing when all are.
const Migration* apply_next(pqxx::connection& connection, std::span<const Migration> migrations) {
    pqxx::work transaction{connection};
    wait_for_other_migrators(transaction);
    make_table(transaction);
    const auto applied = applied_migrations(transaction);
    require_same_history(applied, migrations);
    const auto next = std::ranges::find_if(migrations, [&](const Migration& migration) {
        return std::ranges::find(applied, migration.version, &Applied::version) == applied.end();
    });
    if (next == migrations.end()) return nullptr;
    apply(transaction, *next);
    transaction.commit();
    return &*next;
}

}  // namespace

Migrator::Migrator(std::string url, std::span<const Migration> migrations)
    : url_{std::move(url)}, migrations_{migrations} {}

std::vector<Migration> Migrator::migrate() const {
    pqxx::connection connection{url_};
    const pqxx::quiet_errorhandler quiet{connection};
    std::vector<Migration> result;
    while (const auto* migration = apply_next(connection, migrations_)) result.push_back(*migration);
    return result;
}

std::vector<MigrationStatus> Migrator::status() const {
    pqxx::connection connection{url_};
    pqxx::read_transaction transaction{connection};
    const auto applied = applied_migrations(transaction);
    std::vector<MigrationStatus> result;
    result.reserve(applied.size() + migrations_.size());
    for (const auto& row : applied)
        result.push_back({row.version, row.name, state_of(row, migrations_), row.applied_at});
    for (const auto& migration : migrations_)
        if (std::ranges::find(applied, migration.version, &Applied::version) == applied.end())
            result.push_back({migration.version, std::string{migration.name}, MigrationState::pending, std::nullopt});
    return result;
}

}  // namespace leadsync::postgres
