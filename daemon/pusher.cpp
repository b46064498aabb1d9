#include "daemon/pusher.hpp"

#include <algorithm>
#include <functional>
#include <iterator>
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

constexpr int batches_at_once = 12;
constexpr std::size_t workers = 16;   // of which some may be waiting for a slow answer or a move
constexpr std::size_t movers = 8;     // each with one job of many leads
constexpr auto unwatched_poll = 60s;  // of the workers that whoever watches, or makes room, rings
constexpr int moves_scan = 10'000;    // due leads that are looked through for moves
constexpr auto grown_keeps = 60s;     // a mass edit may come in many transactions, and autovacuum late
constexpr auto trouble_keeps = 60s;   // what the store failed by is tried again each second
constexpr auto count_keeps = 60s;     // counting a million leads for every batch would cost more than the batch

Claims of_kind(const Claims& claims, Work work) {
    Claims found;
    std::ranges::copy_if(claims, std::back_inserter(found), [&](const auto& claim) { return claim.work == work; });
    return found;
}

}  // namespace

Pusher::Pusher(PushContext context, Signal& edited)
    : context_{std::move(context)},
      edited_{edited},
      returns_{context_},
      verdicts_{context_, returns_},
      reconciler_{context_, verdicts_, turn_},
      creator_{context_, verdicts_},
      remover_{context_, verdicts_} {}

void Pusher::stop() {
    stopping_ = true;
    returns_.stop();
    edited_.set();
    for (std::size_t i = 0; i < workers; ++i) turn_.set();
    for (std::size_t i = 0; i < movers; ++i) reconciler_.mover().waiting_changed().set();
}

asio::awaitable<void> Pusher::run() {
    std::vector<asio::awaitable<void>> tasks;
    for (std::size_t i = 0; i < workers; ++i) tasks.push_back(worker());
    for (std::size_t i = 0; i < movers; ++i) tasks.push_back(mover());
    tasks.push_back(returns_.run());
    co_await all(std::move(tasks));
    // Looked at anew by whoever comes next, also when this fails.
    auto unmoved = reconciler_.mover().take_all();
    try {
        co_await context_.store.run([&](Transaction& transaction) { transaction.queue.defer(unmoved, 0ms); });
    } catch (const store::StoreError& error) {
        spdlog::warn("workspace {}: {}", context_.workspace, error.what());
    }
}

/// One of the workers that have nothing to do watches, and hears what rings: it looks often as long as work keeps
/// coming, and asks to be rung once it does not. When it finds something, the next one takes over.
asio::awaitable<void> Pusher::worker() {
    bool watches = false;
    while (!stopping_) {
        if (!watches && (watched_ || !has_room())) {
            co_await turn_.wait_for(context_.clock, unwatched_poll);
            continue;
        }
        watched_ = watches = true;
        const auto wait = co_await work_once(watches);
        if (wait > 0ms && !stopping_) is_rung_ = co_await edited_.wait_for(context_.clock, wait);
    }
}

asio::awaitable<void> Pusher::drain() {
    while (!stopping_) {
        milliseconds wait = 1s;
        try {
            const auto idle =
                co_await context_.store.run([](Transaction& transaction) { return transaction.queue.is_idle(); });
            if (idle) co_return;
            co_await returns_.return_free();
            bool watches = false;
            wait = std::min(co_await work_once(watches), context_.timing.read_back);
            co_await gather_moves();
            const auto moved = co_await move_once(wait > 0ms ? 0ms : context_.timing.moves_gather);
            if (moved) continue;
        } catch (const store::StoreError& error) {
            store_failed(error);
        }
        if (wait > 0ms) co_await edited_.wait_for(context_.clock, wait);
    }
}

/// What is looked at and then has to wait for its turn would have to be looked at again. So much is left to be called
/// that there is always something while the next batch is looked at.
bool Pusher::has_room() const {
    return in_hand_ < batches_at_once
           && reconciler_.calls_left() < std::max<std::size_t>(1, context_.pace.per_second() * 3 / 4);
}

