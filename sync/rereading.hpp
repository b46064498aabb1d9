#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "sync/freshness.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::sync {

/// Reading a set of leads over and over in order of id, a batch at a time, so that what is known of none is older
/// than a bound: when the next batch is due, and how old the oldest is (DESIGN §5, Known leads). A batch is
/// remembered by its last id until the next round has come past it, so leads may join and leave the set at any time:
/// who joins has just been read. Holds no clock: times come in as arguments.
class Rereading {
public:
    /// Nothing in the set is older than `known_since`.
    Rereading(std::chrono::milliseconds bound, SteadyTime known_since)
        : usable_{usable(bound)}, known_since_{known_since} {}

    /// A round of about so many batches begins; all batches of the last one have ended.
    void begin_round(SteadyTime now, std::size_t batches);

    /// When the next batch is to be asked for: evenly over the round, sooner when what comes next would get too old.
    [[nodiscard]] SteadyTime due() const;

    /// The leads behind those asked for last, up to the id `last`, are asked for. Answers the batch's number.
    std::uint64_t ask(SteadyTime now, std::string last);
    /// They were read. One that is never said to be read keeps its age.
    void was_read(std::uint64_t batch);

    /// No lead of the set is left ahead.
    void end_round(SteadyTime now);

    /// No lead is older than this.
    [[nodiscard]] SteadyTime oldest(SteadyTime now) const;

private:
    struct Batch {
        std::uint64_t number = 0;
        std::string last;
        SteadyTime as_of;  ///< no lead in it is older
        SteadyTime asked_at;
    };

    /// How old what lies next is, as far as that is known.
    [[nodiscard]] std::optional<SteadyTime> ahead() const;

    SteadyTime::duration usable_;
    SteadyTime known_since_;
    bool is_first_round_ = true;
    std::deque<Batch> before_;  ///< of the last round, what this one has not come to yet; in order of id
    std::deque<Batch> asked_;   ///< of this round, in order of id
    std::uint64_t next_number_ = 1;
    SteadyTime began_{};
    std::optional<SteadyTime> asked_at_;  ///< the last of this round
    std::size_t batches_ = 0;
};

}  // namespace leadsync::sync
