#include "daemon/creator.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "connectors/instantly/api_error.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using store::Transaction;
using sync::Field;

/// So many answers without a lead before it is believed that it was not made.
constexpr int looks_before_belief = 3;

/// Why no call can create the row as it is; empty when one can.
std::string hindrance(const sync::Content& local) {
    const bool to_campaign = sync::present(local[Field::campaign]);
    if (to_campaign && sync::present(local[Field::list_id]))
        return "a new lead goes to a campaign or to a list: set one of campaign and list_id to NULL";
    if (to_campaign && !sync::present(local[Field::email]))
        return "a lead in a campaign needs an email: insert it again with one";
    return {};
}

}  // namespace

asio::awaitable<void> Creator::create(Claims claims) {
    try {
        co_await create_rows(std::move(claims));
    } catch (const store::StoreError&) {
        notes_.doubt_ends();  // some may have left, and what became of them is not written down
        throw;
    }
}

asio::awaitable<void> Creator::create_rows(Claims claims) {
    std::vector<store::LocalRow> rows;
    std::map<sync::LeadId, store::NotedCreate> noted;
    const auto known_since = notes_.ends_known_since();
    const auto now = context_.clock.wall();
    co_await context_.store.run([&](Transaction& transaction) {
        rows = transaction.leads.rows(ids_of(claims));
        noted = CreateNotes::noted_before(transaction, ids_of(claims), known_since, now);
    });
    std::unordered_map<std::string, sync::Content> contents;
    for (auto& row : rows) contents.emplace(row.id.text, std::move(row.content));

    Claims idle;
    std::map<std::string, Claims> refused;
    std::map<std::string, UnbornRows> by_target;
    UnbornRows to_post;
    UnbornRows in_doubt;
    for (const auto& claim : claims) {
        const auto found = contents.find(claim.id.text);
        const bool anywhere =
            found != contents.end()
            && (sync::present(found->second[Field::campaign]) || sync::present(found->second[Field::list_id]));
        if (!anywhere) {
            idle.push_back(claim);
            continue;
        }
        const auto& local = found->second;
        const auto& campaign = local[Field::campaign];
        UnbornRow row{claim, local, {}, {}};
        if (const auto at = noted.find(claim.id); at != noted.end()) row.noted = at->second;
        if (claim.approval == store::Approval::rejected)
            refused["its creation was rejected; edit the row to ask again"].push_back(claim);
        else if (auto reason = hindrance(local); !reason.empty())
            refused[std::move(reason)].push_back(claim);
        else if (!sync::present(local[Field::email]))
            to_post.push_back(std::move(row));
        else if (row.noted)
            in_doubt.push_back(std::move(row));
        else  // One that failed before goes alone, so that the answer's counts are about it.
            by_target[(sync::present(campaign) ? "c" + *campaign : "l" + *local[Field::list_id])
                      + (claim.attempts > 0 ? claim.id.text : "")]
                .push_back(std::move(row));
    }
    co_await context_.store.run([&](Transaction& transaction) { transaction.queue.complete(idle); });
    for (auto& [reason, leads] : refused) co_await verdicts_.give_up(leads, reason);
    auto resume_one = [this](UnbornRow& row) { return resume(std::move(row)); };
    co_await for_each_of(in_doubt, calls_at_once, resume_one);
    for (auto& [target, leads] : by_target) co_await add(std::move(leads));
    for (auto& row : to_post) co_await post(std::move(row));
}

