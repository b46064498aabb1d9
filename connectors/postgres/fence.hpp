#pragma once

#include <mutex>
#include <string>

#include <pqxx/pqxx>

namespace leadsync::postgres {

/// Which backend holds the locks of the workspaces that this process drives. A server that failed over has no such
/// backend, and another process may hold the locks there: who connects anew asks first, for the session that has them
/// may not have heard yet. Any thread may call.
class Fence {
public:
    /// The locks are this session's from now on.
    void raise(pqxx::connection& holder);

    /// Throws pqxx::broken_connection where the holder is not on this server any more. Nothing before raise().
    void check(pqxx::transaction_base& session) const;

private:
    mutable std::mutex mutex_;
    std::string holder_;  ///< process id and start of the backend
};

}  // namespace leadsync::postgres
