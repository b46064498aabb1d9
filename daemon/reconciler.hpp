#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/late_turn.hpp"
#include "daemon/lead_merger.hpp"
#include "daemon/look.hpp"
#include "daemon/mover.hpp"
#include "daemon/recorder.hpp"
#include "daemon/sending.hpp"
#include "daemon/verdicts.hpp"

namespace leadsync::daemon {

/// Leads that Instantly has: look, merge, plan, send, record; and come back until a look-up shows that it arrived
/// (DESIGN §4).
class Reconciler {
public:
    /// `called` is rung when calls_left() becomes less.
    Reconciler(PushContext& context, Verdicts& verdicts, Signal& called)
        : context_{context},
          verdicts_{verdicts},
          called_{called},
          mover_{context},
          merger_{context, verdicts},
          recorder_{context, verdicts, mover_} {}

    /// What becomes of leads that are to be moved.
    enum class Moves {
        now,       ///< with those of the same claims
        together,  ///< with those of claims to come, which are many: by move_together()
    };

    class CallsLeft;

    /// At most 100 leads, the ids of one look-up.
    boost::asio::awaitable<void> reconcile(Claims claims, Moves moves, CallsLeft& left);

    /// Leads in hand whose own calls are not over, or may be to come.
    [[nodiscard]] std::size_t calls_left() const { return calls_left_; }

    /// Leads that wait for a move, to be taken and given to move_together(), or back to the queue.
    [[nodiscard]] Mover& mover() { return mover_; }
    /// Looks at them anew, for that was some time ago, and moves those that are still to be moved.
    boost::asio::awaitable<void> move_together(Mover::Together together);

private:
    /// What a look-up by ids came to.
    struct LookUp {
        std::unordered_map<std::string, MergedLead> merged;  ///< by our id
        std::unordered_set<std::string> gone;                ///< by their id: listed nowhere, and 404
    };

    /// To Instantly, for as long as a look keeps.
    struct Ways {
        instantly::Client client;
        instantly::Client urgent;
    };

    /// What is to be done about each lead of a batch.
    struct Sorted {
        Claims finished;
        Claims later;
        Claims gone;
        Claims to_merge;
        std::vector<store::FailedClaim> refused;
        std::vector<Sending> sendings;
    };

    boost::asio::awaitable<std::vector<Sending>> prepare(Claims claims, sync::SteadyTime looked_at, CallsLeft& left);
    boost::asio::awaitable<LookUp> look_up(const Claims& claims);
    [[nodiscard]] Sorted sort(const Claims& claims, LookUp seen) const;
    void sort_merged(const store::Claim& claim, MergedLead&& lead, Sorted& sorted) const;

    boost::asio::awaitable<void> send_while_fresh(std::vector<Sending> sendings, sync::SteadyTime looked_at,
                                                  std::unique_ptr<Mover::Reservation> places, CallsLeft& left);
    boost::asio::awaitable<void> send(std::vector<Sending> sendings, Look look, Mover::Reservation& places,
                                      CallsLeft& left);
    boost::asio::awaitable<void> call(std::vector<Sending>& sendings, Look look, CallsLeft& left);
    boost::asio::awaitable<void> call_lead(Sending& sending, Ways& ways);
    boost::asio::awaitable<void> finish(const std::vector<Sending*>& sendings, Look look, Ways& ways);

    PushContext& context_;
    Verdicts& verdicts_;
    Signal& called_;
    Mover mover_;
    LeadMerger merger_;
    Recorder recorder_;
    std::size_t calls_left_ = 0;
    int slow_looks_ = 0;  ///< in a row
    LateTurns late_turns_;
};

/// The calls that some leads may yet need, counted until they are over, or known not to be.
class Reconciler::CallsLeft {
public:
    CallsLeft(Reconciler& reconciler, std::size_t calls) : reconciler_{reconciler}, calls_{calls} {
        reconciler_.calls_left_ += calls_;
    }
    ~CallsLeft() { count_no_more(); }
    CallsLeft(const CallsLeft&) = delete;
    CallsLeft& operator=(const CallsLeft&) = delete;

    void are_over(std::size_t calls) {
        calls = std::min(calls, calls_);
        if (calls == 0) return;
        calls_ -= calls;
        reconciler_.calls_left_ -= calls;
        reconciler_.called_.set();
    }
    /// What takes long holds up nothing else.
    void count_no_more() { are_over(calls_); }

private:
    Reconciler& reconciler_;
    std::size_t calls_;
};

}  // namespace leadsync::daemon