/// One look at once, which mostly finds it; that it was not made is believed only when reads can't lag any more, and
/// not from a single answer.
asio::awaitable<void> Creator::resume(UnbornRow row) {
    Claims alone(1, row.claim);
    const auto left = notes_.may_show_for(*row.noted);
    const bool too_early = left > 0ms;
    std::optional<instantly::ApiError> refusal;
    CreateSearch::Seen seen;
    try {
        seen = co_await search_.look_for(row, too_early ? 1 : looks_before_belief);
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    if (refusal) co_return co_await verdicts_.fail(std::move(alone), refusal->failure());
    if (!seen.made && !seen.is_row_being_written && !too_early) {
        // Should it be there all the same, not listed, Instantly makes no second one in the same place, and none
        // elsewhere either, where the row has another by now, as long as it is asked for that; and what was sent
        // first stays noted, for that would be what it was made of.
        row.nowhere_else = !seen.others;
        UnbornRows again;
        again.push_back(std::move(row));
        co_return co_await add(std::move(again));
    }
    co_await context_.store.run([&](Transaction& transaction) {
        if (seen.made) transaction.leads.forget_creates({row.claim.id});
        transaction.queue.defer(alone, seen.made ? 0ms : seen.is_row_being_written ? context_.timing.busy : left);
    });
}

asio::awaitable<void> Creator::withdraw(Claims claims) {
    UnbornRows in_doubt;
    const auto known_since = notes_.ends_known_since();
    const auto now = context_.clock.wall();
    co_await context_.store.run([&](Transaction& transaction) {
        const auto noted = CreateNotes::noted_before(transaction, ids_of(claims), known_since, now);
        in_doubt.clear();
        Claims idle;
        for (const auto& claim : claims) {
            const auto found = noted.find(claim.id);
            if (found == noted.end() || !sync::present(found->second.email)) {
                idle.push_back(claim);
                continue;
            }
            UnbornRow row{claim, {}, found->second};
            row.local[Field::email] = found->second.email;
            in_doubt.push_back(std::move(row));
        }
        transaction.leads.forget_creates(ids_of(idle));
        transaction.queue.complete(idle);
    });
    auto settle_one = [this](UnbornRow& row) { return settle_withdrawn(std::move(row)); };
    co_await for_each_of(in_doubt, calls_at_once, settle_one);
}

asio::awaitable<void> Creator::settle_withdrawn(UnbornRow row) {
    Claims alone(1, row.claim);
    const auto left = notes_.may_show_for(*row.noted);
    std::optional<instantly::ApiError> refusal;
    CreateSearch::Seen seen;
    try {
        seen = co_await search_.look_for(row, left > 0ms ? 1 : looks_before_belief);
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    if (refusal) {
        // No row is there to tell on, and no edit to come: it is looked for until there is an answer.
        auto failure = refusal->failure();
        if (failure.kind == sync::FailureKind::lead) failure.kind = sync::FailureKind::transient;
        co_return co_await verdicts_.fail(std::move(alone), std::move(failure));
    }
    co_await context_.store.run([&](Transaction& transaction) {
        if (seen.made || left > 0ms) {
            transaction.queue.defer(alone, seen.made ? 0ms : left);
        } else {
            transaction.leads.forget_creates({row.claim.id});
            transaction.queue.complete(alone);
        }
    });
}

/// Leaves of the rows those that are noted.
asio::awaitable<void> Creator::note(Departure& departure) {
    departure.noted_at = context_.clock.now();
    const auto noted = co_await notes_.note(departure.rows);
    std::erase_if(departure.rows, [&](const auto& row) { return !noted.contains(row.claim.id.text); });
}

/// All of them, or the note is as old as it was: what the request says is settled.
asio::awaitable<void> Creator::note_anew(Departure& departure) {
    const auto now = context_.clock.now();
    const auto noted = co_await notes_.note(departure.rows);
    if (noted.size() == departure.rows.size()) departure.noted_at = now;
}

bool Creator::keeps(const Departure& departure) const {
    return context_.clock.now() - departure.noted_at <= context_.timing.look_keeps;
}

/// To Instantly, for as long as the note keeps: while a create waits for its turn its row may be deleted or set
/// elsewhere, and what is known of an earlier attempt grows old. Where the budget is so small that every turn comes
/// late, what leaves is noted anew when it has its turn.
instantly::Client Creator::way_of(Departure& departure) {
    const bool notes_anew = late_turns_.are_too_many();
    instantly::Gate gate =
        [this, &departure, notes_anew,
         turn_of = context_.pace.lane(sync::Lane::push)]() -> asio::awaitable<std::unique_ptr<instantly::Turn>> {
        auto turn = co_await turn_of();
        if (keeps(departure)) co_return turn;
        departure.turn_came_late = true;
        if (notes_anew) co_await note_anew(departure);
        co_return turn;
    };
    return context_.client.through(only_while([this, &departure] { return keeps(departure); }, std::move(gate)));
}

// --- leads with an email: /leads/add -------------------------------------------------------------------------------

asio::awaitable<void> Creator::add(UnbornRows rows) {
    const auto campaign = id_or_nothing<sync::CampaignId>(rows.front().local[Field::campaign]);
    const auto list = id_or_nothing<sync::ListId>(rows.front().local[Field::list_id]);
    Departure departure{std::move(rows)};
    auto& leaving = departure.rows;
    std::optional<sync::Failure> failure;
    bool in_doubt = false;
    bool is_put_off = false;
    instantly::AddedLeads answer;
    std::vector<instantly::Creation> creations;
    try {
        co_await adopt_existing(leaving);
        if (leaving.empty()) co_return;
        co_await note(departure);
        if (leaving.empty()) co_return;
        std::vector<nlohmann::json> bodies;
        for (const auto& row : leaving) {
            creations.push_back(instantly::creation_of(row.local));
            bodies.push_back(creations.back().body);
        }
        const auto where =
            leaving.front().nowhere_else ? instantly::Unless::in_workspace : instantly::Unless::in_target;
        auto client = way_of(departure);
        answer = co_await client.add_leads(campaign, list, std::move(bodies), where);
    } catch (const TurnCameLate&) {
        is_put_off = true;
    } catch (const instantly::ApiError& error) {
        failure = error.failure();
        in_doubt = error.in_doubt();
    }
    const bool it_came_to_the_create = !creations.empty();
    if (it_came_to_the_create) late_turns_.count(departure.turn_came_late, !departure.turn_came_late);
    if (is_put_off) co_return co_await notes_.put_back(std::move(leaving));
    if (!failure) co_return co_await settle_added(std::move(leaving), std::move(creations), std::move(answer));
    if (it_came_to_the_create) co_await notes_.ended(leaving, in_doubt);
    // One bad lead must not take the others of its target down with it.
    if (failure->kind == sync::FailureKind::lead && leaving.size() > 1) {
        for (auto& row : leaving) {
            UnbornRows alone;
            alone.push_back(std::move(row));
            co_await add(std::move(alone));
        }
        co_return;
    }
    Claims claims;
    for (const auto& row : leaving) claims.push_back(row.claim);
    co_await verdicts_.fail(std::move(claims), *failure);
}

asio::awaitable<void> Creator::settle_added(UnbornRows rows, std::vector<instantly::Creation> creations,
                                            instantly::AddedLeads answer) {
    std::vector<store::Creation> created;
    std::vector<store::HistoryEntry> history;
    std::unordered_set<std::size_t> done;
    Claims read_back;
    for (const auto& lead : answer.created) {
        if (lead.index >= rows.size() || !done.insert(lead.index).second) continue;
        const auto& row = rows[lead.index];
        created.push_back({row.claim.id, lead.id, creations[lead.index].expected, creations[lead.index].place});
        history.push_back({row.claim.id, "", std::nullopt, row.local[Field::email], sync::Side::local, "created",
                           "POST /leads/add"});
        read_back.push_back(row.claim);
    }
    const bool may_be_there = answer.duplicated > 0 || (rows.front().nowhere_else && answer.skipped > 0);
    Claims left;
    std::vector<sync::LeadId> known;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (!done.contains(i)) left.push_back(rows[i].claim);
        // One that counts as there already may be what an earlier try has made.
        if (done.contains(i) || !may_be_there) known.push_back(rows[i].claim.id);
    }
    Claims written;
    co_await context_.store.run([&](Transaction& transaction) {
        // A row that somebody is writing is not waited for, nor do the others: its lead is found by its note.
        const auto taken = transaction.leads.lock_free(ids_of(read_back));
        const auto is_taken = [&](const sync::LeadId& id) { return taken.contains(id.text); };
        std::ranges::copy_if(read_back, std::back_inserter(written), is_taken, &store::Claim::id);
        std::erase_if(read_back, [&](const auto& claim) { return is_taken(claim.id); });
        std::erase_if(created, [&](const auto& creation) { return is_taken(creation.id); });
        std::erase_if(history, [&](const auto& entry) { return is_taken(entry.lead); });
        std::erase_if(known, is_taken);
        transaction.leads.created(created, context_.timing.patience, context_.clock.wall());
        transaction.leads.forget_creates(known);
        transaction.leads.add_history(history);
        transaction.queue.defer_together(read_back, context_.timing.read_back);
        transaction.queue.defer(written, context_.timing.busy);
    });
    if (!created.empty()) co_await verdicts_.release_creates();
    if (left.empty()) co_return;
    // An answer tells counts, not which; a lead that was refused twice was alone the second time. One that is there
    // already but not listed yet is found by a later look.
    const auto reason = fmt::format(
        "Instantly did not create this lead: {} already there, {} skipped, {} invalid email, {} incomplete, "
        "{} on the block list",
        answer.duplicated + answer.duplicate_in_request, answer.skipped, answer.invalid_email, answer.incomplete,
        answer.in_blocklist);
    constexpr int alone_max = 2;
    constexpr int there_max = 8;
    Claims again;
    Claims hopeless;
    for (const auto& claim : left)
        (claim.attempts < (may_be_there ? there_max : alone_max) ? again : hopeless).push_back(claim);
    const sync::Failure not_created{.kind = sync::FailureKind::transient, .message = reason};
    co_await verdicts_.fail(std::move(again), not_created);
    co_await verdicts_.give_up(std::move(hopeless), reason);
}

/// Leads that Instantly has already, by email and target, are tied to their rows instead of being made again: the
/// answer of an earlier create may have been lost.
asio::awaitable<void> Creator::adopt_existing(UnbornRows& rows) {
    const auto requested_at = context_.clock.wall();
    instantly::LeadQuery query{.campaign = id_or_nothing<sync::CampaignId>(rows.front().local[Field::campaign]),
                               .list = id_or_nothing<sync::ListId>(rows.front().local[Field::list_id])};
    for (const auto& row : rows) query.contacts.push_back(*row.local[Field::email]);
    auto page = co_await context_.client.list_leads(query);
    if (page.leads.empty()) co_return;
    auto observations = observations_of(page, requested_at, context_.clock.wall());
    auto options = context_.observing;
    const auto result = co_await context_.store.run([&](Transaction& transaction) {
        return observe(transaction, std::move(observations), options, context_.clock.wall());
    });
    std::unordered_set<std::string> adopted;
    for (const auto& lead : result.merged) adopted.insert(lead.id.text);
    Claims known;
    for (const auto& row : rows)
        if (adopted.contains(row.claim.id.text)) known.push_back(row.claim);
    std::erase_if(rows, [&](const auto& row) { return adopted.contains(row.claim.id.text); });
    co_await context_.store.run([&](Transaction& transaction) { transaction.queue.defer(known, 0ms); });
}

// --- leads without one: POST /leads --------------------------------------------------------------------------------

/// One that may have been carried out is looked for, once a read can't lag behind it any more, before it is sent
/// again.
asio::awaitable<void> Creator::post(UnbornRow row) {
    Claims alone(1, row.claim);
    if (row.noted && notes_.may_not_show_yet(*row.noted))
        co_return co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(alone, context_.timing.read_back); });
    std::optional<instantly::ApiError> refusal;
    std::optional<sync::RemoteLead> lead;
    const auto creation = instantly::creation_of(row.local);
    Departure departure;
    bool is_put_off = false;
    CreateSearch::Seen seen;
    const auto is_told = [](const CreateSearch::Seen& look) { return look.made || look.is_row_being_written; };
    try {
        for (int looks = row.noted ? looks_before_belief : 0; looks > 0 && !is_told(seen); --looks) {
            seen = co_await search_.find_posted(row);
            if (!is_told(seen) && looks > 1) co_await context_.clock.sleep_for(context_.timing.read_back);
        }
        if (!is_told(seen)) {
            departure.rows.push_back(row);
            co_await note(departure);
            if (departure.rows.empty()) co_return;
            auto body = creation.body;
            const auto& list = row.local[Field::list_id];
            body["list_id"] = *list;
            auto client = way_of(departure);
            lead = co_await client.create_lead(std::move(body));
        }
    } catch (const TurnCameLate&) {
        is_put_off = true;
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    const bool it_came_to_the_create = !departure.rows.empty();
    if (it_came_to_the_create) late_turns_.count(departure.turn_came_late, !departure.turn_came_late);
    if (is_put_off) co_return co_await notes_.put_back(std::move(departure.rows));
    if (lead) co_return co_await tie(std::move(row), creation, lead->id);
    if (!refusal) {  // found, and adopted, or to be looked for once more
        const auto delay = seen.made ? 0ms : context_.timing.busy;
        co_return co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(alone, delay); });
    }
    if (it_came_to_the_create) co_await notes_.ended(departure.rows, refusal->in_doubt());
    co_await verdicts_.fail(std::move(alone), refusal->failure());
}

asio::awaitable<void> Creator::tie(UnbornRow row, instantly::Creation creation, sync::InstantlyId lead) {
    std::vector<store::Creation> created;
    created.push_back({row.claim.id, std::move(lead), std::move(creation.expected), std::move(creation.place)});
    std::vector<store::HistoryEntry> history;
    history.push_back({row.claim.id, "", std::nullopt, std::nullopt, sync::Side::local, "created", "POST /leads"});
    co_await context_.store.run([&](Transaction& transaction) {
        transaction.leads.created(created, context_.timing.patience, context_.clock.wall());
        transaction.leads.add_history(history);
        transaction.leads.forget_creates({row.claim.id});
        transaction.queue.defer({row.claim}, context_.timing.read_back);
    });
    co_await verdicts_.release_creates();
}

}  // namespace leadsync::daemon
