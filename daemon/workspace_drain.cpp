#include "daemon/workspace_drain.hpp"

#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "connectors/postgres/store.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/backfill_progress.hpp"
#include "daemon/tasks.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {
namespace {

using postgres::WorkspaceStatus;
using std::chrono::milliseconds;

constexpr int looks_in_patience = 15;  // of a backfill: one a minute

/// What is left and what keeps it: a breaker that is open and a full plan are told in the workspace's state.
std::string told_of_standstill(const WorkspaceSync& sync, const std::optional<WorkspaceStatus>& seen,
                               const std::string& unreadable, milliseconds patience) {
    std::string left;
    if (seen) left = counted(seen->pending, "edit") + (seen->pending == 1 ? " is left, " : " are left, ");
    std::string why = seen ? seen->reason : unreadable;
    if (why.empty()) why = sync.hindrance();
    if (why.empty()) why = "what is left is refused, or waits: leadsync queue list tells";
    return fmt::format("{}nothing has moved for {}: {}; see to that, then drain again: what is left stays queued",
                       left, spoken(std::chrono::duration<double>{patience}.count()), why);
}

asio::awaitable<WorkspaceStatus> look(postgres::Database& database, const std::string& name) {
    auto all = co_await database.run(
        [&](pqxx::work& transaction) { return postgres::Workspaces::status(transaction, {name}); });
    co_return std::move(all.at(0));
}

/// Beside the drain, which may itself wait for something that does not come.
asio::awaitable<void> until_nothing_moves(WorkspaceSync& sync, postgres::Database& database, Clock& clock,
                                          milliseconds patience) {
    auto moved_at = clock.now();
    auto accepted = sync.accepted_writes();
    auto least_left = std::numeric_limits<std::int64_t>::max();
    for (;;) {
        co_await clock.sleep_for(patience / looks_in_patience);
        std::optional<WorkspaceStatus> seen;
        std::string unreadable;
        try {
            seen = co_await look(database, sync.name());
        } catch (const pqxx::failure& error) {
            unreadable = postgres::one_line(error);
        }
        const bool is_less = seen && seen->pending < least_left;
        if (is_less) least_left = seen->pending;
        if (is_less || sync.accepted_writes() != accepted) {
            accepted = sync.accepted_writes();
            moved_at = clock.now();
        } else if (clock.now() - moved_at >= patience) {
            throw std::runtime_error{told_of_standstill(sync, seen, unreadable, patience)};
        }
    }
}

}  // namespace

asio::awaitable<void> drain_patiently(WorkspaceSync& sync, postgres::Database& database, Clock& clock,
                                      std::optional<milliseconds> patience) {
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(sync.drain());
    if (patience) tasks.push_back(until_nothing_moves(sync, database, clock, *patience));
    co_await until_first_ends(std::move(tasks));
}

}  // namespace leadsync::daemon
