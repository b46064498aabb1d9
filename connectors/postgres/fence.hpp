#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>

#include <pqxx/pqxx>

namespace leadsync::postgres {

/// Which backend holds the locks of the workspaces that this process drives. Once that session is gone, another
/// process may hold them, and so it may on a server that failed over, which has no such backend. Down at first, and
/// whenever the locks are lost. Any thread may call.
class Fence {
public:
    /// The locks are this session's from now on.
    void raise(pqxx::connection& holder);

    /// They may be anybody's from now on.
    void lower();

    /// Which raising this is, another number each time; nothing while it is down.
    [[nodiscard]] std::optional<std::uint64_t> standing() const;

    /// Throws pqxx::broken_connection while it is down, and where the holder is not on this server any more: the
    /// process that has lost it may not have heard yet.
    void check(pqxx::transaction_base& session) const;

private:
    mutable std::mutex mutex_;
    std::string holder_;  ///< process id and start of the backend; empty: it is down
    std::uint64_t raised_ = 0;
};

/// What whoever stays behind a fence that is down is told.
pqxx::broken_connection locks_are_lost();

}  // namespace leadsync::postgres
