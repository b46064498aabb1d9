#include "daemon/pusher.hpp"

#include <limits>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::HoldKind;
using store::Transaction;
using store::Work;

constexpr int batch_size = 100;     // ids in one look-up
constexpr std::size_t workers = 4;  // a batch that waits for a slow answer or a move leaves the others free
constexpr auto count_keeps = 60s;   // counting a million leads for every batch would cost more than the batch

Claims of_kind(const Claims& claims, Work work) {
    Claims found;
    std::ranges::copy_if(claims, std::back_inserter(found), [&](const auto& claim) { return claim.work == work; });
    return found;
}

}  // namespace

Pusher::Pusher(PushContext context, Signal& edited)
    : context_{std::move(context)},
      edited_{edited},
      verdicts_{context_},
      reconciler_{context_, verdicts_},
      creator_{context_, verdicts_},
      remover_{context_, verdicts_} {}

void Pusher::stop() {
    stopping_ = true;
    for (std::size_t i = 0; i < workers; ++i) edited_.set();
}

asio::awaitable<void> Pusher::run() {
    std::vector<asio::awaitable<void>> tasks;
    for (std::size_t i = 0; i < workers; ++i) tasks.push_back(worker());
    co_await all(std::move(tasks));
}

asio::awaitable<void> Pusher::worker() {
    while (!stopping_) {
        const auto wait = co_await work_once();
        if (wait > 0ms && !stopping_) co_await edited_.wait_for(context_.clock, wait);
    }
}

asio::awaitable<void> Pusher::drain() {
    while (!stopping_) {
        milliseconds wait = 1s;
        try {
            const auto pending =
                co_await context_.store.run([](Transaction& transaction) { return transaction.queue.pending(); });
            if (pending == 0) co_return;
            wait = co_await work_once();
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: queue: {}", context_.workspace, error.what());
        }
        if (wait > 0ms) co_await edited_.wait_for(context_.clock, wait);
    }
}

/// Claims and settles one batch. How long to wait before the next; zero: there may be more.
asio::awaitable<milliseconds> Pusher::work_once() {
    if (const auto paused = verdicts_.paused_for(); paused > 0ms) co_return paused;
    Claims claims;
    milliseconds wait = context_.timing.poll;
    try {
        claims = co_await context_.store.run([&](Transaction& transaction) { return claim(transaction, wait); });
        if (claims.empty()) co_return wait;
        if (claims.size() == batch_size) edited_.set();
        co_await settle(claims);
        co_return 0ms;
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: queue: {}", context_.workspace, error.what());
    }
    co_await give_back(std::move(claims));
    co_return 1s;
}

Claims Pusher::claim(Transaction& transaction, milliseconds& wait) {
    const bool creates_too = !verdicts_.creates_held() && transaction.progress.is_backfilled();
    hold_avalanches(transaction);
    auto claimed = transaction.queue.claim(batch_size, context_.timing.lease, creates_too);
    if (claimed.empty())
        if (const auto due = transaction.queue.next_due(creates_too))
            wait = std::clamp(*due, 5ms, context_.timing.poll);
    return claimed;
}

/// More creates, edits or deletions than the guard lets through wait for an operator, before any of them is sent.
void Pusher::hold_avalanches(Transaction& transaction) {
    const auto now = context_.clock.now();
    if (!leads_ || now - leads_counted_ > count_keeps) {
        // What is deleted here and waits to be deleted there is a part of what there was.
        leads_ = transaction.leads.count()
                 + transaction.queue.backlog(HoldKind::remove, std::numeric_limits<std::int64_t>::max());
        leads_counted_ = now;
    }
    const auto check = [&](HoldKind kind, const char* what, std::optional<std::int64_t> allowed) {
        if (!allowed) return;
        const auto waiting = transaction.queue.backlog(kind, *allowed + 1);
        if (waiting <= *allowed) return;
        const auto why = fmt::format("more than {} leads were {} at once", *allowed, what);
        transaction.queue.hold_backlog(kind, why);
        spdlog::warn("workspace {}: {}; they are held: leadsync held list shows them, held approve lets them go",
                     context_.workspace, why);
    };
    const auto& guard = context_.guard;
    check(HoldKind::create, "created", sync::allowed(guard.creates, *leads_));
    check(HoldKind::change, "edited", sync::allowed(guard.changes, *leads_));
    if (context_.deletes.local == sync::LocalDeletes::push)
        check(HoldKind::remove, "deleted", sync::allowed_deletes(guard.deletes, *leads_));
}

asio::awaitable<void> Pusher::settle(const Claims& claims) {
    if (const auto idle = of_kind(claims, Work::nothing); !idle.empty())
        co_await context_.store.run([&](Transaction& transaction) { transaction.queue.complete(idle); });
    if (auto removals = of_kind(claims, Work::remove); !removals.empty())
        co_await remover_.remove(std::move(removals));
    if (auto known = of_kind(claims, Work::reconcile); !known.empty())
        co_await reconciler_.reconcile(std::move(known));
    if (auto unborn = of_kind(claims, Work::create); !unborn.empty()) co_await creator_.create(std::move(unborn));
}

/// After a failed transaction, as soon as the store is there again.
asio::awaitable<void> Pusher::give_back(Claims claims) {
    for (int attempt = 1;; ++attempt) {
        try {
            co_return co_await context_.store.run(
                [&](Transaction& transaction) { transaction.queue.defer(claims, context_.timing.busy); });
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: {}", context_.workspace, error.what());
        }
        co_await context_.clock.sleep_for(sync::backoff_delay({500ms, 10s}, attempt, context_.dice()));
    }
}

}  // namespace leadsync::daemon
