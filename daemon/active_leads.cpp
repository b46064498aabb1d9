#include "daemon/active_leads.hpp"

#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

/// At 200 ms an answer they are worth 60 requests/s.
constexpr std::size_t batches_at_once = 12;

}  // namespace

ActiveLeads::ActiveLeads(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
                         std::string workspace, Intake& intake, ChangeGuard& guard, Deletions& deletions,
                         milliseconds bound, const AbsenceRules& absence)
    : client_{client},
      store_{store},
      clock_{clock},
      persistence_{std::move(persistence)},
      workspace_{std::move(workspace)},
      intake_{intake},
      guard_{guard},
      deletions_{deletions},
      bound_{bound},
      absence_{absence} {}

std::optional<milliseconds> ActiveLeads::oldest_ago() const {
    if (!rereading_ || count_.value_or(0) == 0) return std::nullopt;
    const auto now = clock_.now();
    return std::chrono::ceil<milliseconds>(now - rereading_->oldest(now));
}

asio::awaitable<void> ActiveLeads::follow(milliseconds known_ago) {
    rereading_.emplace(bound_, clock_.now() - known_ago);
    for (;;) co_await round();
}

asio::awaitable<void> ActiveLeads::round() {
    co_await persistence_.until_done("active leads", [this] { return begin_round(); });
    std::vector<asio::awaitable<void>> workers;
    for (std::size_t i = 0; i < std::clamp<std::size_t>(batches_, 1, batches_at_once); ++i)
        workers.push_back(worker());
    co_await all(std::move(workers));
    rereading_->end_round(over_at_.value_or(clock_.now()));
    if (std::exchange(misses_some_, false)) missing_.set();
}

asio::awaitable<void> ActiveLeads::look_into_missing_forever() {
    for (;;) {
        co_await missing_.wait_for(clock_, 1h);
        co_await persistence_.until_done("deletions", [this] { return deletions_.examine(store::Absence::look); });
    }
}

asio::awaitable<void> ActiveLeads::begin_round() {
    std::int64_t leads = 0;
    const bool needs_leads = !guard_.has_begun();  // asked here: the guard is this thread's
    count_ = co_await store_.run([&](Transaction& transaction) {
        if (needs_leads) leads = transaction.leads.count();
        transaction.leads.forget_inactive(clock_.wall());
        return transaction.leads.count_active(clock_.wall());
    });
    if (!guard_.has_begun()) guard_.begin(leads, 0);
    batches_ = (static_cast<std::size_t>(*count_) + instantly::look_up_max - 1) / instantly::look_up_max;
    rereading_->begin_round(clock_.now(), batches_);
    cursor_.reset();
    over_at_.reset();
}

asio::awaitable<void> ActiveLeads::worker() {
    for (;;) {
        const auto batch = co_await next_batch();
        if (!batch) co_return;
        co_await persistence_.until_done("active leads", [this, &batch] { return read(*batch); });
    }
}

/// One at a time: when it is due, the next in order.
asio::awaitable<std::optional<ActiveLeads::Batch>> ActiveLeads::next_batch() {
    const auto lock = co_await choosing_.lock(clock_);
    if (over_at_) co_return std::nullopt;
    co_await clock_.sleep_until(rereading_->due());
    // Not ahead of time: who joins meanwhile would be passed over, and the round told to have read it.
    const auto asked_at = clock_.now();
    Batch batch;
    co_await persistence_.until_done("active leads", [this, &batch] { return fetch_ids(batch); });
    if (batch.ids.empty()) {
        over_at_ = asked_at;
        co_return std::nullopt;
    }
    cursor_ = batch.ids.back().text;
    batch.number = rereading_->ask(asked_at, *cursor_);
    co_return batch;
}

asio::awaitable<void> ActiveLeads::fetch_ids(Batch& batch) {
    batch.ids = co_await store_.run([this](Transaction& transaction) {
        return transaction.leads.active(cursor_, static_cast<int>(instantly::look_up_max), clock_.wall());
    });
}

asio::awaitable<void> ActiveLeads::read(const Batch& batch) {
    const auto requested_at = clock_.wall();
    instantly::ScannedPage page;
    try {
        instantly::LeadQuery query{.ids = batch.ids};
        page = co_await client_.scan_leads(std::move(query));
    } catch (const instantly::ApiError& error) {
        if (error.failure().kind != sync::FailureKind::lead) throw;
        // The others are not held up by it: these stay as old as they are, which is told.
        spdlog::warn("workspace {}: {} active leads from {} on can't be read: {}", workspace_, batch.ids.size(),
                     batch.ids.front().text, error.what());
        co_return;
    }
    std::vector<sync::InstantlyId> shown;
    for (const auto& lead : page.leads) shown.push_back(lead.id);
    const bool says_what_is_missing = absence_.apply(page.unusable.empty());
    misses_some_ = misses_some_ || (says_what_is_missing && shown.size() < batch.ids.size());
    Intake::Step also = [&](Transaction& transaction, const ObserveResult&) {
        if (says_what_is_missing) transaction.leads.note_absent(batch.ids, shown, requested_at - absence_.patience);
    };
    co_await intake_.take_in(std::move(page), requested_at, std::nullopt, std::move(also));
    rereading_->was_read(batch.number);
}

}  // namespace leadsync::daemon