/// Moves the leads that batches have left to be moved together.
asio::awaitable<void> Pusher::mover() {
    auto& waiting = reconciler_.mover();
    while (!stopping_) {
        const auto gather = is_crowded_ ? context_.timing.moves_gather : context_.timing.moves_rest;
        co_await gather_moves();
        const auto moved = co_await move_once(gather);
        if (moved) continue;
        auto wait =
            admits_many() ? waiting.waits_for(gather) : std::max<milliseconds>(1s, context_.breaker.closed_for());
        if (is_crowded_) wait = std::min(wait, gather);
        if (!stopping_) co_await waiting.waiting_changed().wait_for(context_.clock, wait);
    }
}

/// Leads that are only to be moved need not wait for their batch while the queue is full: one request moves any
/// number from one place to another, a place takes one at a time, and those that are left over would hold up the end.
asio::awaitable<void> Pusher::gather_moves() {
    auto& waiting = reconciler_.mover();
    const auto now = context_.clock.now();
    const auto room = static_cast<int>(waiting.room());
    if (!is_crowded_ || !leads_ || room == 0 || !admits_many() || now - gathered_at_ < context_.timing.moves_gather)
        co_return;
    gathered_at_ = now;
    const auto allowed = allowed_of(*leads_);
    std::vector<store::MoveClaim> moves;
    try {
        co_await context_.store.run([&](Transaction& transaction) {
            auto& queue = transaction.queue;
            if (!queue.exceeded(allowed).empty()) return;  // the next claim holds them
            moves = queue.claim_moves(room, moves_scan, context_.timing.lease, context_.timing.moves_late);
        });
        for (auto& move : moves) waiting.wait(move.intent, std::move(move.claim));
    } catch (const store::StoreError& error) {
        store_failed(error);
        Claims in_doubt;
        for (auto& move : moves) in_doubt.push_back(std::move(move.claim));
        returns_.add(std::move(in_doubt));
    }
}

bool Pusher::admits_many() const { return context_.breaker.admits(context_.timing.batch) >= context_.timing.batch; }

/// Whether there was anything to do.
asio::awaitable<bool> Pusher::move_once(milliseconds gather) {
    auto& waiting = reconciler_.mover();
    auto back = waiting.take_late();
    std::optional<Mover::Together> together;
    if (admits_many()) together = waiting.take_waiting(gather);
    if (back.empty() && !together) co_return false;
    if (together) {
        waiting.waiting_changed().set();  // another may go beside it
        auto claims = together->claims;
        try {
            co_await reconciler_.move_together(std::move(*together));
        } catch (const store::StoreError& error) {
            store_failed(error);
            std::ranges::move(claims, std::back_inserter(back));
        }
        edited_.set();  // what was given back may be due before whoever watches would look again
    }
    returns_.add(std::move(back));
    co_return true;
}

/// What a claim's transaction, which runs on another thread, is asked and tells.
struct Pusher::Round {
    int leads_max = 0;
    bool creates_too = false;
    bool may_sleep = false;
    bool is_rung = false;
    bool is_backfilled = false;
    bool has_token = false;
    bool has_grown = false;
    bool asks_if_idle = false;          ///< a problem is told of that only a probe can end
    bool asks_for_creates = false;      ///< it is told that creates are held
    std::optional<std::int64_t> leads;  ///< nothing: to be counted
    bool was_counted = false;

    Claims claims;
    std::optional<milliseconds> due;  ///< until the next lead falls due, where none was
    bool asks_for_ring = false;
    bool asleep = false;                     ///< and no edit can come without one
    std::optional<std::int64_t> token;       ///< for the claim that a ring is answered with
    std::optional<std::int64_t> lost_token;  ///< of a claim whose answer did not come
    std::vector<std::string> held;
    bool is_idle = false;
    bool has_creates = true;
};

