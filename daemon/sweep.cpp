#include "daemon/sweep.hpp"

#include <algorithm>
#include <limits>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

/// A cursor that the server refuses is replaced by the id before it, this often; then the range starts over.
constexpr int steps_back_max = 20;
/// So many answers that are none to an unknown cursor are taken for a refusal; one may be an accident.
constexpr int rejections_max = 3;
/// The first cut reaches so many leads ahead, each later one twice as many: what lies there is not known.
constexpr double first_reach = 2000;
constexpr int doublings_max = 40;
/// Those who wait for work are rung; this is in case the last who could ring has failed.
constexpr auto unrung = 10s;

bool is_behind(const std::optional<std::string>& id, const std::optional<std::string>& end) {
    return id && end && *id >= *end;
}

/// What lies behind the end belongs to the next range.
void leave_what_is_behind(instantly::ScannedPage& page, const std::optional<std::string>& end) {
    if (end) page.end_at(*end);
}

std::optional<sync::Stretch> stretch_of(const std::vector<sync::InstantlyId>& ids) {
    if (ids.size() < 2) return std::nullopt;
    return sync::Stretch{sync::place_of(ids.front().text), sync::place_of(ids.back().text), ids.size()};
}

}  // namespace

Sweep::Sweep(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
             std::string workspace, const SweepRules& rules, const Reading& reading, Signal& queued)
    : client_{client},
      store_{store},
      clock_{clock},
      persistence_{std::move(persistence)},
      workspace_{std::move(workspace)},
      rules_{rules},
      reading_{reading},
      queued_{queued},
      page_limit_{reading.page_limit} {}

asio::awaitable<void> Sweep::run() {
    for (is_closed_ = false; !is_closed_;) {
        co_await persistence_.until_done("sweep", [this] { return open(); });
        std::vector<asio::awaitable<void>> workers;
        for (std::size_t i = 0; i < reading_.ranges_at_once; ++i) workers.push_back(worker());
        co_await all(std::move(workers));
        co_await persistence_.until_done("sweep", [this] { return close(); });
    }
    tell(true);
}

asio::awaitable<void> Sweep::open() {
    store::SweepState state;
    co_await store_.run([&](Transaction& transaction) {
        allowed_ = sync::allowed(rules_.changes, transaction.leads.count());
        state = transaction.progress.open_sweep(reading_.leads_per_range, reading_.ranges_max);
    });
    progress_ = {state.pages, state.leads, false};
    changed_ = state.changed;
    cuts_ = 0;
    ranges_.clear();
    for (const auto& at : state.open) {
        auto range = std::make_unique<Range>();
        range->at = at;
        range->is_made_up = at.pages == 0 && at.cursor && sync::is_made_up(*at.cursor);
        ranges_.push_back(std::move(range));
    }
}

/// A cut whose transaction seemed to fail may have left a range behind: then it is gone on with.
asio::awaitable<void> Sweep::close() {
    is_closed_ = co_await store_.run([this](Transaction& transaction) {
        const auto state = transaction.progress.open_sweep(reading_.leads_per_range, reading_.ranges_max);
        if (state.open.empty()) transaction.progress.finish_sweep();
        return state.open.empty();
    });
}

void Sweep::tell(bool complete) {
    progress_.complete = complete;
    if (report_) report_(progress_);
}

// --- who reads what ------------------------------------------------------------------------------------------------

asio::awaitable<void> Sweep::worker() {
    for (;;) {
        auto* range = free_range();
        if (!range) range = co_await cut();
        if (!range) {
            const bool is_over = std::ranges::all_of(ranges_, [](const auto& one) { return one->is_complete; });
            if (!is_over) {
                co_await moved_.wait_for(clock_, unrung);
                continue;
            }
            moved_.set();  // the next one is to see the same
            co_return;
        }
        range->is_taken = true;
        while (!range->is_complete)
            co_await persistence_.until_done("sweep", [this, range] { return read_page(*range); });
        moved_.set();
    }
}

