#include "daemon/active_leads.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include <spdlog/spdlog.h>

#include "sync/freshness.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

/// At 200 ms an answer they are worth 60 requests/s.
constexpr std::size_t batches_at_once = 12;
/// So many failures of a look-up in a row are no accident. Where as many look-ups as are made at a time were given up
/// on, and none was answered, it may not be the leads: then more.
constexpr int look_up_failures_max = 3;
constexpr int look_up_failures_in_an_outage = 10;

}  // namespace

ActiveLeads::ActiveLeads(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
                         std::string workspace, Intake& intake, ChangeGuard& guard, Deletions& deletions,
                         milliseconds bound, const AbsenceRules& absence)
    : client_{client},
      pages_{client, workspace, instantly::page_limit_max},
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
    const auto began_at = clock_.now();
    std::vector<asio::awaitable<void>> workers;
    for (std::size_t i = 0; i < std::clamp<std::size_t>(batches_, 1, batches_at_once); ++i)
        workers.push_back(worker());
    co_await all(std::move(workers));
    rereading_->end_round(over_at_.value_or(clock_.now()));
    if (std::exchange(misses_some_, false)) missing_.set();
    // What was not read is due at once: where it is all there is, round would follow upon round.
    if (std::exchange(gave_up_, false)) co_await clock_.sleep_until(began_at + sync::usable(bound_));
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
    given_up_in_a_row_ = 0;
}

asio::awaitable<void> ActiveLeads::worker() {
    for (;;) {
        const auto batch = co_await next_batch();
        if (!batch) co_return;
        co_await read(*batch);
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

/// It counts as read when all of it was.
asio::awaitable<void> ActiveLeads::read(const Batch& batch) {
    bool is_read = true;
    std::vector<LookUp> left;
    left.push_back({.ids = batch.ids});
    while (!left.empty()) {
        auto asked = std::move(left.back());
        left.pop_back();
        co_await persistence_.until_done("active leads", [this, &asked] { return look_up(asked); });
        if (asked.is_too_large) {
            const auto middle = asked.ids.begin() + static_cast<std::ptrdiff_t>(asked.ids.size() / 2);
            left.push_back({.ids = std::vector(middle, asked.ids.end())});
            left.push_back({.ids = std::vector(asked.ids.begin(), middle)});
        } else if (!asked.is_read) {
            is_read = false;
        }
    }
    if (is_read)
        rereading_->was_read(batch.number);
    else
        gave_up_ = true;
}

asio::awaitable<void> ActiveLeads::look_up(LookUp& asked) {
    const auto requested_at = clock_.wall();
    instantly::ScannedPage page;
    std::optional<instantly::ApiError> failed;
    try {
        instantly::LeadQuery query{.ids = asked.ids};
        page = co_await client_.scan_leads(std::move(query));
    } catch (const instantly::AnswerTooLarge& error) {
        asked.is_too_large = asked.ids.size() > 1;
        failed = error;
    } catch (const instantly::ApiError& error) {
        failed = error;
    }
    if (asked.is_too_large) {
        spdlog::warn("workspace {}: {}; asking for {} active leads in halves", workspace_, failed->what(),
                     asked.ids.size());
        co_return;
    }
    if (failed) {
        co_await give_up_or_throw(asked, *failed);
        co_return;
    }
    std::vector<sync::InstantlyId> shown;
    for (const auto& lead : page.leads) shown.push_back(lead.id);
    const bool says_what_is_missing = absence_.apply(page.unusable.empty());
    misses_some_ = misses_some_ || (says_what_is_missing && shown.size() < asked.ids.size());
    Intake::Step also = [&](Transaction& transaction, const ObserveResult&) {
        if (says_what_is_missing) transaction.leads.note_absent(asked.ids, shown, requested_at - absence_.patience);
    };
    co_await intake_.take_in(std::move(page), requested_at, std::nullopt, std::move(also));
    asked.is_read = true;
    given_up_in_a_row_ = 0;
}

/// Throws what is to be waited out; returns when these leads are left to the next round.
asio::awaitable<void> ActiveLeads::give_up_or_throw(LookUp& asked, const instantly::ApiError& error) {
    const auto& failure = error.failure();
    const bool is_refused = failure.kind == sync::FailureKind::lead;
    const bool may_be_its_own = is_refused || (failure.kind == sync::FailureKind::transient && !failure.rate_limited);
    int enough = is_refused ? 1 : look_up_failures_max;
    if (given_up_in_a_row_ >= batches_at_once) enough = look_up_failures_in_an_outage;
    if (!may_be_its_own || ++asked.failures < enough) throw instantly::ApiError{error};
    // In an outage all look-ups fail: it is this one if the server lists leads.
    if (!is_refused) co_await pages_.check_server();
    ++given_up_in_a_row_;
    // The others are not held up by it: these stay as old as they are, which is told.
    spdlog::warn("workspace {}: {} active leads from {} on can't be read: {}", workspace_, asked.ids.size(),
                 asked.ids.front().text, error.what());
}

}  // namespace leadsync::daemon
