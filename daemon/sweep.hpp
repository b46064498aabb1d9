#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "connectors/instantly/client.hpp"
#include "connectors/store/store.hpp"
#include "daemon/change_guard.hpp"
#include "daemon/clock.hpp"
#include "daemon/deletions.hpp"
#include "daemon/intake.hpp"
#include "daemon/pages.hpp"
#include "daemon/persistence.hpp"
#include "daemon/tasks.hpp"
#include "sync/id_space.hpp"
#include "sync/policy.hpp"

namespace leadsync::daemon {

/// How far a sweep is, told after every page.
struct SweepProgress {
    std::int64_t pages = 0;  ///< since the sweep began, earlier runs included
    std::int64_t leads = 0;
    bool complete = false;
    bool is_by_place = false;  ///< campaign by campaign, list by list: the sweep of the workspace comes after it
};
using TellProgress = std::function<void(const SweepProgress&)>;

/// How a workspace is cut up to be read. All of it may be made small by a test.
struct Reading {
    std::size_t ranges_at_once = 24;      ///< one answer each: at 200 ms they are worth 120 pages/s
    std::int64_t leads_per_range = 4000;  ///< at the least, where the leads are known
    std::int64_t ranges_max = 256;
    double cut_min = 400;  ///< fewer leads than that are not cut off at a made-up id: it costs half a page
    int page_limit = instantly::page_limit_max;
    /// Of local repair, at the least; less than a default sweep, so that each of those has one: it takes six seconds
    /// of CPU a million leads.
    std::chrono::milliseconds repair_every = std::chrono::minutes{45};
};

/// Reads the whole workspace, in ranges of ids side by side, for one chain of cursors is a page for each round trip
/// (DESIGN §5). What is known is cut at its leads, and what is left to a few ranges at the end once more, down to
/// pages; what is not known is cut while it is read, at made-up ids, if the server takes such cursors: the first cut
/// tries that. Where nothing is shown behind a cursor that may be none any more, an earlier one has to tell whether
/// that is the end. Page and cursor are one transaction. What a server gets wrong in one range stops that range
/// alone.
class Sweep {
public:
    Sweep(Pages& pages, store::Store& store, Clock& clock, Persistence persistence, std::string workspace,
          Intake& intake, ChangeGuard& guard, const AbsenceRules& absence, const Reading& reading);

    /// From where an earlier sweep was stopped to the end.
    boost::asio::awaitable<void> run();

    /// Since the sweep began.
    [[nodiscard]] const SweepProgress& progress() const { return progress_; }
    void on_progress(TellProgress report) { report_ = std::move(report); }

private:
    /// A range that is not complete, and what only this process knows of it.
    struct Range {
        store::SweepRange at;
        std::optional<std::string> saved_cursor;  ///< where it durably stands; what is stepped back from is behind it
        std::optional<sync::Stretch> stretch;     ///< its last page
        bool is_taken = false;
        bool is_known = true;     ///< after a failed try it is looked up anew: what was committed is not known
        bool is_made_up = false;  ///< its cursor is an id that no lead has
        bool is_complete = false;
        bool is_being_cut = false;
        Signal cut_over;          ///< rings whoever reads it
        bool is_known_on = true;  ///< as far as is known: two pages of known leads or more are still to be read
        int steps_back = 0;
        int rejections = 0;             ///< of answers to the cursor, in a row
        std::set<std::string> doubted;  ///< cursors behind which nothing was shown, which need not be the end
    };

    static std::unique_ptr<Range> range_of(const store::SweepRange& at);
    boost::asio::awaitable<void> open();
    boost::asio::awaitable<void> close();
    boost::asio::awaitable<void> worker();
    Range* free_range();
    boost::asio::awaitable<Range*> cut();
    Range* most_to_read();
    [[nodiscard]] std::optional<std::string> made_up_cut(const Range& range) const;
    boost::asio::awaitable<void> reload(Range& range);
    boost::asio::awaitable<void> read_page(Range& range);
    boost::asio::awaitable<instantly::ScannedPage> fetch_page(Range& range);
    boost::asio::awaitable<bool> is_end(const Range& range);
    boost::asio::awaitable<void> step_back(Range& range);
    boost::asio::awaitable<void> note_page(Range& range, instantly::ScannedPage page, sync::Instant requested_at);
    void tell(bool complete);

    Pages& pages_;
    store::Store& store_;
    Clock& clock_;
    Persistence persistence_;
    std::string workspace_;
    Intake& intake_;
    ChangeGuard& guard_;
    AbsenceRules absence_;
    Reading reading_;
    TellProgress report_;

    std::vector<std::unique_ptr<Range>> ranges_;
    Signal moved_;  ///< a range was read on, or is complete: those who wait for work look again
    SweepProgress progress_;
    bool is_closed_ = false;
    int cuts_ = 0;
    std::set<std::string> refused_;                ///< ids of leads that are no cursors any more
    std::optional<UnknownCursor> unknown_cursor_;  ///< nothing: not tried yet
};

}  // namespace leadsync::daemon
