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

/// A cursor that the server refuses is replaced by an id before it, this often; then the range starts over.
constexpr int steps_back_max = 12;
/// So many answers in a row that are none are taken for a refusal of the cursor; one may be an accident.
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
    if (end) page.leave_out([last = *end](const auto& id) { return id.text > last; });
}

std::optional<sync::Stretch> stretch_of(const std::vector<sync::InstantlyId>& ids) {
    if (ids.size() < 2) return std::nullopt;
    return sync::Stretch{sync::place_of(ids.front().text), sync::place_of(ids.back().text), ids.size()};
}

bool is_begun_at_made_up_id(const store::SweepRange& range) {
    return range.pages == 0 && range.cursor && sync::is_made_up(*range.cursor);
}

}  // namespace

Sweep::Sweep(Pages& pages, store::Store& store, Clock& clock, Persistence persistence, std::string workspace,
             Intake& intake, ChangeGuard& guard, const AbsenceRules& absence, const Reading& reading)
    : pages_{pages},
      store_{store},
      clock_{clock},
      persistence_{std::move(persistence)},
      workspace_{std::move(workspace)},
      intake_{intake},
      guard_{guard},
      absence_{absence},
      reading_{reading} {}

asio::awaitable<void> Sweep::run() {
    refused_.clear();
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
    std::int64_t leads = 0;
    co_await store_.run([&](Transaction& transaction) {
        leads = transaction.leads.count();
        state = transaction.progress.open_sweep(reading_.leads_per_range, reading_.ranges_max);
    });
    progress_ = {.pages = state.pages, .leads = state.leads};
    guard_.begin(leads, state.changed);
    cuts_ = 0;
    ranges_.clear();
    for (const auto& at : state.open) ranges_.push_back(range_of(at));
}

