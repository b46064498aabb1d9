#include "daemon/observer.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/lead_builder.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Catalog;
using store::CatalogRow;
using store::Transaction;

CatalogRow row_of(const instantly::Campaign& campaign) {
    return {campaign.id.text, instantly::well_formed(campaign.name), campaign.status,
            instantly::storable_tree(campaign.raw)};
}

CatalogRow row_of(const instantly::LeadList& list) {
    return {list.id.text, instantly::well_formed(list.name), std::nullopt, instantly::storable_tree(list.raw)};
}

CatalogRow row_of(const instantly::LeadLabel& label) {
    return {label.id, instantly::well_formed(label.label), label.interest_status,
            instantly::storable_tree(label.raw)};
}

template <class Item>
asio::awaitable<void> copy_listing(asio::awaitable<std::vector<Item>> listing, store::Store& store, Catalog catalog) {
    const auto items = co_await std::move(listing);
    std::vector<CatalogRow> rows;
    rows.reserve(items.size());
    for (const auto& item : items) rows.push_back(row_of(item));
    co_await store.run([&](Transaction& transaction) { transaction.progress.replace_catalog(catalog, rows); });
}

asio::awaitable<void> copy_lead_count(instantly::Client& client, store::Store& store) {
    const auto leads = co_await client.lead_count();
    if (!leads) co_return;
    co_await store.run([&](Transaction& transaction) { transaction.progress.set_lead_count(*leads); });
}

/// Each by itself: a key that may not read labels, or one listing that cannot be stored, keeps no other from being
/// there. How long all of it may rest until it is read again.
asio::awaitable<milliseconds> copy_catalog(instantly::Client& client, store::Store& store,
                                           const std::string& workspace) {
    milliseconds rest = 1h;
    // Leads are synced all the same: told, not shown as a stop.
    const auto attempt = [&](const char* what, asio::awaitable<void> copy) -> asio::awaitable<void> {
        try {
            co_await std::move(copy);
        } catch (const instantly::ApiError& error) {
            spdlog::warn("workspace {}: {}: {}", workspace, what, error.what());
            rest = std::min<milliseconds>(rest, 5min);
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: {}: {}", workspace, what, error.what());
            rest = std::min<milliseconds>(rest, 1min);
        }
    };
    auto campaigns = copy_listing(client.list_campaigns(), store, Catalog::campaigns);
    auto lists = copy_listing(client.list_lead_lists(), store, Catalog::lead_lists);
    auto labels = copy_listing(client.list_lead_labels(), store, Catalog::lead_labels);
    auto count = copy_lead_count(client, store);
    co_await attempt("campaigns", std::move(campaigns));
    co_await attempt("lead lists", std::move(lists));
    co_await attempt("lead labels", std::move(labels));
    co_await attempt("lead count", std::move(count));
    co_return rest;
}

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

asio::awaitable<void> Observer::read_catalog() { co_await copy_catalog(fresh_, store_, workspace_); }

asio::awaitable<void> Observer::read_catalog_forever() {
    for (;;) {
        const auto rest = co_await copy_catalog(fresh_, store_, workspace_);
        co_await clock_.sleep_for(rest);
    }
}

}  // namespace leadsync::daemon
