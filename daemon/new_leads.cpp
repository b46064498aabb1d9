#include "daemon/new_leads.hpp"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "sync/freshness.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using store::Transaction;

/// New leads may show a little out of order: as far back, and as many leads back, they are looked for again. A page
/// holds all of them.
constexpr auto overlap = 60s;
constexpr int overlap_leads = 50;
/// What comes behind so much time ahead are the random ids of old leads.
constexpr auto ahead_max = std::chrono::days{365};
/// That reaches behind any number of deleted leads; a server that shows leads and takes none of them for a cursor is
/// not asked without end.
constexpr int new_leads_steps_back_max = 40;

}  // namespace

NewLeads::NewLeads(instantly::Client& client, store::Store& store, Clock& clock, Persistence persistence,
                   std::string workspace, Intake& intake, milliseconds bound)
    : pages_{client, workspace, instantly::page_limit_max},
      store_{store},
      clock_{clock},
      persistence_{std::move(persistence)},
      workspace_{std::move(workspace)},
      intake_{intake},
      bound_{bound} {}

asio::awaitable<void> NewLeads::follow(milliseconds known_ago) {
    co_await clock_.sleep_for(std::max(sync::usable(bound_) - known_ago, 0ms));
    for (;;) {
        auto begun_at = clock_.now();
        co_await persistence_.until_done("new leads", [this, &begun_at] {
            begun_at = clock_.now();
            return read(begun_at);
        });
        co_await clock_.sleep_until(begun_at + sync::usable(bound_));
    }
}

asio::awaitable<std::optional<std::string>> NewLeads::where_they_begin() {
    return store_.run([this](Transaction& transaction) -> std::optional<std::string> {
        // Behind the last that a look has shown, there can be newer ones that are known otherwise, and older ones
        // that are not known yet.
        const auto read_to = transaction.progress.new_leads_read_to();
        const auto newest = transaction.leads.newest_time_ordered(overlap_leads + 1, read_to);
        const auto since = (newest.empty() ? clock_.wall() : sync::made_at(newest.front())) - overlap;
        const auto first = std::ranges::find_if(newest, [&](const auto& id) { return sync::made_at(id) < since; });
        if (first != newest.end()) return first->text;
        if (newest.size() > overlap_leads) return newest.back().text;
        return transaction.leads.id_before(newest.empty() ? sync::first_id_at(since) : newest.back().text, 1);
    });
}

asio::awaitable<void> NewLeads::read(sync::SteadyTime begun_at) {
    auto after = co_await where_they_begin();
    const auto old_ids = sync::first_id_at(clock_.wall() + ahead_max);
    std::set<std::string> doubted;  // cursors behind which nothing was shown
    std::int64_t leads_back = 1;
    int steps_back = 0;
    std::optional<sync::InstantlyId> last;  // of those shown
    for (bool more = true; more;) {
        const auto requested_at = clock_.wall();
        auto page = co_await fetch_page(after);
        const bool is_doubted = page && after && is_empty(*page);
        if (is_doubted) doubted.insert(*after);
        if (!page || is_doubted) {
            // The lead of that id may be gone. Leads that were added together are deleted together: each step reaches
            // as far as all before it.
            const sync::Failure unusable{.message = "no lead is taken for a cursor, the last was " + *after};
            if (++steps_back > new_leads_steps_back_max) throw instantly::ApiError{unusable};
            after = co_await store_.run(
                [&](Transaction& transaction) { return transaction.leads.id_before(*after, leads_back); });
            leads_back *= 2;
            continue;
        }
        // A lead that is shown was there when nothing was shown behind it: so there was nothing.
        const bool is_end = !page->leads.empty() && doubted.contains(page->leads.back().id.text);
        more = page->next && *page->next < old_ids && !is_end;
        after = page->next;
        leads_back = 1;
        auto read = *std::move(page);
        read.leave_out([&](const auto& id) { return id.text >= old_ids; });
        for (const auto& lead : read.leads)
            if (sync::is_time_ordered(lead.id)) last = lead.id;
        Intake::Step also = [&](Transaction& transaction, const ObserveResult&) {
            if (!more)
                transaction.progress.checked_new_leads(std::chrono::ceil<milliseconds>(clock_.now() - begun_at),
                                                       last);
        };
        const auto result = co_await intake_.take_in(std::move(read), requested_at, std::nullopt, std::move(also));
        if (result.added > 0) spdlog::info("workspace {}: {} new leads", workspace_, result.added);
    }
}

/// Nothing: the cursor is refused.
asio::awaitable<std::optional<instantly::ScannedPage>> NewLeads::fetch_page(const std::optional<std::string>& after) {
    instantly::LeadQuery query{.after = after};
    try {
        co_return co_await pages_.fetch(query);
    } catch (const instantly::ApiError& error) {
        if (!after || !is_no_answer(error)) throw;
        spdlog::debug("workspace {}: cursor {} is refused: {}", workspace_, *after, error.what());
    }
    // In an outage all cursors are refused: it is this one if the server lists leads.
    co_await pages_.check_server();
    co_return std::nullopt;
}

}  // namespace leadsync::daemon
