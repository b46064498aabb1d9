#include "daemon/chains.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using store::Transaction;

/// So many answers in a row that are none, by a server that answers otherwise, are no accident.
constexpr int page_rejections_max = 5;
/// A listing of campaigns that only fails does not keep the leads from being read.
constexpr int failed_listings_max = 5;

instantly::LeadQuery query_of(const store::Place& place, const std::optional<std::string>& cursor) {
    instantly::LeadQuery query{.after = cursor};
    if (place.campaign) query.campaign = sync::CampaignId{*place.campaign};
    if (place.list) query.list = sync::ListId{*place.list};
    return query;
}

std::string name_of(const store::Place& place) {
    return place.campaign ? "campaign " + *place.campaign : "list " + place.list.value_or("");
}

}  // namespace

Chains::Chains(instantly::Client& client, Pages& pages, store::Store& store, Clock& clock, Persistence persistence,
               std::string workspace, Intake& intake, ChangeGuard& guard, const Reading& reading)
    : client_{client},
      pages_{pages},
      store_{store},
      clock_{clock},
      persistence_{std::move(persistence)},
      workspace_{std::move(workspace)},
      intake_{intake},
      guard_{guard},
      reading_{reading} {}

asio::awaitable<void> Chains::run() {
    co_await persistence_.until_done("first backfill", [this] { return open(); });
    auto step = [this](Chain& chain) { return read(chain); };
    co_await for_each_of(chains_, reading_.ranges_at_once, step);
}

asio::awaitable<void> Chains::open() {
    std::optional<store::SweepState> state;
    std::int64_t leads = 0;
    bool is_known = false;
    co_await store_.run([&](Transaction& transaction) {
        state = transaction.progress.chains();
        leads = transaction.leads.count();
        is_known = leads > 0;
        // The guard means a part of the workspace, of which nothing is here yet.
        leads = std::max(leads, transaction.progress.lead_count().value_or(0));
    });
    chains_.clear();
    if (!state && is_known) co_return;
    if (!state || !state->open.empty()) co_await try_unknown_cursor();
    if (!state) {
        // Where there is too little to find out, there is too little to read.
        if (!unknown_cursor_ || unknown_cursor_ == UnknownCursor::accepted) co_return;
        const auto places = co_await list_places();
        if (places.size() < 2) co_return;  // one chain is what the sweep is too
        state = co_await store_.run([&](Transaction& transaction) {
            transaction.progress.begin_chains(places);
            return transaction.progress.chains();
        });
    }
    progress_ = {.pages = state->pages, .leads = state->leads, .is_by_place = true};
    guard_.begin(leads, state->changed);
    for (auto& at : state->open) chains_.push_back({.at = std::move(at)});
    if (!chains_.empty())
        spdlog::info("workspace {}: unknown cursors are not taken: {} campaigns and lists are read side by side",
                     workspace_, chains_.size());
}

asio::awaitable<void> Chains::try_unknown_cursor() {
    instantly::LeadQuery from_first;
    const auto first = co_await pages_.fetch(from_first);
    unknown_cursor_.reset();
    if (!first.next) co_return;  // one page is all
    unknown_cursor_ = co_await pages_.try_unknown_cursor(first);
}

/// Empty: they cannot be had.
asio::awaitable<std::vector<store::Place>> Chains::list_places() {
    std::vector<store::Place> places;
    try {
        const auto campaigns = co_await client_.list_campaigns();
        const auto lists = co_await client_.list_lead_lists();
        for (const auto& campaign : campaigns)
            if (auto id = sync::canonical(sync::Kind::uuid, campaign.id.text))
                places.push_back({.campaign = std::move(id), .list = {}});
        for (const auto& list : lists)
            if (auto id = sync::canonical(sync::Kind::uuid, list.id.text))
                places.push_back({.campaign = {}, .list = std::move(id)});
    } catch (const instantly::ApiError& error) {
        const bool may_succeed_later = error.failure().kind == sync::FailureKind::transient;
        if (may_succeed_later && ++failed_listings_ < failed_listings_max) throw;
        spdlog::warn("workspace {}: {}; so the leads are read in one chain of pages", workspace_, error.what());
        places.clear();
    }
    co_return places;
}

