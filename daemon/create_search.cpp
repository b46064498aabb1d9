#include "daemon/create_search.hpp"

#include <algorithm>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using store::Transaction;
using sync::Field;

}  // namespace

/// If it was made it is adopted, wherever it is by now: somebody may have moved it already. Made again, it would be
/// two, and the person mailed twice.
asio::awaitable<CreateSearch::Seen> CreateSearch::look_for(const UnbornRow& row, int looks) {
    Seen seen;
    for (; looks > 0; --looks) {
        const auto requested_at = context_.clock.wall();
        instantly::LeadQuery query;
        query.contacts.push_back(*row.local[Field::email]);
        auto page = co_await context_.client.list_leads(query);
        auto observations = observations_of(page, requested_at, context_.clock.wall());
        const auto result = co_await context_.store.run([&](Transaction& transaction) {
            return observe(transaction, std::move(observations), context_.observing, context_.clock.wall());
        });
        seen.made = std::ranges::count(result.merged, row.claim.id, &MergedLead::id) > 0
                    || std::ranges::count(result.withdrawn, row.claim.id) > 0;
        seen.is_row_being_written = std::ranges::count(result.busy, row.claim.id) > 0;
        if (seen.made || seen.is_row_being_written) co_return seen;
        if (!page.leads.empty()) seen.others = true;
        if (looks > 1) co_await context_.clock.sleep_for(context_.timing.read_back);
    }
    co_return seen;
}

/// Reads the leads that the noted create's list has got since then; the merge adopts the one that shows what was
/// sent.
asio::awaitable<CreateSearch::Seen> CreateSearch::find_posted(const UnbornRow& row) {
    const auto first = sync::first_id_at(row.noted->at - store::NotedCreate::clock_slack);
    instantly::LeadQuery query{.list = id_or_nothing<sync::ListId>(row.noted->list)};
    query.after = first;
    for (;;) {
        const auto requested_at = context_.clock.wall();
        std::optional<instantly::ApiError> refusal;
        instantly::LeadPage page;
        try {
            page = co_await context_.client.list_leads(query);
        } catch (const instantly::ApiError& error) {
            refusal = error;
        }
        if (refusal) {
            // A made-up cursor may be refused, or no notice taken of it: then the list is read from its start.
            if (!is_no_answer(*refusal) || query.after != first) throw instantly::ApiError{*refusal};
            query.after.reset();
            continue;
        }
        if (query.after == first && page.leads.empty() && page.unusable.empty()) {
            // Or nothing is shown behind it: the same.
            const bool is_taken = co_await takes_made_up_cursors();
            if (!is_taken) {
                query.after.reset();
                continue;
            }
        }
        const auto next = page.next;
        auto observations = observations_of(page, requested_at, context_.clock.wall());
        const auto result = co_await context_.store.run([&](Transaction& transaction) {
            return observe(transaction, std::move(observations), context_.observing, context_.clock.wall());
        });
        Seen seen;
        seen.made = std::ranges::count(result.merged, row.claim.id, &MergedLead::id) > 0;
        seen.is_row_being_written = std::ranges::count(result.busy, row.claim.id) > 0;
        if (seen.made || seen.is_row_being_written || !next) co_return seen;
        query.after = next;
    }
}

asio::awaitable<bool> CreateSearch::takes_made_up_cursors() {
    if (!unknown_cursor_) {
        Pages pages{context_.client, context_.workspace, instantly::page_limit_max};
        instantly::LeadQuery from_first;
        const auto first = co_await pages.fetch(from_first);
        unknown_cursor_ = co_await pages.try_unknown_cursor(first);
    }
    co_return unknown_cursor_ == UnknownCursor::accepted;
}

}  // namespace leadsync::daemon
