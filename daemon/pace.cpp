#include "daemon/pace.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {

using namespace std::chrono_literals;
using boost::asio::awaitable;
using instantly::Turn;

namespace {

constexpr auto until_rung = std::chrono::hours{24};
/// A budget that recovers may allow a slot earlier than was thought, and without a departure.
constexpr auto look_again = 1s;
/// A turn is void so long after it came: what is recorded of a second is taken to have left within the next one.
constexpr auto departs_within = 1s;
constexpr std::size_t seconds_kept = 62;
/// The part of a second's requests that is recorded in reserve: for as long a disk that is busy, as during a
/// checkpoint, holds up none.
constexpr std::size_t reserve_part = 2;
/// The second under which it is recorded: later than any recall, which takes what it finds for spent just now.
constexpr sync::Instant in_reserve{std::chrono::sys_days{std::chrono::January / 1 / 2200}};

sync::Instant second_of(sync::Instant at) { return std::chrono::floor<std::chrono::seconds>(at); }

}  // namespace

struct Pace::Waiter {
    Waiter(Pace& its_pace, sync::Lane its_lane) : pace{its_pace}, lane{its_lane} { line().push_back(this); }

    /// Whoever leaves without its turn, cancelled, hands on what it has.
    ~Waiter() {
        if (!granted) line().remove(this);
        if (granted && !taken) pace.give_back();
        if (pace.leader_ == this) pace.leader_ = nullptr;
        if (pace.leader_ == nullptr) pace.wake_next();
    }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

    std::list<Waiter*>& line() const { return pace.waiting_.at(static_cast<std::size_t>(lane)); }

    awaitable<void> sleep_until(sync::SteadyTime at) {
        const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
        Alarm its_alarm{executor, pace.clock_, at};
        struct Ringable {
            Ringable(Alarm*& its_slot, Alarm& alarm) : slot{its_slot} { slot = &alarm; }
            ~Ringable() { slot = nullptr; }
            Ringable(const Ringable&) = delete;
            Ringable& operator=(const Ringable&) = delete;
            Alarm*& slot;
        };
        const Ringable ringable{alarm, its_alarm};
        co_await its_alarm.wait();
    }

    void ring() const {
        if (alarm != nullptr) alarm->ring();
    }

    Pace& pace;
    sync::Lane lane;
    bool granted = false;
    bool taken = false;
    Alarm* alarm = nullptr;  // while it sleeps
};

/// Leave to send one request. It may outlive its Pace by no means: both live in one WorkspaceSync.
class Pace::Granted final : public Turn {
public:
    explicit Granted(Pace& pace) : pace_{pace}, since_{pace.clock_.now()} {}
    ~Granted() override { give_back(); }
    Granted(const Granted&) = delete;
    Granted& operator=(const Granted&) = delete;

    bool departs() override {
        if (departed_) return true;
        const auto now = pace_.clock_.now();
        if (is_over_ || now - since_ > departs_within) {
            give_back();  // at once: whoever holds it asks for another, which may be this one
            return false;
        }
        departed_ = is_over_ = true;
        pace_.windows_.depart(now);
        pace_.tell_leader();
        return true;
    }

private:
    void give_back() {
        if (!std::exchange(is_over_, true)) pace_.give_back();
    }

    Pace& pace_;
    sync::SteadyTime since_;
    bool departed_ = false;
    bool is_over_ = false;  // departed, or given back
};

Pace::Pace(Clock& clock, sync::RateLimits limits, store::Store* store)
    : clock_{clock}, store_{store}, windows_{limits} {}

instantly::Gate Pace::lane(sync::Lane lane) {
    return [this, lane] { return turn(lane); };
}

awaitable<std::unique_ptr<Turn>> Pace::turn(sync::Lane lane) {
    Waiter me{*this, lane};
    while (!me.granted) {
        if (leader_ == nullptr) leader_ = &me;
        if (leader_ != &me && is_most_urgent(me))
            leader_->ring();  // its slot may come sooner than the one waited for
        if (leader_ == &me)
            co_await lead(me);
        else
            co_await me.sleep_until(clock_.now() + until_rung);
    }
    me.taken = true;
    co_return std::make_unique<Granted>(*this);
}

/// Waits for the next slot, or gives it to whose turn it is.
awaitable<void> Pace::lead(Waiter& leader) {
    const auto now = clock_.now();
    if (!recalled_) co_return co_await recall();
    const auto slot = windows_.next(now, ahead_of(most_urgent_waiting()));
    if (!slot) {
        leader_waits_for_departure_ = true;
        co_await leader.sleep_until(now + look_again);
        leader_waits_for_departure_ = false;
    } else if (*slot > now) {
        co_await leader.sleep_until(std::min(*slot, now + look_again));
    } else if (!may_grant()) {
        const auto alone = co_await recording_.lock(clock_);
        if (!may_grant()) co_await record();
    } else {
        grant_next();
    }
}

sync::Lane Pace::most_urgent_waiting() const {
    const auto line = std::ranges::find_if(waiting_, [](const auto& waiters) { return !waiters.empty(); });
    return static_cast<sync::Lane>(line - waiting_.begin());
}

/// The first of its lane, with nobody in those above.
bool Pace::is_most_urgent(const Waiter& waiter) const {
    return most_urgent_waiting() == waiter.lane && waiter.line().front() == &waiter;
}

void Pace::grant_next() {
    std::array<std::size_t, sync::lane_count> waiting{};
    std::ranges::transform(waiting_, waiting.begin(), [](const auto& line) { return line.size(); });
    auto& line = waiting_.at(static_cast<std::size_t>(order_.take(waiting).value()));
    auto* next = line.front();
    line.pop_front();
    windows_.grant(clock_.now());
    if (store_ != nullptr) note_grant();
    next->granted = true;
    next->ring();
}

