#include "daemon/workspace_sync.hpp"

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/tasks.hpp"
#include "daemon/version.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

/// The key belongs to another workspace than the one this name was pinned to.
class SwappedKey : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace

instantly::TransportOptions transport_options(const WorkspaceConfig& config) {
    return {.base_url = config.base_url, .user_agent = user_agent()};
}

WorkspaceSync::WorkspaceSync(const asio::any_io_executor& executor, postgres::Database& database,
                             const WorkspaceConfig& config, const SyncOptions& options)
    : database_{database},
      pace_{{config.rate.per_second, config.rate.per_minute, config.rate.share}},
      transport_{executor, transport_options(config)},
      client_{transport_, config.api_key.reveal(), [this] { return pace_.turn(); }},
      mirror_{config.name, config.conflicts},
      state_{database, config.name},
      persistence_{config.name, state_, WorkspaceState::Side::reading, pace_, options.patience},
      observer_{client_, database, mirror_, state_, persistence_, config.freshness},
      pusher_{client_, database, mirror_, state_, pace_, edited_, config.local_deletes, options.timing} {}

asio::awaitable<void> WorkspaceSync::run() {
    std::string stopped;
    try {
        co_await identify();
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(observer_.read_catalog_forever());
        tasks.push_back(observer_.sweep_forever());
        tasks.push_back(observer_.read_new_leads_forever());
        tasks.push_back(push());
        tasks.push_back(report_requests());
        co_await all(std::move(tasks));
    } catch (const SwappedKey& error) {
        stopped = error.what();
    }
    pushing_done_ = true;
    spdlog::error("workspace {}: {}", name(), stopped);
    co_await state_.enter("stopped");
    co_await state_.problem(WorkspaceState::Side::reading, stopped);
    for (;;) co_await sleep_for(1h);
}

asio::awaitable<void> WorkspaceSync::backfill(bool drain, std::function<void(const SweepProgress&)> report) {
    observer_.on_progress(std::move(report));
    co_await identify();
    bool catalog_read = false;
    try {
        co_await observer_.read_catalog();
        catalog_read = true;
    } catch (const instantly::ApiError& error) {
        spdlog::warn("workspace {}: campaigns, lists and labels: {}", name(), error.what());
    }
    if (catalog_read)
        lead_count_ = co_await database_.run(
            [&](pqxx::work& transaction) { return postgres::Workspaces::lead_count(transaction, name()); });
    co_await observer_.sweep();
    if (drain) co_await pusher_.drain();
}

asio::awaitable<void> WorkspaceSync::identify() {
    co_await persistence_.until_done("first contact", [this] { return identify_once(); });
}

asio::awaitable<void> WorkspaceSync::identify_once() {
    std::optional<instantly::Workspace> workspace;
    try {
        workspace = co_await client_.current_workspace();
    } catch (const instantly::ApiError& error) {
        if (error.status() != 403) throw;
        spdlog::warn("workspace {}: {}; without the scope workspaces:read a swapped key goes unnoticed", name(),
                     error.what());
    }
    if (!workspace) co_return;
    const bool same = co_await database_.run([&](pqxx::work& transaction) {
        return postgres::Workspaces::pin(transaction, name(), workspace->id, workspace->name);
    });
    if (!same)
        throw SwappedKey{"the API key belongs to Instantly workspace \"" + workspace->name + "\" (" + workspace->id +
                         "), not to the one these leads came from; mend the key, or give the other workspace a name "
                         "of its own in the config"};
}

asio::awaitable<void> WorkspaceSync::push() {
    co_await pusher_.run();
    pushing_done_ = true;
    for (;;) co_await sleep_for(1h);
}

asio::awaitable<void> WorkspaceSync::report_requests() {
    for (std::size_t told = 0;; co_await sleep_for(5s)) {
        const auto spent = pace_.spent_in_minute();
        if (spent == told) continue;
        try {
            co_await database_.run(
                [&](pqxx::work& transaction) { postgres::Workspaces::report_requests(transaction, name(), spent); });
            told = spent;
        } catch (const pqxx::failure& error) {
            spdlog::debug("workspace {}: {}", name(), error.what());
        }
    }
}

}  // namespace leadsync::daemon
