#pragma once

#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "migrations/migrations.hpp"

namespace leadsync::postgres {

/// The schema cannot be brought up to date; says which migration, where in its file, and PostgreSQL's own words.
class MigrationError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class MigrationState {
    pending,
    applied,
    changed,  ///< Applied, but with another text than the program carries now.
    unknown,  ///< Applied by a newer program.
};

struct MigrationStatus {
    int version;
    std::string name;
    MigrationState state;
    std::optional<std::string> applied_at;  ///< UTC, ISO 8601; nothing while pending.
};

/// Brings a database's schema to the program's: forward only, each migration in a transaction of its own, remembered
/// with its checksum in `sync.migrations`. Any number of processes may do so at once. Blocks.
class Migrator {
public:
    /// `migrations` must outlive it.
    Migrator(std::string url, std::span<const Migration> migrations);

    /// Applies what is pending, and returns it. Throws MigrationError, with all migrations before the failed one
    /// applied: also when the database is newer than the program, or holds a migration that was changed since.
    std::vector<Migration> migrate() const;

    /// Every migration of the program and of the database, in order. Changes nothing.
    [[nodiscard]] std::vector<MigrationStatus> status() const;

private:
    std::string url_;
    std::span<const Migration> migrations_;
};

}  // namespace leadsync::postgres
