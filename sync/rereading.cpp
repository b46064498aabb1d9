#include "sync/rereading.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace leadsync::sync {
namespace {

constexpr std::string_view behind_all = "~";  // no id

}  // namespace

void Rereading::begin_round(SteadyTime now, std::size_t batches) {
    before_ = std::exchange(asked_, {});
    began_ = now;
    asked_at_.reset();
    batches_ = batches;
}

std::optional<SteadyTime> Rereading::ahead() const {
    if (is_first_round_) return known_since_;
    return before_.empty() ? std::nullopt : std::optional{before_.front().as_of};
}

SteadyTime Rereading::due() const {
    // The first batch of a round follows the last one of the round before as evenly as any other.
    const auto step = usable_ / static_cast<SteadyTime::rep>(std::max<std::size_t>(batches_, 1));
    const auto evenly = asked_at_.value_or(began_) + step;
    const auto oldest = ahead();
    return oldest ? std::min(evenly, *oldest + usable_) : evenly;
}

std::uint64_t Rereading::ask(SteadyTime now, std::string last) {
    auto as_of = ahead().value_or(now);
    while (!before_.empty() && before_.front().last <= last) {
        as_of = std::min(as_of, before_.front().as_of);
        before_.pop_front();
    }
    if (!before_.empty()) as_of = std::min(as_of, before_.front().as_of);
    asked_.push_back({next_number_, std::move(last), as_of, now});
    asked_at_ = now;
    return next_number_++;
}

void Rereading::was_read(std::uint64_t batch) {
    const auto found = std::ranges::find(asked_, batch, &Batch::number);
    if (found != asked_.end()) found->as_of = found->asked_at;
}

void Rereading::end_round(SteadyTime now) {
    before_.clear();
    is_first_round_ = false;
    // Who joins behind the last one has been read no earlier than now, and is in no batch until the next round.
    asked_.push_back({next_number_++, std::string{behind_all}, now, now});
}

SteadyTime Rereading::oldest(SteadyTime now) const {
    auto oldest = is_first_round_ ? known_since_ : now;
    for (const auto* batches : {&before_, &asked_})
        for (const auto& batch : *batches) oldest = std::min(oldest, batch.as_of);
    return oldest;
}

}  // namespace leadsync::sync
