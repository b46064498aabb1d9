#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon/push_context.hpp"
#include "daemon/sending.hpp"
#include "daemon/tasks.hpp"
#include "daemon/waiting_moves.hpp"

namespace leadsync::daemon {

/// Moves leads between campaigns and lists: one job for each source and target, followed to its end; one job at a
/// time in each campaign and list, for Instantly answers 409 while one holds it. What can't go at once waits here.
class Mover {
public:
    explicit Mover(PushContext& context) : context_{context} {}

    /// The campaigns and lists of some moves, which nobody else moves from or to until it goes.
    class Reservation {
    public:
        explicit Reservation(Mover& mover) : mover_{mover} {}
        ~Reservation();
        Reservation(const Reservation&) = delete;
        Reservation& operator=(const Reservation&) = delete;

    private:
        friend class Mover;
        Mover& mover_;
        std::set<sync::MoveIntent> intents_;
    };

    /// Leads that have waited to be moved together, and their places.
    struct Together {
        Claims claims;
        std::unique_ptr<Reservation> places;
    };

    /// Adds what these moves need. One whose places are taken, by another move of these too, is left for later.
    void reserve(std::vector<Sending>& sendings, Reservation& ours);

    /// The way to Instantly for moves whose jobs were followed for so long already: that is no time in which they
    /// have waited for their turn.
    using Way = std::function<instantly::Client(std::chrono::milliseconds followed)>;
    /// Sends the reserved moves and follows them. Those whose turn comes late are put off.
    boost::asio::awaitable<void> move(const std::vector<Sending*>& sendings, const Way& way);

    /// How many more leads may wait.
    [[nodiscard]] std::size_t room() const { return waiting_.room(); }
    void wait(const sync::MoveIntent& intent, store::Claim claim);
    /// Leads that are to be moved now, `gather` after the first of them began to wait.
    std::optional<Together> take_waiting(std::chrono::milliseconds gather);
    /// Leads that have waited for too long.
    Claims take_late() { return waiting_.take_late(context_.clock.now() - context_.timing.moves_late); }
    Claims take_all() { return waiting_.take_all(); }
    /// Until take_waiting() or take_late() has something, as far as is known now.
    [[nodiscard]] std::chrono::milliseconds waits_for(std::chrono::milliseconds gather) const;
    /// Rung when that may have become less.
    [[nodiscard]] Signal& waiting_changed() { return waiting_changed_; }

private:
    boost::asio::awaitable<void> move_together(std::vector<Sending*> leads, const Way& way);
    boost::asio::awaitable<std::string> follow(sync::JobId job, std::size_t sent);

    [[nodiscard]] bool is_free(const sync::MoveIntent& intent) const;
    void reserve(const sync::MoveIntent& intent, Reservation& ours);

    PushContext& context_;
    std::set<std::string> taken_;
    WaitingMoves waiting_;
    Signal waiting_changed_;
};

}  // namespace leadsync::daemon