Sweep::Range* Sweep::free_range() {
    const auto found = std::ranges::find_if(ranges_, [](const auto& range) { return !range->is_taken; });
    return found == ranges_.end() ? nullptr : found->get();
}

/// Cuts a part off the range with the most left; nothing: there is none, or the server takes no made-up cursors.
/// Until that is known one cut is enough.
asio::awaitable<Sweep::Range*> Sweep::cut() {
    const bool being_tried = !takes_made_up_ && cuts_ > 0;
    if (takes_made_up_ == false || being_tried) co_return nullptr;
    auto* from = most_to_read();
    if (!from) co_return nullptr;
    const auto reach = first_reach * static_cast<double>(std::uint64_t{1} << std::min(cuts_, doublings_max));
    const auto at = sync::cut_between(*from->at.cursor, from->at.end, *from->stretch, reading_.cut_min, reach);
    if (!at) co_return nullptr;
    ++cuts_;
    const auto end = from->at.end;
    std::optional<std::int64_t> number;
    from->is_being_cut = true;
    try {
        number = co_await store_.run(
            [&](Transaction& transaction) { return transaction.progress.cut_range(from->at.number, *at); });
    } catch (const store::StoreError& error) {
        // It is read to the end that is known here, cut or not.
        spdlog::debug("workspace {}: {}", workspace_, error.what());
    }
    from->is_being_cut = false;
    if (!number) co_return nullptr;
    from->at.end = *at;
    auto part = std::make_unique<Range>();
    part->at = {*number, *at, end, 0};
    part->is_made_up = true;
    ranges_.push_back(std::move(part));
    co_return ranges_.back().get();
}

Sweep::Range* Sweep::most_to_read() {
    Range* most = nullptr;
    double most_left = 0;
    for (const auto& range : ranges_) {
        if (range->is_complete || range->is_being_cut || !range->stretch || !range->at.cursor) continue;
        const auto left = sync::leads_between(*range->at.cursor, range->at.end, *range->stretch);
        if (left <= most_left) continue;
        most = range.get();
        most_left = left;
    }
    return most;
}

// --- page by page --------------------------------------------------------------------------------------------------

asio::awaitable<void> Sweep::reload(Range& range) {
    const auto state = co_await store_.run([this](Transaction& transaction) {
        return transaction.progress.open_sweep(reading_.leads_per_range, reading_.ranges_max);
    });
    const auto found = std::ranges::find(state.open, range.at.number, &store::SweepRange::number);
    range.is_complete = found == state.open.end();
    if (!range.is_complete) range.at = *found;
    range.is_known = true;
    changed_ = std::max(changed_, state.changed);
}

asio::awaitable<void> Sweep::read_page(Range& range) {
    if (!range.is_known) co_await reload(range);
    if (range.is_complete) co_return;
    const auto requested_at = clock_.wall();
    instantly::ScannedPage page;
    if (!is_behind(range.at.cursor, range.at.end)) page = co_await fetch_page(range);
    bool is_plain = true;
    try {
        co_await note_page(range, page, requested_at);
    } catch (const instantly::NotPlain&) {
        is_plain = false;
    }
    if (is_plain) co_return;
    instantly::ScannedPage whole{page.whole()};
    co_await note_page(range, whole, requested_at);
}

asio::awaitable<instantly::ScannedPage> Sweep::fetch_page(Range& range) {
    for (;;) {
        const auto cursor = range.at.cursor;
        instantly::LeadQuery query{.after = cursor, .limit = page_limit_};
        bool refused = false;
        try {
            auto page = co_await client_.scan_leads(query);
            page_limit_ = std::min(reading_.page_limit, page_limit_ * 2);
            if (range.is_made_up) takes_made_up_ = true;
            range.is_made_up = false;
            co_return page;
        } catch (const instantly::AnswerTooLarge& error) {
            if (page_limit_ == 1) throw;
            page_limit_ /= 2;
            spdlog::warn("workspace {}: {}; asking for {} leads", workspace_, error.what(), page_limit_);
        } catch (const instantly::ApiError& error) {
            // A server may also take no notice of a cursor that it does not know, and begin at the first lead.
            const bool is_no_answer = range.is_made_up && error.status() == 200;
            const bool begins_anew = is_no_answer && ++range.rejections >= rejections_max;
            if (!cursor || (error.failure().kind != sync::FailureKind::lead && !begins_anew)) {
                // It was not the cursor: the next try begins where the range durably stands, not further back.
                if (std::exchange(range.steps_back, 0) > 0) range.is_known = false;
                throw;
            }
            refused = true;
            spdlog::log(range.is_made_up ? spdlog::level::info : spdlog::level::warn,
                        "workspace {}: cursor {} is refused: {}", workspace_, *cursor, error.what());
        }
        if (refused) co_await step_back(range);
    }
}