/// Claims and settles one batch. How long to wait before the next; zero: there may be more.
asio::awaitable<milliseconds> Pusher::work_once(bool& watches) {
    auto& breaker = context_.breaker;
    const auto leads = breaker.admits(context_.timing.batch);
    if (leads == 0) co_return breaker.closed_for();
    const bool probes = breaker.begin_probe();
    const auto wait = co_await work_once(watches, leads);
    if (probes) co_await breaker.end_probe();
    co_return wait;
}

asio::awaitable<milliseconds> Pusher::work_once(bool& watches, int leads) {
    auto round = begin_round(watches, leads);
    try {
        co_await claim_rung(round);
        if (round.claims.empty())
            co_await context_.store.run([&](Transaction& transaction) {
                claim(transaction, round);
                look_for_rest(transaction, round);
            });
        for (const auto& why : round.held)
            spdlog::warn("workspace {}: {}; they are held: leadsync held list shows them, held approve lets them go",
                         context_.workspace, why);
        if (round.was_counted) leads_counted_ = context_.clock.now();
        leads_ = round.leads;
        is_backfilled_ = round.is_backfilled;
        if (round.token) spare_token_ = round.token;
        asleep_ = round.claims.empty() ? asleep_ || round.asks_for_ring : false;
        // The last full batches are still being called when nothing more is due, and have moves to come.
        const bool is_crowded =
            std::ssize(round.claims) >= context_.timing.batch || (is_crowded_ && reconciler_.calls_left() > 0);
        if (std::exchange(is_crowded_, is_crowded) != is_crowded) reconciler_.mover().waiting_changed().set();
        if (round.is_idle) co_await context_.breaker.nothing_is_left();
        if (!round.has_creates) co_await verdicts_.release_creates();
        if (round.claims.empty()) co_return wait_after(round);
        found_at_ = context_.clock.now();
        if (std::exchange(watches, false)) watched_ = false;
        turn_.set();
        co_await settle_in_turn(round.claims);
        co_return 0ms;
    } catch (const store::StoreError& error) {
        store_failed(error);
    }
    asleep_ = true;  // as far as is known
    returns_.add(std::move(round.claims));
    if (round.lost_token) co_await return_lost(*round.lost_token);
    co_return 1s;
}

/// An edit that is made while all is at rest is waited for by somebody: it is claimed by one statement, with no turns
/// for a transaction around it.
asio::awaitable<void> Pusher::claim_rung(Round& round) {
    if (!round.is_rung || !round.is_backfilled || !round.leads || !spare_token_) co_return;
    const auto token = round.lost_token = std::exchange(spare_token_, std::nullopt);
    const auto allowed = allowed_of(*round.leads);
    auto claims = co_await context_.store.run_statement([&](Transaction& transaction) {
        return transaction.queue.claim_within(allowed, round.leads_max, context_.timing.lease, round.creates_too,
                                              token);
    });
    round.lost_token.reset();
    if (!claims) co_return;  // a flood: it is looked into, and held
    round.claims = std::move(*claims);
    round.is_rung = false;
}

Pusher::Round Pusher::begin_round(bool watches, int leads) {
    const auto now = context_.clock.now();
    Round round;
    round.leads_max = leads;
    round.creates_too = !verdicts_.creates_held();
    round.may_sleep = watches && now - found_at_ >= context_.timing.awake;
    round.is_rung = std::exchange(is_rung_, false);
    round.is_backfilled = is_backfilled_;
    round.has_token = spare_token_.has_value();
    round.asks_if_idle = context_.breaker.waits_for_probe();
    round.asks_for_creates = verdicts_.tells_of_held_creates();
    if (is_crowded_ && (!grown_at_ || now - *grown_at_ > grown_keeps)) {
        grown_at_ = now;
        round.has_grown = true;
    }
    // A few edits after a rest need not wait for a count.
    if (now - leads_counted_ <= count_keeps || !is_crowded_) round.leads = leads_;
    return round;
}

milliseconds Pusher::wait_after(const Round& round) const {
    const auto& timing = context_.timing;
    auto due = round.due.value_or(timing.poll);
    if (verdicts_.creates_held()) due = std::min(due, verdicts_.creates_held_for());
    const auto wait = std::clamp(due, timing.awake_poll, timing.poll);
    return round.asleep ? wait : std::min(wait, timing.awake_poll);
}

