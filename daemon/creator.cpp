#include "daemon/creator.hpp"

#include <algorithm>
#include <map>
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

store::NotedCreate note_of(const sync::Content& local, sync::Instant now) {
    store::NotedCreate create{now, local[Field::campaign], local[Field::list_id],
                              instantly::creation_of(local).expected};
    create.email = local[Field::email];
    return create;
}

/// What is noted of earlier attempts. A process that died, or whose store failed, has not written down when they
/// ended: of those noted before `known_since` it may have been as late as that. One that ended in the future, by a
/// clock that was set back since, is taken to have ended just now.
std::map<sync::LeadId, store::NotedCreate> noted_before(Transaction& transaction,
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

}  // namespace

asio::awaitable<void> Creator::create(Claims claims) {
    try {
        co_await create_rows(std::move(claims));
    } catch (const store::StoreError&) {
        ends_known_since_ = context_.clock.wall();  // some may have left, and what became of them is not written down
        throw;
    }
}

sync::Instant Creator::ends_known_since() {
    if (!ends_known_since_) ends_known_since_ = context_.clock.wall();  // what is noted is an earlier process's
    return *ends_known_since_;
}

asio::awaitable<void> Creator::create_rows(Claims claims) {
    std::vector<store::LocalRow> rows;
    std::map<sync::LeadId, store::NotedCreate> noted;
    const auto known_since = ends_known_since();
    const auto now = context_.clock.wall();
    co_await context_.store.run([&](Transaction& transaction) {
        rows = transaction.leads.rows(ids_of(claims));
        noted = noted_before(transaction, ids_of(claims), known_since, now);
    });
    std::unordered_map<std::string, sync::Content> contents;
    for (auto& row : rows) contents.emplace(row.id.text, std::move(row.content));

    Claims idle;
    std::map<std::string, Claims> refused;
    std::map<std::string, Rows> by_target;
    Rows to_post;
    Rows in_doubt;
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
        Row row{claim, local, {}, {}};
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
    auto resume_one = [this](Row& row) { return resume(std::move(row)); };
    co_await for_each_of(in_doubt, calls_at_once, resume_one);
    for (auto& [target, leads] : by_target) co_await add(std::move(leads));
    for (auto& row : to_post) co_await post(std::move(row));
}

