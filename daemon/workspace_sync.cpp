#include "daemon/workspace_sync.hpp"

#include <algorithm>

#include <fmt/chrono.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"
#include "daemon/version.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto worth_telling = 10s;    // of a hold by Instantly
constexpr auto tombstones_kept = 24h;  // a list may hide what is there for a while: that has been a day of sweeps

/// The key belongs to another workspace than the one this name was pinned to.
class SwappedKey : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Whether the API itself says that the key may not ask: in its own JSON, not in the words of a CDN in front of it,
/// which says nothing about the key.
bool is_own_403(const instantly::ApiError& error) {
    constexpr std::string_view status = "403 ";
    const auto& answer = error.failure().exchange.answer;
    if (!answer.starts_with(status)) return false;
    return nlohmann::json::parse(answer.substr(status.size()), nullptr, false).is_object();
}

}  // namespace

instantly::TransportOptions transport_options(const WorkspaceConfig& config) {
    return {.base_url = config.base_url, .user_agent = user_agent()};
}

WorkspaceSync::WorkspaceSync(const Surroundings& surroundings, const WorkspaceConfig& config,
                             const SyncOptions& options)
    : store_{surroundings.store},
      clock_{surroundings.clock},
      name_{config.name},
      history_keep_{config.history_keep},
      pace_{clock_, limits_of(config.rate), &store_},
      state_{store_, config.name},
      heeding_{surroundings.transport, pace_},
      accepted_{heeding_},
      breaker_{accepted_, options.timing.pause, clock_, surroundings.dice, state_, config.name},
      client_{breaker_, config.api_key.reveal(), pace_.lane(sync::Lane::push)},
      urgent_{client_.through(pace_.lane(sync::Lane::safety))},
      fresh_{heeding_, config.api_key.reveal(), pace_.lane(sync::Lane::fresh)},
      active_{fresh_.through(pace_.lane(sync::Lane::active))},
      rest_{fresh_.through(pace_.lane(sync::Lane::rest))},
      persistence_{
          config.name,           clock_, surroundings.dice, state_, WorkspaceState::Side::reading, options.patience,
          options.timing.reading},
      observer_{fresh_, active_,      rest_,  surroundings.reading,    clock_,
                state_, persistence_, config, options.timing.patience, options.reading,
                edited_},
      pusher_{{.workspace = config.name,
               .client = client_,
               .urgent = urgent_,
               .store = store_,
               .clock = clock_,
               .dice = surroundings.dice,
               .state = state_,
               .pace = pace_,
               .breaker = breaker_,
               .observing = observe_options_of(config),
               .deletes = config.deletes,
               .guard = config.guard,
               .timing = options.timing},
              edited_} {}

asio::awaitable<void> WorkspaceSync::run() {
    std::string stopped;
    try {
        co_await identify();
        std::vector<asio::awaitable<void>> tasks;
        tasks.push_back(observer_.read_catalog_forever());
        tasks.push_back(observer_.sweep_forever());
        tasks.push_back(observer_.read_new_leads_forever());
        tasks.push_back(observer_.follow_active_leads());
        tasks.push_back(observer_.watch_freshness());
        tasks.push_back(push());
        tasks.push_back(pace_.record_behind());
        tasks.push_back(report_requests());
        tasks.push_back(tell_of_holds());
        tasks.push_back(prune());
        co_await all(std::move(tasks));
    } catch (const SwappedKey& error) {
        stopped = error.what();
    }
    pushing_done_ = true;
    spdlog::error("workspace {}: {}", name(), stopped);
    co_await state_.enter(WorkspaceState::stopped);
    co_await state_.problem(WorkspaceState::Side::reading, stopped);
    for (;;) co_await clock_.sleep_for(1h);
}

asio::awaitable<void> WorkspaceSync::backfill(TellProgress report) {
    observer_.on_progress(report);
    co_await identify();
    co_await observer_.read_catalog();
    lead_count_ =
        co_await store_.run([](store::Transaction& transaction) { return transaction.progress.lead_count(); });
    co_await observer_.sweep();
}

std::string WorkspaceSync::hindrance() const {
    return pace_.held_for() >= worth_telling ? hold_told() : pusher_.store_trouble();
}

asio::awaitable<void> WorkspaceSync::identify() {
    co_await persistence_.until_done("first contact", [this] { return identify_once(); });
}

asio::awaitable<void> WorkspaceSync::identify_once() {
    std::optional<instantly::Workspace> workspace;
    try {
        workspace = co_await fresh_.current_workspace();
    } catch (const instantly::ApiError& error) {
        if (!is_own_403(error)) throw;
        spdlog::warn("workspace {}: {}; without the scope workspaces:read a swapped key goes unnoticed", name(),
                     error.what());
    }
    if (!workspace) co_return;
    const bool same = co_await store_.run(
        [&](store::Transaction& transaction) { return transaction.progress.pin(workspace->id, workspace->name); });
    if (!same)
        throw SwappedKey{"the API key belongs to Instantly workspace \"" + workspace->name + "\" (" + workspace->id +
                         "), not to the one these leads came from; mend the key, or give the other workspace a name "
                         "of its own in the config"};
}

asio::awaitable<void> WorkspaceSync::push() {
    co_await pusher_.run();
    pushing_done_ = true;
    for (;;) co_await clock_.sleep_for(1h);
}

asio::awaitable<void> WorkspaceSync::report_requests() {
    for (std::size_t told = 0;; co_await clock_.sleep_for(5s)) {
        const auto spent = pace_.spent_in_minute();
        if (spent == told) continue;
        try {
            co_await store_.run(
                [&](store::Transaction& transaction) { transaction.progress.report_requests(spent); });
            told = spent;
        } catch (const store::StoreError& error) {
            spdlog::debug("workspace {}: {}", name(), error.what());
        }
    }
}

/// A `Retry-After` is believed up to a day: nobody is to take that for a workspace in which nothing happens.
asio::awaitable<void> WorkspaceSync::tell_of_holds() {
    bool is_told = false;
    for (;; co_await clock_.sleep_for(is_told ? 1s : 5s)) {
        const auto held = pace_.held_for();
        if (held >= worth_telling && !std::exchange(is_told, true)) {
            const auto reason = hold_told();
            spdlog::warn("workspace {}: {}", name(), reason);
            co_await state_.problem(WorkspaceState::Side::requests, reason);
        } else if (held == 0ms && std::exchange(is_told, false)) {
            co_await state_.solved(WorkspaceState::Side::requests);
        }
    }
}

std::string WorkspaceSync::hold_told() const {
    const auto until = std::chrono::floor<std::chrono::seconds>(clock_.wall() + pace_.held_for());
    return fmt::format("Instantly has answered 429 and asks for no request before {:%F %T} UTC",
                       std::chrono::system_clock::time_point{until});
}

asio::awaitable<void> WorkspaceSync::prune() {
    constexpr std::int64_t at_once = 10'000;
    for (;; co_await clock_.sleep_for(1h)) {
        try {
            std::int64_t pruned = at_once;
            while (pruned == at_once)
                pruned = co_await store_.run([&](store::Transaction& transaction) {
                    return std::max(transaction.progress.prune_history(history_keep_, at_once),
                                    transaction.leads.forget_old_tombstones(tombstones_kept, at_once));
                });
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: what is over stays for another hour: {}", name(), error.what());
        }
    }
}

}  // namespace leadsync::daemon
