#pragma once

#include <string>

#include "connectors/postgres/database.hpp"
#include "connectors/store/store.hpp"

namespace leadsync::postgres {

/// One workspace's tables in PostgreSQL.
class Store final : public store::Store {
public:
    Store(Database& database, std::string workspace) : database_{database}, workspace_{std::move(workspace)} {}

    /// The same as run, blocking: for what runs before or without the event loop. Throws pqxx::failure.
    void run_blocking(const std::function<void(store::Transaction&)>& step);

protected:
    boost::asio::awaitable<void> transact(std::function<void(store::Transaction&)> step, Scope scope) override;

private:
    Database& database_;
    std::string workspace_;
};

/// An exception of PostgreSQL as one line.
std::string one_line(const std::exception& error);

/// Whether the server could not be reached or went away, so that the same may succeed once it is back.
bool is_away(const pqxx::failure& error);

}  // namespace leadsync::postgres