void Pusher::claim(Transaction& transaction, Round& round) const {
    auto& queue = transaction.queue;
    round.is_backfilled = round.is_backfilled || transaction.progress.is_backfilled();
    const bool creates_too = round.creates_too && round.is_backfilled;
    if (round.has_grown) queue.has_grown();
    const auto claim_now = [&] {
        if (!round.leads) count_leads(transaction, round);
        const auto allowed = allowed_of(*round.leads);
        auto claims = queue.claim_within(allowed, round.leads_max, context_.timing.lease, creates_too, std::nullopt);
        if (!claims) {
            hold_avalanches(transaction, round);
            claims = queue.claim(round.leads_max, context_.timing.lease, creates_too);
        }
        round.claims = std::move(*claims);
    };
    if (round.is_rung) claim_now();
    if (!round.claims.empty()) return;
    round.due = queue.next_due(creates_too);  // mostly all that has to be asked
    if (round.due && *round.due <= 0ms) return claim_now();
    round.asks_for_ring = round.may_sleep;
    round.asleep = round.may_sleep && queue.fall_asleep();
    if (round.asleep) {
        // An edit that asked the bell before may have been committed since the look above, and rings nobody.
        round.due = queue.next_due(creates_too);
        if (round.due && *round.due <= 0ms) return claim_now();
    }
    if (round.asleep && !round.has_token) round.token = queue.draw_lease_token();
}

/// Whether that is left of which the workspace's state tells: what was refused may have been discarded, and rows that
/// wait for room in the plan deleted, or adopted. Then no success comes that would end the problem.
void Pusher::look_for_rest(Transaction& transaction, Round& round) {
    if (round.asks_if_idle) round.is_idle = round.claims.empty() && transaction.queue.is_idle();
    if (round.asks_for_creates) round.has_creates = transaction.queue.has_creates();
}

/// More creates, edits or deletions than the guard lets through wait for an operator, before any of them is sent.
void Pusher::hold_avalanches(Transaction& transaction, Round& round) const {
    auto& queue = transaction.queue;
    auto allowed = allowed_of(*round.leads);
    auto exceeded = queue.exceeded(allowed);
    if (!exceeded.empty() && !round.was_counted) {  // a first backfill may have brought many since they were counted
        count_leads(transaction, round);
        allowed = allowed_of(*round.leads);
        exceeded = queue.exceeded(allowed);
    }
    for (const auto kind : exceeded) {
        const auto* what = kind == HoldKind::create ? "created" : kind == HoldKind::change ? "edited" : "deleted";
        round.held.push_back(fmt::format("more than {} leads were {} at once", allowed.at(kind), what));
        queue.hold_backlog(kind, round.held.back());
    }
}

void Pusher::count_leads(Transaction& transaction, Round& round) {
    // What is deleted here and waits to be deleted there is a part of what there was.
    round.leads = transaction.leads.count()
                  + transaction.queue.backlog(HoldKind::remove, std::numeric_limits<std::int64_t>::max());
    round.was_counted = true;
}

/// How many of each kind the guard lets through at once, of what it watches.
store::Allowed Pusher::allowed_of(std::int64_t leads) const {
    const auto& guard = context_.guard;
    store::Allowed allowed;
    const auto allow = [&](HoldKind kind, std::optional<std::int64_t> most) {
        if (most) allowed.emplace(kind, *most);
    };
    allow(HoldKind::create, sync::allowed(guard.creates, leads));
    allow(HoldKind::change, sync::allowed(guard.changes, leads));
    if (context_.deletes.local == sync::LocalDeletes::push)
        allow(HoldKind::remove, sync::allowed_deletes(guard.deletes, leads));
    return allowed;
}