void Pace::give_back() {
    windows_.give_back(clock_.now());
    if (store_ != nullptr && !seconds_.empty() && seconds_.back().granted > 0) --seconds_.back().granted;
    tell_leader();
}

void Pace::tell_leader() const {
    if (leader_waits_for_departure_ && leader_ != nullptr) leader_->ring();
}

void Pace::wake_next() {
    leader_waits_for_departure_ = false;
    for (const auto& line : waiting_)
        if (!line.empty()) return line.front()->ring();
}

void Pace::refused(std::chrono::milliseconds hold) {
    const auto now = clock_.now();
    windows_.refused(now, now + hold);
}

std::chrono::milliseconds Pace::held_for() const {
    const auto left = windows_.held_until() - clock_.now();
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(left), 0ms);
}

// --- what was granted, across restarts ----------------------------------------------------------------------------

/// In the second's record, or in the reserve.
bool Pace::may_grant() const {
    if (store_ == nullptr) return true;
    const bool in_record = !seconds_.empty() && seconds_.back().begin == second_of(clock_.wall())
                           && seconds_.back().granted < seconds_.back().recorded;
    return in_record || unrecorded() < reserved_;
}

int Pace::unrecorded() const {
    int requests = 0;
    for (const auto& second : seconds_) requests += std::max(0, second.granted - second.recorded);
    return requests;
}

Pace::Second& Pace::this_second() {
    const auto second = second_of(clock_.wall());
    if (seconds_.empty() || seconds_.back().begin != second) seconds_.push_back({second, 0, 0});
    if (seconds_.size() > seconds_kept) seconds_.pop_front();
    return seconds_.back();
}

void Pace::note_grant() {
    ++this_second().granted;
    if (unrecorded() > 0) in_debt_.set();
}

awaitable<void> Pace::record_behind() {
    for (;;) {
        co_await in_debt_.wait_for(clock_, until_rung);
        const auto alone = co_await recording_.lock(clock_);
        if (unrecorded() == 0) continue;
        try {
            co_await record();
        } catch (const instantly::ApiError& error) {
            spdlog::debug("{}", error.what());  // whoever finds the reserve used up is told
        }
    }
}

std::optional<std::vector<store::SpentSecond>> Pace::spent() const {
    if (store_ == nullptr || !recalled_) return std::nullopt;
    std::vector<store::SpentSecond> spent;
    for (const auto& second : seconds_) spent.push_back({second.begin, second.granted});
    return spent;
}

/// One write for a second's requests: what is recorded and not used, and the reserve, is taken for used only by a
/// process that comes after a crash.
awaitable<void> Pace::record() {
    if (!recalled_) co_return;  // it would write over what another process has recorded
    this_second();
    auto spent = this->spent().value();
    const auto per_second = static_cast<int>(windows_.per_second());
    spent.back().requests += per_second;
    const auto seconds_recorded = spent.size();
    const int reserve = std::max(1, per_second / static_cast<int>(reserve_part));
    spent.push_back({in_reserve, reserve});
    try {
        co_await store_->run([&](store::Transaction& transaction) { transaction.progress.record_spent(spent); });
    } catch (const store::StoreError& error) {
        throw instantly::ApiError{
            {.message = std::string{"nothing is sent while the request budget can't be recorded: "} + error.what()}};
    }
    reserved_ = reserve;
    spent.resize(seconds_recorded);
    for (const auto& [begin, requests] : spent) {
        // The newest of that name: a clock that was set back has them twice.
        const auto known = std::ranges::find(seconds_.rbegin(), seconds_.rend(), begin, &Second::begin);
        if (known != seconds_.rend()) known->recorded = requests;
    }
}

void Pace::locks_lost() {
    locks_lost_at_ = clock_.now();
    recalled_ = false;
    is_recall_old_ = true;
}

/// What an earlier process sent lately counts against our windows, and so does what another has sent while our locks
/// were lost. What we let through ourselves we know, though the server may have failed over and forgotten it.
awaitable<void> Pace::recall() {
    const auto alone = co_await recording_.lock(clock_);
    is_recall_old_ = false;
    if (store_ != nullptr) {
        std::vector<store::SpentSecond> recorded;
        try {
            recorded =
                co_await store_->run([](store::Transaction& transaction) { return transaction.progress.spent(); });
        } catch (const store::StoreError& error) {
            throw instantly::ApiError{{.message = std::string{"nothing is sent before it is known what was sent "
                                                              "lately: "}
                                                  + error.what()}};
        }
        take_for_spent(recorded);
    }
    recalled_ = !is_recall_old_;
}

void Pace::take_for_spent(const std::vector<store::SpentSecond>& recorded) {
    const auto now = clock_.now();
    const auto wall = clock_.wall();
    const auto latest = second_of(wall);
    std::map<sync::Instant, int> requests;
    for (const auto& second : seconds_) requests[std::min(second.begin, latest)] += second.granted;
    std::map<sync::Instant, int> theirs;
    for (const auto& [second, spent] : recorded) theirs[std::min(second, latest)] += std::max(spent, 0);
    for (const auto& [second, spent] : theirs) requests[second] = std::max(requests[second], spent);

    windows_.forget();
    seconds_.clear();
    reserved_ = 0;
    for (const auto& [second, spent] : requests) {
        const auto ago = std::max<sync::Instant::duration>(wall - (second + 1s + departs_within), 0s);
        windows_.remember(now - ago, static_cast<std::size_t>(spent));
        seconds_.push_back({second, spent, spent});
    }
    while (seconds_.size() > seconds_kept) seconds_.pop_front();
}

}  // namespace leadsync::daemon
