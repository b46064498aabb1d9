#pragma once

#include <stdexcept>
#include <type_traits>

#include "connectors/postgres/review.hpp"
#include "daemon/commands.hpp"
#include "daemon/daemon.hpp"
#include "daemon/status.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {

/// Runs `work(Review&)` as a user of the config's database would, on the named workspaces (none: all). What a trigger
/// says is told in its own words.
template <class Work>
auto as_operator(const Config& config, const WorkspaceNames& workspaces, Work work)
    -> std::invoke_result_t<Work&, postgres::Review&> {
    const auto names = chosen_workspaces(config, workspaces);
    const ConfiguredDatabase database{config};
    return with_schema([&] {
        try {
            return postgres::review(database.url(), names, work);
        } catch (const pqxx::undefined_table&) {
            throw;
        } catch (const pqxx::sql_error& error) {
            throw std::runtime_error{postgres::words_of(error) + "; nothing was changed"};
        }
    });
}

}  // namespace leadsync::daemon
