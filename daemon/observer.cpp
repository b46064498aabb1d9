#include "daemon/observer.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

}  // namespace

ObserveOptions observe_options_of(const WorkspaceConfig& config) {
    return {.policy = config.conflicts, .active_for = config.freshness.active_for};
}

Observer::Observer(instantly::Client& fresh, instantly::Client& active, instantly::Client& rest, store::Store& store,
                   Clock& clock, WorkspaceState& state, Persistence persistence, const WorkspaceConfig& config,
                   milliseconds patience, const Reading& reading, Signal& queued)
    : fresh_{fresh},
      store_{store},
      clock_{clock},
      state_{state},
      persistence_{std::move(persistence)},
      workspace_{config.name},
      queued_{queued},
      bounds_{config.freshness.bounds},
      observing_{observe_options_of(config)},
      absence_{.remote_deletes = config.deletes.remote, .patience = patience},
      guard_{clock, config.guard.changes},
      intake_{store, clock, persistence_, config.name, observing_, guard_, queued},
      pages_{rest, config.name, reading.page_limit},
      chains_{rest, pages_, store, clock, persistence_, config.name, intake_, guard_, reading},
      repair_{store, persistence_, config.name, queued, reading.repair_every},
      sweep_{pages_, store, clock, persistence_, config.name, intake_, guard_, absence_, reading},
      deletions_{rest, store, clock, config.name, observing_, config.deletes.remote, config.guard.deletes},
      active_{active, store, clock, persistence_, config.name, intake_, guard_, deletions_, bounds_.active, absence_},
      new_leads_{fresh, store, clock, persistence_, config.name, intake_, bounds_.fresh},
      watch_{store, clock, config.name, active_, bounds_, limits_of(config.rate)} {}

asio::awaitable<void> Observer::sweep() {
    const bool is_first = !co_await is_backfilled();
    if (is_first) {
        co_await state_.enter("backfilling");
        co_await chains_.run();
    }
    co_await repair_.run();
    co_await sweep_.run();
    watch_.leads_are(sweep_.progress().leads);
    co_await persistence_.until_done("deletions", [this] { return deletions_.examine(store::Absence::sweep); });
    queued_.set();
    co_await state_.enter("following");
}

asio::awaitable<bool> Observer::is_backfilled() {
    bool backfilled = false;
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        backfilled =
            co_await store_.run([](Transaction& transaction) { return transaction.progress.is_backfilled(); });
    });
    co_return backfilled;
}

asio::awaitable<void> Observer::until_backfilled() {
    // Neither `while (co_await …)` nor a return out of an endless loop: GCC 12 gets both wrong.
    bool backfilled = false;
    while (!backfilled) {
        backfilled = co_await is_backfilled();
        if (!backfilled) co_await clock_.sleep_for(std::min<milliseconds>(bounds_.fresh, 5s));
    }
}

asio::awaitable<milliseconds> Observer::until_next_sweep() {
    milliseconds wait{0};
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        milliseconds took{0};
        const auto age = co_await store_.run([&](Transaction& transaction) {
            took = transaction.progress.sweep_took();
            return transaction.progress.fresh_ago();
        });
        // When the next one is complete, what the last one read first is as old as from its beginning until then.
        wait = age ? sync::usable(bounds_.rest) - took - *age : 0ms;
    });
    co_return std::max(wait, 0ms);
}

asio::awaitable<void> Observer::sweep_forever() {
    for (;;) {
        const auto wait = co_await until_next_sweep();
        if (wait > 0ms) {
            co_await state_.enter("following");
            co_await clock_.sleep_for(wait);
        }
        co_await sweep();
        const auto& read = sweep_.progress();
        spdlog::info("workspace {}: sweep complete, {} leads in {} pages", workspace_, read.leads, read.pages);
    }
}

asio::awaitable<void> Observer::follow_active_leads() {
    co_await until_backfilled();
    milliseconds known_ago{0};
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        co_await store_.run([&](Transaction& transaction) {
            auto& progress = transaction.progress;
            const auto rest = progress.fresh_ago().value_or(0ms);
            known_ago = std::min(progress.active_ago().value_or(rest), rest);
        });
    });
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(active_.follow(known_ago));
    tasks.push_back(active_.look_into_missing_forever());
    co_await all(std::move(tasks));
}

asio::awaitable<void> Observer::watch_freshness() { return watch_.watch(); }

asio::awaitable<void> Observer::read_new_leads_forever() {
    co_await until_backfilled();
    milliseconds known_ago{0};
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        known_ago = co_await store_.run(
            [](Transaction& transaction) { return transaction.progress.new_leads_ago().value_or(0ms); });
    });
    co_await new_leads_.follow(known_ago);
}

asio::awaitable<void> Observer::read_catalog() {
    using store::Catalog;
    using store::CatalogRow;
    const auto campaigns = co_await fresh_.list_campaigns();
    const auto lists = co_await fresh_.list_lead_lists();
    const auto labels = co_await fresh_.list_lead_labels();
    const auto lead_count = co_await fresh_.lead_count();
    co_await store_.run([&](Transaction& transaction) {
        auto& progress = transaction.progress;
        std::vector<CatalogRow> rows;
        for (const auto& campaign : campaigns)
            rows.push_back({campaign.id.text, campaign.name, campaign.status, campaign.raw});
        progress.replace_catalog(Catalog::campaigns, rows);
        rows.clear();
        for (const auto& list : lists) rows.push_back({list.id.text, list.name, std::nullopt, list.raw});
        progress.replace_catalog(Catalog::lead_lists, rows);
        rows.clear();
        for (const auto& label : labels) rows.push_back({label.id, label.label, label.interest_status, label.raw});
        progress.replace_catalog(Catalog::lead_labels, rows);
        if (lead_count) progress.set_lead_count(*lead_count);
    });
}

asio::awaitable<void> Observer::read_catalog_forever() {
    for (;;) {
        // A key that may not read labels still syncs leads: told, not shown as a stop.
        milliseconds wait = 1h;
        try {
            co_await read_catalog();
        } catch (const instantly::ApiError& error) {
            spdlog::warn("workspace {}: campaigns, lists and labels: {}", workspace_, error.what());
            wait = 5min;
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: campaigns, lists and labels: {}", workspace_, error.what());
            wait = 1min;
        }
        co_await clock_.sleep_for(wait);
    }
}

}  // namespace leadsync::daemon
