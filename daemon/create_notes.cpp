#include "daemon/create_notes.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "connectors/instantly/write_bodies.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using store::Transaction;
using sync::Field;

store::NotedCreate note_of(const sync::Content& local, sync::Instant now) {
    store::NotedCreate create{now, local[Field::campaign], local[Field::list_id],
                              instantly::creation_of(local).expected};
    create.email = local[Field::email];
    return create;
}

}  // namespace

sync::Instant CreateNotes::ends_known_since() {
    if (!ends_known_since_) ends_known_since_ = context_.clock.wall();  // what is noted is an earlier process's
    return *ends_known_since_;
}

std::map<sync::LeadId, store::NotedCreate> CreateNotes::noted_before(Transaction& transaction,
                                                                     const std::vector<sync::LeadId>& ids,
                                                                     sync::Instant known_since, sync::Instant now) {
    auto noted = transaction.leads.noted_creates(ids);
    std::vector<sync::LeadId> ahead;
    for (auto& [id, create] : noted) {
        if (create.last_at > now) {
            create.last_at = now;
            ahead.push_back(id);
        } else if (create.last_at < known_since) {
            create.last_at = std::min(known_since, create.last_at + store::NotedCreate::under_way_max);
        }
    }
    transaction.leads.creates_ended(ahead, now);
    return noted;
}

std::chrono::milliseconds CreateNotes::may_show_for(const store::NotedCreate& create) const {
    const auto& patience = context_.timing.patience;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(create.last_at + patience - context_.clock.wall());
    return std::min(left, patience);
}

/// Rows that are to go elsewhere by now. One that is to be nowhere any more is no edit to be sent, so that no
/// generation tells of it.
std::unordered_set<std::string> CreateNotes::moved_meanwhile(Transaction& transaction, const UnbornRows& rows) {
    std::vector<sync::LeadId> ids;
    std::unordered_set<std::string> moved;
    std::unordered_map<std::string, const sync::Content*> planned;
    for (const auto& row : rows) {
        ids.push_back(row.claim.id);
        planned.emplace(row.claim.id.text, &row.local);
    }
    for (const auto& now : transaction.leads.rows(ids))
        for (const auto place : {Field::campaign, Field::list_id})
            if (now.content[place] != (*planned.at(now.id.text))[place]) moved.insert(now.id.text);
    return moved;
}

/// A row with an email keeps the note of its first attempt, for what that may have made is known by being as young as
/// the note; one without is noted anew, for it is known by what was sent. A row that a page has tied to its lead
/// meanwhile is not made again, one that was edited meanwhile not as it was, and none whose lease is over: another
/// batch may be making it. Looking for what others of the batch have made can take minutes.
asio::awaitable<std::unordered_set<std::string>> CreateNotes::note(UnbornRows& rows) {
    std::vector<sync::LeadId> ids;
    Claims claims;
    for (const auto& row : rows) {
        ids.push_back(row.claim.id);
        claims.push_back(row.claim);
    }
    const auto now = context_.clock.wall();
    std::map<sync::LeadId, store::NotedCreate> leaving;
    Claims taken;  // somebody is writing the row
    co_await context_.store.run([&](Transaction& transaction) {
        const auto written = transaction.leads.lock_free(ids);
        const auto is_written = [&](const auto& claim) { return written.contains(claim.id.text); };
        std::ranges::copy_if(claims, std::back_inserter(taken), is_written);
        std::erase_if(claims, is_written);
        const auto withdrawn = moved_meanwhile(transaction, rows);
        const auto unborn = transaction.leads.without_lead(ids_of(claims));
        const auto ours = transaction.queue.renew(claims, context_.timing.lease);
        const auto may_leave = [&](const auto& claim) {
            return unborn.contains(claim.id.text) && ours.contains(claim.id.text)
                   && !withdrawn.contains(claim.id.text);
        };
        std::erase_if(claims, may_leave);
        transaction.queue.defer(claims, 0ms);
        std::vector<sync::LeadId> elsewhere;
        for (const auto& row : rows) {
            if (!may_leave(row.claim)) continue;
            leaving.emplace(row.claim.id, note_of(row.local, now));
            if (row.noted && !sync::present(row.local[Field::email])) elsewhere.push_back(row.claim.id);
        }
        transaction.leads.forget_creates(elsewhere);
        transaction.leads.note_creates(leaving);
    });
    verdicts_.look_again_later(std::move(taken));
    std::unordered_set<std::string> noted;
    for (auto& row : rows) {
        if (!leaving.contains(row.claim.id)) continue;
        row.noted_at = now;
        noted.insert(row.claim.id.text);
    }
    co_return noted;
}

asio::awaitable<void> CreateNotes::put_back(UnbornRows rows) {
    Claims claims;
    for (const auto& row : rows) claims.push_back(row.claim);
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        take_back(transaction, rows);
        return transaction.queue.give_back(claims, 0ms);
    });
    verdicts_.look_again_later(std::move(taken));
}

asio::awaitable<void> CreateNotes::ended(const UnbornRows& rows, bool in_doubt) {
    std::vector<sync::LeadId> ids;
    for (const auto& row : rows) ids.push_back(row.claim.id);
    const auto now = context_.clock.wall();
    co_await context_.store.run([&](Transaction& transaction) {
        if (in_doubt)
            transaction.leads.creates_ended(ids, now);
        else
            take_back(transaction, rows);
    });
}

/// Nothing came of them: what was noted of earlier attempts stands as before. A process that dies before leaves the
/// notes of creates that are not on their way, which are looked for as if they were.
void CreateNotes::take_back(Transaction& transaction, const UnbornRows& rows) {
    std::map<sync::LeadId, store::UnsentCreate> unsent;
    for (const auto& row : rows) unsent.emplace(row.claim.id, store::UnsentCreate{row.noted_at, row.noted});
    transaction.leads.take_back_creates(unsent);
}

}  // namespace leadsync::daemon