/// A batch that takes long no longer counts as one in hand: others go on beside it.
asio::awaitable<void> Pusher::settle_in_turn(const Claims& claims) {
    struct Place {
        Place(Pusher& its_pusher, std::size_t leads) : pusher{its_pusher}, calls{pusher.reconciler_, leads} {
            ++pusher.in_hand_;
        }
        ~Place() { leave(); }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        void leave() {
            if (!std::exchange(held, false)) return;
            calls.count_no_more();
            --pusher.in_hand_;
            pusher.turn_.set();
        }
        Pusher& pusher;
        Reconciler::CallsLeft calls;
        bool held = true;
    };
    // The others are to be created or deleted, or are only looked at.
    const auto may_call = std::ranges::count_if(
        claims, [](const auto& claim) { return claim.work == Work::reconcile && claim.unsent; });
    Place place{*this, static_cast<std::size_t>(may_call)};
    Signal settled;
    bool is_settled = false;
    auto settling = [&]() -> asio::awaitable<void> {
        co_await settle(claims, place.calls);
        is_settled = true;
        settled.set();
    };
    auto leaving = [&]() -> asio::awaitable<void> {
        // What waits for its turn would only wait longer beside others.
        do co_await settled.wait_for(context_.clock, context_.timing.slow_batch);
        while (!is_settled && context_.pace.is_waited_for(sync::Lane::push));
        place.leave();
    };
    std::vector<asio::awaitable<void>> tasks;
    tasks.push_back(settling());
    tasks.push_back(leaving());
    co_await all(std::move(tasks));
    edited_.set();  // what was given back may be due before whoever watches would look again
}

asio::awaitable<void> Pusher::settle(const Claims& claims, Reconciler::CallsLeft& left) {
    if (auto removals = of_kind(claims, Work::remove); !removals.empty())
        co_await remover_.remove(std::move(removals));
    // What failed before may fail, or be slow, again: it is not to hold up what goes for the first time.
    auto known = of_kind(claims, Work::reconcile);
    const auto failed_before = [](const store::Claim& claim) { return claim.attempts > 0 || claim.resends > 0; };
    const auto again = std::ranges::stable_partition(known, std::not_fn(failed_before));
    Claims once_more{std::make_move_iterator(again.begin()), std::make_move_iterator(again.end())};
    known.erase(again.begin(), again.end());
    // There are more to come, and moves of other batches may be the same.
    const auto moves =
        std::ssize(claims) >= context_.timing.batch ? Reconciler::Moves::together : Reconciler::Moves::now;
    std::vector<asio::awaitable<void>> tasks;
    if (!known.empty()) tasks.push_back(reconciler_.reconcile(std::move(known), moves, left));
    if (!once_more.empty()) tasks.push_back(reconciler_.reconcile(std::move(once_more), moves, left));
    co_await all(std::move(tasks));
    if (auto unborn = of_kind(claims, Work::create); !unborn.empty()) co_await creator_.create(std::move(unborn));
    if (auto rowless = of_kind(claims, Work::nothing); !rowless.empty())
        co_await creator_.withdraw(std::move(rowless));
}

void Pusher::store_failed(const store::StoreError& error) {
    spdlog::warn("workspace {}: queue: {}", context_.workspace, error.what());
    store_trouble_ = error.what();
    store_failed_at_ = context_.clock.now();
}

std::string Pusher::store_trouble() const {
    return context_.clock.now() - store_failed_at_ <= trouble_keeps ? store_trouble_ : std::string{};
}

/// What a claim has leased whose answer was lost, as soon as the store is there again.
asio::awaitable<void> Pusher::return_lost(std::int64_t token) {
    for (int attempt = 1;; ++attempt) {
        try {
            auto left = co_await context_.store.run(
                [&](Transaction& transaction) { return transaction.queue.release_lease(token); });
            returns_.add(std::move(left));
            co_return;
        } catch (const store::StoreError& error) {
            spdlog::warn("workspace {}: {}", context_.workspace, error.what());
        }
        co_await context_.clock.sleep_for(sync::backoff_delay({500ms, 10s}, attempt, context_.dice()));
    }
}

}  // namespace leadsync::daemon