/// A create has left, and its outcome is not known. If it was made it is adopted, wherever it is by now: somebody may
/// have moved it already. Made again, it would be two, and the person mailed twice.
asio::awaitable<Creator::Seen> Creator::look_for(const Row& row, int looks) {
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

/// One look at once, which mostly finds it; that it was not made is believed only when reads can't lag any more, and
/// not from a single answer.
asio::awaitable<void> Creator::resume(Row row) {
    Claims alone(1, row.claim);
    const auto left = may_show_for(*row.noted);
    const bool too_early = left > 0ms;
    std::optional<instantly::ApiError> refusal;
    Seen seen;
    try {
        seen = co_await look_for(row, too_early ? 1 : looks_before_belief);
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    if (refusal) co_return co_await verdicts_.fail(std::move(alone), refusal->failure());
    if (!seen.made && !seen.is_row_being_written && !too_early) {
        // Should it be there all the same, not listed, Instantly makes no second one in the same place, and none
        // elsewhere either, where the row has another by now, as long as it is asked for that; and what was sent
        // first stays noted, for that would be what it was made of.
        row.nowhere_else = !seen.others;
        Rows again;
        again.push_back(std::move(row));
        co_return co_await add(std::move(again));
    }
    co_await context_.store.run([&](Transaction& transaction) {
        if (seen.made) transaction.leads.forget_creates({row.claim.id});
        transaction.queue.defer(alone, seen.made ? 0ms : seen.is_row_being_written ? context_.timing.busy : left);
    });
}

asio::awaitable<void> Creator::withdraw(Claims claims) {
    Rows in_doubt;
    const auto known_since = ends_known_since();
    const auto now = context_.clock.wall();
    co_await context_.store.run([&](Transaction& transaction) {
        const auto noted = noted_before(transaction, ids_of(claims), known_since, now);
        in_doubt.clear();
        Claims idle;
        for (const auto& claim : claims) {
            const auto found = noted.find(claim.id);
            if (found == noted.end() || !sync::present(found->second.email)) {
                idle.push_back(claim);
                continue;
            }
            Row row{claim, {}, found->second};
            row.local[Field::email] = found->second.email;
            in_doubt.push_back(std::move(row));
        }
        transaction.leads.forget_creates(ids_of(idle));
        transaction.queue.complete(idle);
    });
    auto settle_one = [this](Row& row) { return settle_withdrawn(std::move(row)); };
    co_await for_each_of(in_doubt, calls_at_once, settle_one);
}

asio::awaitable<void> Creator::settle_withdrawn(Row row) {
    Claims alone(1, row.claim);
    const auto left = may_show_for(*row.noted);
    std::optional<instantly::ApiError> refusal;
    Seen seen;
    try {
        seen = co_await look_for(row, left > 0ms ? 1 : looks_before_belief);
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

/// How long reads may lag behind what a create has made.
std::chrono::milliseconds Creator::may_show_for(const store::NotedCreate& create) const {
    const auto& patience = context_.timing.patience;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(create.last_at + patience - context_.clock.wall());
    return std::min(left, patience);
}

/// Rows that are to go elsewhere by now. One that is to be nowhere any more is no edit to be sent, so that no
/// generation tells of it.
std::unordered_set<std::string> Creator::moved_meanwhile(Transaction& transaction, const Rows& rows) {
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

/// Before creates leave: noted. A row with an email keeps the note of its first attempt, for what that may have made
/// is known by being as young as the note; one without is noted anew, for it is known by what was sent. A row that a
/// page has tied to its lead meanwhile is not made again, one that was edited meanwhile not as it was, and none whose
/// lease is over: another batch may be making it. Looking for what others of the batch have made can take minutes.
/// Returns which are noted.
asio::awaitable<std::unordered_set<std::string>> Creator::note(Rows& rows) {
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

/// Leaves of the rows those that are noted.
asio::awaitable<void> Creator::note(Departure& departure) {
    departure.noted_at = context_.clock.now();
    const auto noted = co_await note(departure.rows);
    std::erase_if(departure.rows, [&](const auto& row) { return !noted.contains(row.claim.id.text); });
}

/// All of them, or the note is as old as it was: what the request says is settled.
asio::awaitable<void> Creator::note_anew(Departure& departure) {
    const auto now = context_.clock.now();
    const auto noted = co_await note(departure.rows);
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

/// Creates that did not leave, since their turn came late: their rows are looked at anew, at once.
asio::awaitable<void> Creator::put_back(Rows rows) {
    Claims claims;
    for (const auto& row : rows) claims.push_back(row.claim);
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        take_back(transaction, rows);
        return transaction.queue.give_back(claims, 0ms);
    });
    verdicts_.look_again_later(std::move(taken));
}

/// Creates that failed. What may have been carried out all the same counts from now on.
asio::awaitable<void> Creator::ended(const Rows& rows, bool in_doubt) {
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
void Creator::take_back(Transaction& transaction, const Rows& rows) {
    std::map<sync::LeadId, store::UnsentCreate> unsent;
    for (const auto& row : rows) unsent.emplace(row.claim.id, store::UnsentCreate{row.noted_at, row.noted});
    transaction.leads.take_back_creates(unsent);
}

bool Creator::may_not_show_yet(const store::NotedCreate& create) const { return may_show_for(create) > 0ms; }

// --- leads with an email: /leads/add -------------------------------------------------------------------------------

asio::awaitable<void> Creator::add(Rows rows) {
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
    if (is_put_off) co_return co_await put_back(std::move(leaving));
    if (!failure) co_return co_await settle_added(std::move(leaving), std::move(creations), std::move(answer));
    if (it_came_to_the_create) co_await ended(leaving, in_doubt);
    // One bad lead must not take the others of its target down with it.
    if (failure->kind == sync::FailureKind::lead && leaving.size() > 1) {
        for (auto& row : leaving) {
            Rows alone;
            alone.push_back(std::move(row));
            co_await add(std::move(alone));
        }
        co_return;
    }
    Claims claims;
    for (const auto& row : leaving) claims.push_back(row.claim);
    co_await verdicts_.fail(std::move(claims), *failure);
}

asio::awaitable<void> Creator::settle_added(Rows rows, std::vector<instantly::Creation> creations,
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
asio::awaitable<void> Creator::adopt_existing(Rows& rows) {
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
asio::awaitable<void> Creator::post(Row row) {
    Claims alone(1, row.claim);
    if (row.noted && may_not_show_yet(*row.noted))
        co_return co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(alone, context_.timing.read_back); });
    std::optional<instantly::ApiError> refusal;
    std::optional<sync::RemoteLead> lead;
    const auto creation = instantly::creation_of(row.local);
    Departure departure;
    bool is_put_off = false;
    Seen seen;
    const auto is_told = [](const Seen& look) { return look.made || look.is_row_being_written; };
    try {
        for (int looks = row.noted ? looks_before_belief : 0; looks > 0 && !is_told(seen); --looks) {
            seen = co_await find_posted(row);
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
    if (is_put_off) co_return co_await put_back(std::move(departure.rows));
    if (lead) co_return co_await tie(std::move(row), creation, lead->id);
    if (!refusal) {  // found, and adopted, or to be looked for once more
        const auto delay = seen.made ? 0ms : context_.timing.busy;
        co_return co_await context_.store.run(
            [&](Transaction& transaction) { transaction.queue.defer(alone, delay); });
    }
    if (it_came_to_the_create) co_await ended(departure.rows, refusal->in_doubt());
    co_await verdicts_.fail(std::move(alone), refusal->failure());
}

asio::awaitable<void> Creator::tie(Row row, instantly::Creation creation, sync::InstantlyId lead) {
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

/// Reads the leads that the noted create's list has got since then; the merge adopts the one that shows what was
/// sent.
asio::awaitable<Creator::Seen> Creator::find_posted(const Row& row) {
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

asio::awaitable<bool> Creator::takes_made_up_cursors() {
    if (!unknown_cursor_) {
        Pages pages{context_.client, context_.workspace, instantly::page_limit_max};
        instantly::LeadQuery from_first;
        const auto first = co_await pages.fetch(from_first);
        unknown_cursor_ = co_await pages.try_unknown_cursor(first);
    }
    co_return unknown_cursor_ == UnknownCursor::accepted;
}

}  // namespace leadsync::daemon
