#include "daemon/observer.hpp"

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/postgres/catalog.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using postgres::Workspaces;
using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr auto sweep_name = "sweep";
constexpr int page_limit_max = 100;
/// A cursor that the server refuses is replaced by the id before it, this often; then the sweep starts over.
constexpr int steps_back_max = 20;

void warn_of_unusable(const std::string& workspace, const instantly::LeadPage& page) {
    for (const auto& item : page.unusable)
        spdlog::warn("workspace {}: an item of the page is no lead and is passed over: {}", workspace,
                     item.substr(0, 200));
}

}  // namespace

sync::Instant now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::vector<sync::Observation> observations_of(std::vector<sync::RemoteLead> leads, sync::Instant requested_at) {
    std::vector<sync::Observation> observations;
    observations.reserve(leads.size());
    for (auto& lead : leads) observations.push_back({std::move(lead), requested_at});
    return observations;
}

Observer::Observer(instantly::Client& client, postgres::Database& database, const postgres::Mirror& mirror,
                   WorkspaceState& state, Persistence persistence, FreshnessConfig freshness)
    : client_{client},
      database_{database},
      mirror_{mirror},
      state_{state},
      persistence_{std::move(persistence)},
      freshness_{freshness},
      checkpoints_{mirror.workspace()} {}

asio::awaitable<void> Observer::sweep() {
    at_.reset();
    complete_ = false;
    steps_back_ = 0;
    if (!co_await is_backfilled()) co_await state_.enter("backfilling");
    while (!complete_) co_await persistence_.until_done("sweep", [this] { return read_page(); });
    co_await state_.enter("following");
}

asio::awaitable<void> Observer::read_page() {
    if (!at_)
        at_ = co_await database_.run(
            [&](pqxx::work& transaction) { return checkpoints_.open(transaction, sweep_name); });

    const auto requested_at = now();
    auto page = co_await fetch_page();
    warn_of_unusable(mirror_.workspace(), page);
    auto observations = observations_of(std::move(page.leads), requested_at);
    const auto count = static_cast<std::int64_t>(observations.size());
    const auto before = *at_;
    at_.reset();
    const auto outcome = co_await database_.run([&](pqxx::work& transaction) {
        auto result = mirror_.observe(transaction, std::move(observations), postgres::Observe::changes);
        if (page.next)
            checkpoints_.advance(transaction, sweep_name, *page.next, count);
        else
            checkpoints_.finish_sweep(transaction, sweep_name);
        return result;
    });
    co_await look_again(outcome.busy);
    at_ = postgres::Checkpoint{page.next, before.pages + 1, before.leads + count, 0};
    complete_ = !page.next;
    steps_back_ = 0;
    if (report_) report_({at_->pages, at_->leads, complete_});
}

/// Rows that somebody else has locked are not waited for: the queue comes back to them.
asio::awaitable<void> Observer::look_again(std::vector<sync::LeadId> busy) {
    if (busy.empty()) co_return;
    co_await database_.run([&](pqxx::work& transaction) { mirror_.look_again(transaction, busy); });
}

asio::awaitable<instantly::LeadPage> Observer::fetch_page() {
    for (;;) {
        instantly::LeadQuery query{.after = at_->cursor, .limit = page_limit_};
        bool refused = false;
        try {
            auto page = co_await client_.list_leads(query);
            page_limit_ = std::min(page_limit_max, page_limit_ * 2);
            co_return page;
        } catch (const instantly::AnswerTooLarge& error) {
            if (page_limit_ == 1) throw;
            page_limit_ /= 2;
            spdlog::warn("workspace {}: {}; asking for {} leads", mirror_.workspace(), error.what(), page_limit_);
        } catch (const instantly::ApiError& error) {
            if (error.failure().kind != sync::FailureKind::lead || !at_->cursor) throw;
            refused = true;
            spdlog::warn("workspace {}: cursor {} is refused: {}", mirror_.workspace(), *at_->cursor, error.what());
        }
        if (refused) co_await step_back();
    }
}

asio::awaitable<void> Observer::step_back() {
    const auto refused = *at_->cursor;
    if (++steps_back_ > steps_back_max) {
        at_->cursor.reset();
        co_return;
    }
    at_->cursor =
        co_await database_.run([&](pqxx::work& transaction) { return mirror_.id_before(transaction, refused); });
}

asio::awaitable<bool> Observer::is_backfilled() {
    bool backfilled = false;
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        backfilled = co_await database_.run(
            [&](pqxx::work& transaction) { return Workspaces::is_backfilled(transaction, mirror_.workspace()); });
    });
    co_return backfilled;
}

