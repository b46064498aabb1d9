#include "daemon/observer.hpp"

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

/// A cursor that the server refuses is replaced by the id before it, this often; then the sweep starts over.
constexpr int steps_back_max = 20;

void warn_of_unusable(const std::string& workspace, const instantly::LeadPage& page) {
    for (const auto& item : page.unusable)
        spdlog::warn("workspace {}: an item of the page is no lead and is passed over: {}", workspace,
                     item.substr(0, 200));
}

std::vector<sync::InstantlyId> ids_of(const instantly::LeadPage& page) {
    std::vector<sync::InstantlyId> ids;
    ids.reserve(page.leads.size());
    for (const auto& lead : page.leads) ids.push_back(lead.id);
    return ids;
}

}  // namespace

Observer::Observer(instantly::Client& fresh, instantly::Client& rest, store::Store& store, Clock& clock,
                   WorkspaceState& state, Persistence persistence, const WorkspaceConfig& config,
                   milliseconds patience)
    : fresh_{fresh},
      rest_{rest},
      store_{store},
      clock_{clock},
      state_{state},
      persistence_{std::move(persistence)},
      workspace_{config.name},
      patience_{patience},
      freshness_{config.freshness},
      guard_{config.guard},
      remote_deletes_{config.deletes.remote},
      observing_{.policy = config.conflicts},
      deletions_{rest, store, clock, config.name, observing_, config.deletes.remote, config.guard.deletes} {}

asio::awaitable<void> Observer::sweep() {
    at_.reset();
    complete_ = false;
    steps_back_ = 0;
    if (!co_await is_backfilled()) co_await state_.enter("backfilling");
    while (!complete_) co_await persistence_.until_done("sweep", [this] { return read_page(); });
    co_await persistence_.until_done("deletions", [this] { return deletions_.examine(); });
    co_await state_.enter("following");
}

asio::awaitable<void> Observer::open_sweep() {
    at_ = co_await store_.run([&](Transaction& transaction) {
        changes_allowed_ = sync::allowed(guard_.changes, transaction.leads.count());
        return transaction.progress.open_sweep();
    });
}

asio::awaitable<void> Observer::read_page() {
    if (!at_) co_await open_sweep();
    const auto requested_at = clock_.wall();
    auto page = co_await fetch_page();
    warn_of_unusable(workspace_, page);
    const auto ids = ids_of(page);
    const auto count = static_cast<std::int64_t>(ids.size());
    auto observations = observations_of(page, requested_at, clock_.wall());
    const auto before = *at_;
    at_.reset();
    auto options = observing_;
    if (changes_allowed_) options.changes_left = std::max<std::int64_t>(0, *changes_allowed_ - before.changed);
    const auto outcome = co_await store_.run([&](Transaction& transaction) {
        auto result = observe(transaction, std::move(observations), options, clock_.wall());
        // A page with items that could not be read says nothing of what is missing in it.
        if (remote_deletes_ != sync::RemoteDeletes::ignore && page.unusable.empty())
            transaction.leads.note_absent(before.cursor, page.next, ids, requested_at - patience_);
        if (page.next)
            transaction.progress.advance_sweep(*page.next, count, static_cast<std::int64_t>(result.pulled));
        else
            transaction.progress.finish_sweep();
        return result;
    });
    co_await look_again(outcome.busy);
    at_ = store::Checkpoint{page.next, before.pages + 1, before.leads + count,
                            before.changed + static_cast<std::int64_t>(outcome.pulled)};
    complete_ = !page.next;
    steps_back_ = 0;
    if (report_) report_({at_->pages, at_->leads, complete_});
}

/// Rows that somebody else has locked are not waited for: the queue comes back to them.
asio::awaitable<void> Observer::look_again(std::vector<sync::LeadId> busy) {
    if (busy.empty()) co_return;
    co_await store_.run([&](Transaction& transaction) { transaction.queue.look_again(busy, 0ms); });
}

asio::awaitable<instantly::LeadPage> Observer::fetch_page() {
    for (;;) {
        instantly::LeadQuery query{.after = at_->cursor, .limit = page_limit_};
        bool refused = false;
        try {
            auto page = co_await rest_.list_leads(query);
            page_limit_ = std::min(instantly::page_limit_max, page_limit_ * 2);
            co_return page;
        } catch (const instantly::AnswerTooLarge& error) {
            if (page_limit_ == 1) throw;
            page_limit_ /= 2;
            spdlog::warn("workspace {}: {}; asking for {} leads", workspace_, error.what(), page_limit_);
        } catch (const instantly::ApiError& error) {
            if (error.failure().kind != sync::FailureKind::lead || !at_->cursor) throw;
            refused = true;
            spdlog::warn("workspace {}: cursor {} is refused: {}", workspace_, *at_->cursor, error.what());
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
    at_->cursor = co_await store_.run([&](Transaction& transaction) { return transaction.leads.id_before(refused); });
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
        spdlog::info("workspace {}: sweep complete, {} leads in {} pages", workspace_, at_->leads, at_->pages);
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
        co_await look_again(result.busy);
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