asio::awaitable<void> Sweep::step_back(Range& range) {
    if (std::exchange(range.is_made_up, false)) takes_made_up_ = false;
    const auto refused = *range.at.cursor;
    if (++range.steps_back > steps_back_max) {
        range.at.cursor.reset();
        co_return;
    }
    range.at.cursor =
        co_await store_.run([&](Transaction& transaction) { return transaction.leads.id_before(refused); });
}

/// So many changed leads as the page may bring are kept from the others while it is written.
class Sweep::Share {
public:
    Share(Sweep& sweep, std::int64_t leads) : sweep_{sweep}, leads_{leads} { sweep_.reserved_ += leads_; }
    ~Share() {
        sweep_.reserved_ -= leads_;
        sweep_.freed_.set();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

private:
    Sweep& sweep_;
    std::int64_t leads_;
};

asio::awaitable<void> Sweep::note_page(Range& range, instantly::ScannedPage& page, sync::Instant requested_at) {
    for (const auto& item : page.unusable)
        spdlog::warn("workspace {}: an item of the page is no lead and is passed over: {}", workspace_,
                     item.substr(0, 200));
    const auto before = range.at.cursor;
    const auto end = range.at.end;
    leave_what_is_behind(page, end);
    std::vector<sync::InstantlyId> ids;
    ids.reserve(page.leads.size());
    for (const auto& lead : page.leads) ids.push_back(lead.id);
    const bool is_last = !page.next || is_behind(page.next, end);
    const auto next = is_last ? end : page.next;
    const auto count = static_cast<std::int64_t>(ids.size());
    const bool says_what_is_missing = rules_.remote_deletes != sync::RemoteDeletes::ignore && page.unusable.empty();
    const Asked asked{requested_at, clock_.wall()};

    while (allowed_ && reserved_ > 0 && changed_ + reserved_ + count > *allowed_)
        co_await freed_.wait_for(clock_, unrung);
    auto options = rules_.observing;
    if (allowed_) options.changes_left = std::max<std::int64_t>(0, *allowed_ - changed_ - reserved_);
    const Share share{*this, count};

    range.is_known = false;
    store::SweepStep step;
    const auto outcome = co_await store_.run([&](Transaction& transaction) {
        auto result = observe(transaction, page, asked, store::Stretch{before, next}, options, clock_.wall());
        if (says_what_is_missing && !result.shows_all)
            transaction.leads.note_absent(before, next, ids, requested_at - rules_.patience);
        step = {count, static_cast<std::int64_t>(result.pulled)};
        if (is_last)
            transaction.progress.finish_range(range.at.number, step);
        else
            transaction.progress.advance_range(range.at.number, *next, step);
        return result;
    });
    range.is_known = true;
    range.at.cursor = next;
    range.is_complete = is_last;
    range.steps_back = 0;
    ++range.at.pages;
    if (auto stretch = stretch_of(ids)) range.stretch = stretch;
    changed_ += step.changed;
    progress_.leads += step.leads;
    ++progress_.pages;
    tell(false);
    moved_.set();
    // Rows that somebody else has locked are not waited for: the queue comes back to them.
    if (!outcome.busy.empty())
        co_await store_.run([&](Transaction& transaction) { transaction.queue.look_again(outcome.busy, 0ms); });
    if (!outcome.merged.empty() || !outcome.busy.empty() || !outcome.still_there.empty()) queued_.set();
}

}  // namespace leadsync::daemon