asio::awaitable<milliseconds> Observer::until_next_sweep() {
    milliseconds wait{0};
    co_await persistence_.until_done("read the state", [&]() -> asio::awaitable<void> {
        const auto age = co_await database_.run(
            [&](pqxx::work& transaction) { return Workspaces::fresh_seconds_ago(transaction, mirror_.workspace()); });
        // Start to start a little sooner than the bound: a lead is as old as the time between two sweeps.
        const auto period = freshness_.rest * 9 / 10;
        wait = age ? period - milliseconds{static_cast<std::int64_t>(*age * 1000)} : 0ms;
    });
    co_return std::max(wait, 0ms);
}

asio::awaitable<void> Observer::sweep_forever() {
    for (;;) {
        const auto wait = co_await until_next_sweep();
        if (wait > 0ms) {
            co_await state_.enter("following");
            co_await sleep_for(wait);
        }
        co_await sweep();
        spdlog::info("workspace {}: sweep complete, {} leads in {} pages", mirror_.workspace(), at_->leads,
                     at_->pages);
    }
}

asio::awaitable<void> Observer::read_new_leads_forever() {
    for (;;) {
        co_await sleep_for(freshness_.new_leads);
        if (!co_await is_backfilled()) continue;
        co_await persistence_.until_done("new leads", [this] { return read_new_leads(); });
    }
}

asio::awaitable<void> Observer::read_new_leads() {
    auto after =
        co_await database_.run([&](pqxx::work& transaction) { return mirror_.newest_time_ordered(transaction); });
    // Without a time-ordered id there is no end to start from: the sweep finds what is new.
    for (bool more = after.has_value(); more;) {
        const auto requested_at = now();
        instantly::LeadQuery query{.after = after->text};
        auto page = co_await client_.list_leads(query);
        warn_of_unusable(mirror_.workspace(), page);
        // Behind the newest come the ids of old leads, which say nothing about time.
        std::erase_if(page.leads, [](const auto& lead) { return !sync::is_time_ordered(lead.id); });
        more = page.next && page.leads.size() == page_limit_max;
        if (more) after = page.leads.back().id;
        auto observations = observations_of(std::move(page.leads), requested_at);
        const auto result = co_await database_.run([&](pqxx::work& transaction) {
            auto outcome = mirror_.observe(transaction, std::move(observations), postgres::Observe::changes);
            Workspaces::checked_new_leads(transaction, mirror_.workspace());
            return outcome;
        });
        co_await look_again(result.busy);
        if (result.added > 0) spdlog::info("workspace {}: {} new leads", mirror_.workspace(), result.added);
    }
}

asio::awaitable<void> Observer::read_catalog() {
    using postgres::Catalog;
    using postgres::CatalogRow;
    const auto& workspace = mirror_.workspace();
    const auto campaigns = co_await client_.list_campaigns();
    const auto lists = co_await client_.list_lead_lists();
    const auto labels = co_await client_.list_lead_labels();
    const auto lead_count = co_await client_.lead_count();
    co_await database_.run([&](pqxx::work& transaction) {
        std::vector<CatalogRow> rows;
        for (const auto& campaign : campaigns)
            rows.push_back({campaign.id.text, campaign.name, campaign.status, campaign.raw});
        postgres::replace_catalog(transaction, Catalog::campaigns, workspace, rows);
        rows.clear();
        for (const auto& list : lists) rows.push_back({list.id.text, list.name, std::nullopt, list.raw});
        postgres::replace_catalog(transaction, Catalog::lead_lists, workspace, rows);
        rows.clear();
        for (const auto& label : labels) rows.push_back({label.id, label.label, label.interest_status, label.raw});
        postgres::replace_catalog(transaction, Catalog::lead_labels, workspace, rows);
        if (lead_count) Workspaces::set_lead_count(transaction, workspace, *lead_count);
    });
}

asio::awaitable<void> Observer::read_catalog_forever() {
    for (;;) {
        // A key that may not read labels still syncs leads: told, not shown as a stop.
        milliseconds wait = 1h;
        try {
            co_await read_catalog();
        } catch (const instantly::ApiError& error) {
            spdlog::warn("workspace {}: campaigns, lists and labels: {}", mirror_.workspace(), error.what());
            wait = 5min;
        } catch (const pqxx::failure& error) {
            spdlog::warn("workspace {}: campaigns, lists and labels: {}", mirror_.workspace(), error.what());
            wait = 1min;
        }
        co_await sleep_for(wait);
    }
}

}  // namespace leadsync::daemon
