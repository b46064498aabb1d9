#pragma once

#include <memory>
#include <string>

#include <pqxx/pqxx>

namespace leadsync::postgres {

/// `url`, a libpq URL or connection string, as a connection string that fills in what it leaves open: keepalives, so
/// that either side finds out within half a minute when the other is gone without a word. Returned as it is where
/// libpq can't read it.
std::string with_keepalives(const std::string& url);

/// A connection for work that lasts. What the server holds for it (locks, a transaction) ends with this process'
/// host, too. One that broke stays broken: libpqxx would connect anew behind a transaction, without the session's
/// settings. Throws pqxx::broken_connection.
std::unique_ptr<pqxx::connection> open_connection(const std::string& url);

}  // namespace leadsync::postgres