std::unique_ptr<Sweep::Range> Sweep::range_of(const store::SweepRange& at) {
    auto range = std::make_unique<Range>();
    range->at = at;
    range->saved_cursor = at.cursor;
    range->is_made_up = is_begun_at_made_up_id(at);
    return range;
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

/// Cuts a part off the range with the most left. Nothing: there is none that is worth it.
asio::awaitable<Sweep::Range*> Sweep::cut() {
    while (auto* from = most_to_read()) {
        const auto cursor = *from->at.cursor;
        const auto end = from->at.end;
        const auto made_up = made_up_cut(*from);
        // Copies, for a database thread looks into them while the range is read on.
        const auto refused = refused_;
        const auto range = from->at.number;
        const bool known = from->is_known_on;
        std::optional<std::string> at;
        std::optional<std::int64_t> number;
        from->is_being_cut = true;
        if (made_up) ++cuts_;
        try {
            co_await store_.run([&](Transaction& transaction) {
                at = known ? transaction.leads.halfway(cursor, end, reading_.page_limit) : std::nullopt;
                // A range that begins there would come back to where it is cut from, and be cut there again.
                if (at && refused.contains(*at)) at.reset();
                if (!at) at = made_up;
                number = at ? transaction.progress.cut_range(range, *at) : std::nullopt;
            });
        } catch (const store::StoreError& error) {
            // It is read to the end that is known here, cut or not.
            spdlog::debug("workspace {}: {}", workspace_, error.what());
            number.reset();
        }
        from->is_being_cut = false;
        from->cut_over.set();
        if (made_up && at != made_up) --cuts_;
        if (number) {
            from->at.end = at;
            ranges_.push_back(range_of({.number = *number, .cursor = *at, .end = end}));
            co_return ranges_.back().get();
        }
        if (at) co_return nullptr;
        from->is_known_on = false;
    }
    co_return nullptr;
}

/// Where to cut at an id that no lead has. Until it is known whether the server takes such cursors one cut is enough.
std::optional<std::string> Sweep::made_up_cut(const Range& range) const {
    const bool is_taken = unknown_cursor_ == UnknownCursor::accepted;
    const bool is_to_be_tried = !unknown_cursor_ && cuts_ == 0;
    if (!is_taken && !is_to_be_tried) return std::nullopt;
    const auto reach = first_reach * static_cast<double>(std::uint64_t{1} << std::min(cuts_, doublings_max));
    return sync::cut_between(*range.at.cursor, range.at.end, *range.stretch, reading_.cut_min, reach);
}

Sweep::Range* Sweep::most_to_read() {
    Range* most = nullptr;
    double most_left = 0;
    for (const auto& range : ranges_) {
        if (range->is_complete || range->is_being_cut || !range->stretch || !range->at.cursor) continue;
        if (!range->is_known_on && !made_up_cut(*range)) continue;
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
    if (!range.is_complete) {
        range.at = *found;
        range.saved_cursor = found->cursor;
        range.is_made_up = is_begun_at_made_up_id(range.at);
    }
    range.steps_back = 0;
    range.is_known = true;
    guard_.know(state.changed);
}

asio::awaitable<void> Sweep::read_page(Range& range) {
    if (!range.is_known) co_await reload(range);
    if (range.is_complete) co_return;
    // What a try that fails has stepped back is not gone on from: the next one begins where the range durably stands.
    range.is_known = false;
    // What lies behind a cut is not to be read twice, and where it is made is known in a moment.
    while (range.is_being_cut) co_await range.cut_over.wait_for(clock_, unrung);
    const auto requested_at = clock_.wall();
    instantly::ScannedPage page;
    if (!is_behind(range.at.cursor, range.at.end)) page = co_await fetch_page(range);
    co_await note_page(range, std::move(page), requested_at);
}

asio::awaitable<instantly::ScannedPage> Sweep::fetch_page(Range& range) {
    for (bool is_doubted = false;;) {
        const auto cursor = range.at.cursor;
        instantly::LeadQuery query{.after = cursor};
        std::optional<instantly::ScannedPage> page;
        try {
            page = co_await pages_.fetch(query);
        } catch (const instantly::ApiError& error) {
            // A server may also take no notice of a cursor that it does not know, and begin at the first lead. If it
            // is something else that is wrong there, nothing is read anew for it.
            const bool begins_anew =
                error.status() == 200 && ++range.rejections >= rejections_max && range.steps_back < steps_back_max;
            if (!cursor || (error.failure().kind != sync::FailureKind::lead && !begins_anew)) throw;
            spdlog::log(range.is_made_up ? spdlog::level::info : spdlog::level::warn,
                        "workspace {}: cursor {} is refused: {}", workspace_, *cursor, error.what());
        }
        if (page) {
            range.rejections = 0;
            const bool is_over = !cursor || !is_empty(*page);
            if (is_over) {
                // A lead that is shown was there when nothing was shown behind it: so there was nothing.
                if (!page->leads.empty() && range.doubted.contains(page->leads.back().id.text)) page->next.reset();
                if (std::exchange(range.is_made_up, false)) unknown_cursor_ = UnknownCursor::accepted;
                co_return *std::move(page);
            }
            const bool ends_there = co_await is_end(range);
            if (ends_there) co_return *std::move(page);
            range.doubted.insert(*cursor);
            co_await step_back(range);
            is_doubted = false;
            continue;
        }
        // In an outage all cursors are refused: it is this one if the server lists leads, and refuses it again.
        is_doubted = !is_doubted;
        if (is_doubted)
            co_await pages_.check_server();
        else
            co_await step_back(range);
    }
}

/// Whether nothing is left where nothing was shown: a server may answer so what it does not know as a cursor.
asio::awaitable<bool> Sweep::is_end(const Range& range) {
    if (!unknown_cursor_) {
        instantly::LeadQuery from_first;
        const auto first = co_await pages_.fetch(from_first);
        if (is_empty(first)) co_return true;  // no lead is shown at all
        unknown_cursor_ = co_await pages_.try_unknown_cursor(first);
    }
    const bool is_lead_known = !range.is_made_up && unknown_cursor_ == UnknownCursor::refused;
    co_return is_lead_known || unknown_cursor_ == UnknownCursor::accepted;
}

asio::awaitable<void> Sweep::step_back(Range& range) {
    const auto refused = *range.at.cursor;
    if (!std::exchange(range.is_made_up, false))
        refused_.insert(refused);
    else if (unknown_cursor_ != UnknownCursor::nothing)
        unknown_cursor_ = UnknownCursor::refused;
    if (++range.steps_back > steps_back_max) {
        range.at.cursor.reset();
        co_return;
    }
    // Leads that were added together are deleted together: each step reaches as far as all before it.
    const auto leads = std::int64_t{1} << (range.steps_back - 1);
    range.at.cursor =
        co_await store_.run([&](Transaction& transaction) { return transaction.leads.id_before(refused, leads); });
}

asio::awaitable<void> Sweep::note_page(Range& range, instantly::ScannedPage page, sync::Instant requested_at) {
    const auto before = range.at.cursor;
    const auto end = range.at.end;
    leave_what_is_behind(page, end);
    std::vector<sync::InstantlyId> ids;
    ids.reserve(page.leads.size());
    for (const auto& lead : page.leads) ids.push_back(lead.id);
    const bool is_last = !page.next || is_behind(page.next, end);
    const auto next = is_last ? end : page.next;
    const bool says_what_is_missing = absence_.apply(page.unusable.empty());

    range.is_known = false;
    store::SweepStep step{.leads = static_cast<std::int64_t>(ids.size())};
    // Not written into the call: GCC 12 destroys what is made among the arguments of an awaited one twice.
    const store::Stretch read{before, next};
    const store::SweepRange from{.number = range.at.number, .cursor = range.saved_cursor, .end = end};
    Intake::Step also = [&](Transaction& transaction, const ObserveResult& result) {
        if (says_what_is_missing && !result.shows_all)
            transaction.leads.note_absent(before, next, ids, requested_at - absence_.patience);
        step.changed = static_cast<std::int64_t>(result.pulled);
        if (is_last)
            transaction.progress.finish_range(from, step);
        else
            transaction.progress.advance_range(from, *next, step);
    };
    co_await intake_.take_in(std::move(page), requested_at, read, std::move(also));
    range.is_known = true;
    range.at.cursor = next;
    range.saved_cursor = next;
    range.is_complete = is_last;
    range.steps_back = 0;
    ++range.at.pages;
    if (auto stretch = stretch_of(ids)) range.stretch = stretch;
    progress_.leads += step.leads;
    ++progress_.pages;
    tell(false);
    moved_.set();
}

}  // namespace leadsync::daemon
