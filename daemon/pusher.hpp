#pragma once

#include "daemon/creator.hpp"
#include "daemon/lease_returns.hpp"
#include "daemon/push_context.hpp"
#include "daemon/reconciler.hpp"
#include "daemon/remover.hpp"
#include "daemon/tasks.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Brings local changes to Instantly: claims due leads and hands them to whoever does what they need (DESIGN §4, §6).
class Pusher {
public:
    Pusher(PushContext context, Signal& edited);

    /// Works the queue off. Returns only after stop(), with every batch in hand finished.
    boost::asio::awaitable<void> run();

    /// Works until nothing is pending but leads given up on or held. For one-shot runs.
    boost::asio::awaitable<void> drain();

    /// What the store failed by within the last minute; empty: it did not.
    [[nodiscard]] std::string store_trouble() const;

    /// Claims nothing more.
    void stop();

    /// See LeaseReturns.
    void return_later(Claims claims) { returns_.add(std::move(claims)); }

private:
    struct Round;

    boost::asio::awaitable<void> worker();
    [[nodiscard]] bool has_room() const;
    boost::asio::awaitable<void> mover();
    boost::asio::awaitable<void> gather_moves();
    boost::asio::awaitable<bool> move_once(std::chrono::milliseconds gather);
    boost::asio::awaitable<std::chrono::milliseconds> work_once(bool& watches);
    boost::asio::awaitable<std::chrono::milliseconds> work_once(bool& watches, int leads);
    Round begin_round(bool watches, int leads);
    boost::asio::awaitable<void> claim_rung(Round& round);
    void claim(store::Transaction& transaction, Round& round) const;
    static void look_for_rest(store::Transaction& transaction, Round& round);
    void hold_avalanches(store::Transaction& transaction, Round& round) const;
    static void count_leads(store::Transaction& transaction, Round& round);
    [[nodiscard]] store::Allowed allowed_of(std::int64_t leads) const;
    /// Not while the breaker lets through a few as a trial, or none.
    [[nodiscard]] bool admits_many() const;
    [[nodiscard]] std::chrono::milliseconds wait_after(const Round& round) const;
    boost::asio::awaitable<void> settle_in_turn(const Claims& claims);
    boost::asio::awaitable<void> settle(const Claims& claims, Reconciler::CallsLeft& left);
    boost::asio::awaitable<void> return_lost(std::int64_t token);
    void store_failed(const store::StoreError& error);

    PushContext context_;
    Signal& edited_;  ///< rings whoever watches
    Signal turn_;     ///< rings a worker that may watch now
    LeaseReturns returns_;
    Verdicts verdicts_;
    Reconciler reconciler_;
    Creator creator_;
    Remover remover_;
    std::optional<std::int64_t> leads_;  ///< in the workspace, as counted at leads_counted_
    sync::SteadyTime leads_counted_{};
    std::optional<sync::SteadyTime> grown_at_;  ///< when the store was told last that the queue has grown
    sync::SteadyTime gathered_at_{};            ///< when moves were looked for last
    sync::SteadyTime found_at_{};               ///< when a claim found something last
    std::optional<std::int64_t> spare_token_;   ///< drawn before it fell asleep
    std::string store_trouble_;                 ///< what the store failed by last
    sync::SteadyTime store_failed_at_{};        ///< and when
    int in_hand_ = 0;                           ///< batches, but for those that take long
    bool watched_ = false;                      ///< one of the workers waits for the next edit
    bool asleep_ = true;                        ///< writers may ring
    bool is_rung_ = false;                      ///< whoever watches was woken by something that may be due
    bool is_backfilled_ = false;                ///< once and for all
    bool is_crowded_ = false;  ///< there is more than a batch, or was when what is called was claimed
    bool stopping_ = false;
};

}  // namespace leadsync::daemon
