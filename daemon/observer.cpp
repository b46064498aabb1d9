#include "daemon/observer.hpp"

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

void warn_of_unusable(const std::string& workspace, const instantly::LeadPage& page) {
    for (const auto& item : page.unusable)
        spdlog::warn("workspace {}: an item of the page is no lead and is passed over: {}", workspace,
                     item.substr(0, 200));
}

SweepRules rules_of(const WorkspaceConfig& config, milliseconds patience) {
    return {.changes = config.guard.changes, .remote_deletes = config.deletes.remote, .patience = patience};
}

}  // namespace

Observer::Observer(instantly::Client& fresh, instantly::Client& rest, store::Store& store, Clock& clock,
                   WorkspaceState& state, Persistence persistence, const WorkspaceConfig& config,
                   milliseconds patience, const Reading& reading, Signal& queued)
    : fresh_{fresh},
      store_{store},
      clock_{clock},
      state_{state},
      persistence_{std::move(persistence)},
      workspace_{config.name},
      queued_{queued},
      freshness_{config.freshness},
      observing_{.policy = config.conflicts},
      pages_{rest, store, clock, config.name, observing_, reading.page_limit, queued},
      chains_{rest, pages_, store, clock, persistence_, config.name, rules_of(config, patience), reading},
      sweep_{pages_, store, clock, persistence_, config.name, rules_of(config, patience), reading},
      deletions_{rest, store, clock, config.name, observing_, config.deletes.remote, config.guard.deletes} {}

asio::awaitable<void> Observer::sweep() {
    const bool is_first = !co_await is_backfilled();
    if (is_first) {
        co_await state_.enter("backfilling");
        co_await chains_.run();
    }
    co_await sweep_.run();
    co_await persistence_.until_done("deletions", [this] { return deletions_.examine(); });
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

asio::awaitable<milliseconds> Observer::until_next_sweep() {
    milliseconds wait{0};
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        const auto age =
            co_await store_.run([](Transaction& transaction) { return transaction.progress.fresh_ago(); });
        // Start to start a little sooner than the bound: a lead is as old as the time between two sweeps.
        const auto period = freshness_.rest * 9 / 10;
        wait = age ? period - *age : 0ms;
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

asio::awaitable<void> Observer::read_new_leads_forever() {
    for (;;) {
        co_await clock_.sleep_for(freshness_.new_leads);
        if (!co_await is_backfilled()) continue;
        co_await persistence_.until_done("new leads", [this] { return read_new_leads(); });
    }
}

asio::awaitable<void> Observer::read_new_leads() {
    auto after =
        co_await store_.run([](Transaction& transaction) { return transaction.leads.newest_time_ordered(); });
    // Without a time-ordered id there is no end to start from: the sweep finds what is new.
    for (bool more = after.has_value(); more;) {
        const auto requested_at = clock_.wall();
        instantly::LeadQuery query{.after = after->text};
        auto page = co_await fresh_.list_leads(query);
        warn_of_unusable(workspace_, page);
        // Behind the newest come the ids of old leads, which say nothing about time.
        std::erase_if(page.leads, [](const auto& lead) { return !sync::is_time_ordered(lead.id); });
        more = page.next && page.leads.size() == instantly::page_limit_max;
        if (more) after = page.leads.back().id;
        auto observations = observations_of(page, requested_at, clock_.wall());
        const auto result = co_await store_.run([&](Transaction& transaction) {
            auto outcome = observe(transaction, std::move(observations), observing_, clock_.wall());
            transaction.progress.checked_new_leads();
            return outcome;
        });
        if (!result.busy.empty())
            co_await store_.run([&](Transaction& transaction) { transaction.queue.look_again(result.busy, 0ms); });
        if (!result.merged.empty() || !result.busy.empty() || !result.still_there.empty()) queued_.set();
        if (result.added > 0) spdlog::info("workspace {}: {} new leads", workspace_, result.added);
    }
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