asio::awaitable<void> Chains::read(Chain& chain) {
    const auto what = name_of(chain.at.place);
    while (!chain.is_complete) co_await persistence_.until_done(what, [this, &chain] { return read_page(chain); });
}

asio::awaitable<void> Chains::reload(Chain& chain) {
    const auto state = co_await store_.run([](Transaction& transaction) { return transaction.progress.chains(); });
    chain.is_known = true;
    chain.is_complete = true;
    if (!state) co_return;  // lost by a failover: then the sweep reads all of it
    const auto found = std::ranges::find(state->open, chain.at.number, &store::SweepRange::number);
    chain.is_complete = found == state->open.end();
    if (!chain.is_complete) chain.at = *found;
    guard_.know(state->changed);
}

asio::awaitable<void> Chains::read_page(Chain& chain) {
    if (!chain.is_known) co_await reload(chain);
    if (chain.is_complete) co_return;
    const auto requested_at = clock_.wall();
    auto page = co_await fetch_page(chain);
    const auto next = page ? page->next : std::nullopt;
    const auto from = chain.at;
    auto read = std::move(page).value_or(instantly::ScannedPage{});
    store::SweepStep step{.leads = static_cast<std::int64_t>(read.leads.size())};
    chain.is_known = false;
    Intake::Step also = [&](Transaction& transaction, const ObserveResult& result) {
        step.changed = static_cast<std::int64_t>(result.pulled);
        if (next)
            transaction.progress.advance_range(from, *next, step);
        else
            transaction.progress.finish_range(from, step);
    };
    co_await intake_.take_in(std::move(read), requested_at, std::nullopt, std::move(also));
    chain.is_known = true;
    chain.at.cursor = next;
    chain.is_complete = !next;
    progress_.leads += step.leads;
    ++progress_.pages;
    if (report_) report_(progress_);
}

/// Nothing: the chain cannot go on.
asio::awaitable<std::optional<instantly::ScannedPage>> Chains::fetch_page(Chain& chain) {
    auto cursor = chain.at.cursor;
    bool has_doubted = false;
    for (int rejections = 0;;) {
        const auto query = query_of(chain.at.place, cursor);
        bool is_doubted = false;
        try {
            auto page = co_await pages_.fetch(query);
            // Its lead may be gone. It is asked again once, from before it: what is hidden then is left to the sweep.
            const bool may_be_none = unknown_cursor_.value_or(UnknownCursor::nothing) == UnknownCursor::nothing;
            is_doubted = cursor && !has_doubted && is_empty(page) && may_be_none;
            if (!is_doubted) {
                // A lead that is shown was there when nothing was shown behind it: so there was nothing.
                if (!page.leads.empty() && page.leads.back().id.text == chain.doubted) page.next.reset();
                co_return page;
            }
            has_doubted = true;
            chain.doubted = cursor;
        } catch (const instantly::ApiError& error) {
            if (!is_no_answer(error)) throw;
            if (++rejections == page_rejections_max) {
                spdlog::warn("workspace {}: {} is left to the sweep of the workspace: {}", workspace_,
                             name_of(chain.at.place), error.what());
                co_return std::nullopt;
            }
        }
        if (!is_doubted) {
            co_await pages_.check_server();
            // The lead of the cursor may be gone. The first time it may be an outage that is over by now.
            if (!cursor || rejections == 1) continue;
        }
        cursor =
            co_await store_.run([&](Transaction& transaction) { return transaction.leads.id_before(*cursor, 1); });
    }
}

}  // namespace leadsync::daemon
