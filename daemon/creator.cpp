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
using store::Claim;
using store::Transaction;
using sync::Field;

bool present(const sync::Value& value) { return value && !value->empty(); }

/// Why no call can create the row as it is; empty when one can.
std::string hindrance(const sync::Content& local) {
    const bool to_campaign = present(local[Field::campaign]);
    if (to_campaign && present(local[Field::list_id]))
        return "a new lead goes to a campaign or to a list: set one of campaign and list_id to NULL";
    if (to_campaign && !present(local[Field::email]))
        return "a lead in a campaign needs an email: insert it again with one";
    return {};
}

sync::Value value_of(const sync::Content& content, const sync::Key& key) {
    if (const auto name = sync::variable_of(key)) return sync::text_of(content.custom_variables, *name);
    const auto field = sync::field_named(key);
    return field ? content[*field] : std::nullopt;
}

}  // namespace

asio::awaitable<void> Creator::create(Claims claims) {
    std::vector<store::LocalRow> rows;
    std::map<sync::LeadId, sync::Instant> attempted;
    co_await context_.store.run([&](Transaction& transaction) {
        rows = transaction.leads.rows(ids_of(claims));
        attempted = transaction.leads.noted_creates(ids_of(claims));
    });
    std::unordered_map<std::string, sync::Content> contents;
    for (auto& row : rows) contents.emplace(row.id.text, std::move(row.content));

    Claims idle;
    std::map<std::string, Claims> refused;
    std::map<std::string, Rows> by_target;
    Rows to_post;
    for (const auto& claim : claims) {
        const auto found = contents.find(claim.id.text);
        const bool anywhere = found != contents.end()
                              && (present(found->second[Field::campaign]) || present(found->second[Field::list_id]));
        if (!anywhere) {
            idle.push_back(claim);
            continue;
        }
        const auto& local = found->second;
        const auto& campaign = local[Field::campaign];
        if (claim.approval == store::Approval::rejected)
            refused["its creation was rejected; edit the row to ask again"].push_back(claim);
        else if (auto reason = hindrance(local); !reason.empty())
            refused[std::move(reason)].push_back(claim);
        else if (!present(local[Field::email]))
            to_post.push_back({claim, local});
        else  // One that failed before goes alone, so that the answer's counts are about it.
            by_target[(present(campaign) ? "c" + *campaign : "l" + *local[Field::list_id])
                      + (claim.attempts > 0 ? claim.id.text : "")]
                .push_back({claim, local});
    }
    co_await context_.store.run([&](Transaction& transaction) { transaction.queue.complete(idle); });
    for (auto& [reason, leads] : refused) co_await verdicts_.give_up(leads, reason);
    for (auto& [target, leads] : by_target) co_await add(std::move(leads));
    for (auto& row : to_post) {
        const auto noted = attempted.find(row.claim.id);
        const auto at = noted == attempted.end() ? std::nullopt : std::optional{noted->second};
        co_await post(std::move(row), at);
    }
}

// --- leads with an email: /leads/add -------------------------------------------------------------------------------

asio::awaitable<void> Creator::add(Rows rows) {
    const auto campaign = id_or_nothing<sync::CampaignId>(rows.front().local[Field::campaign]);
    const auto list = id_or_nothing<sync::ListId>(rows.front().local[Field::list_id]);
    std::optional<sync::Failure> failure;
    instantly::AddedLeads answer;
    std::vector<instantly::Creation> creations;
    try {
        co_await adopt_existing(rows);
        if (rows.empty()) co_return;
        std::vector<nlohmann::json> bodies;
        for (const auto& row : rows) {
            creations.push_back(instantly::creation_of(row.local));
            bodies.push_back(creations.back().body);
        }
        answer = co_await context_.client.add_leads(campaign, list, std::move(bodies));
    } catch (const instantly::ApiError& error) {
        failure = error.failure();
    }
    if (!failure) co_return co_await settle_added(std::move(rows), std::move(creations), std::move(answer));
    Claims claims;
    for (const auto& row : rows) claims.push_back(row.claim);
    // One bad lead must not take the others of its target down with it.
    if (failure->kind == sync::FailureKind::lead && rows.size() > 1) {
        for (auto& row : rows) {
            Rows alone;
            alone.push_back(std::move(row));
            co_await add(std::move(alone));
        }
        co_return;
    }
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
        created.push_back({row.claim.id, lead.id, creations[lead.index].expected});
        history.push_back({row.claim.id, "", std::nullopt, row.local[Field::email], sync::Side::local, "created",
                           "POST /leads/add"});
        read_back.push_back(row.claim);
    }
    Claims left;
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (!done.contains(i)) left.push_back(rows[i].claim);
    co_await context_.store.run([&](Transaction& transaction) {
        transaction.leads.created(created, context_.timing.patience, context_.clock.wall());
        transaction.leads.add_history(history);
        transaction.queue.defer(read_back, context_.timing.read_back);
    });
    if (left.empty()) co_return;
    // An answer tells counts, not which; a lead that was refused twice was alone the second time. One that is there
    // already but not listed yet is found by a later look.
    const auto reason = fmt::format(
        "Instantly did not create this lead: {} already there, {} skipped, {} invalid email, {} incomplete, "
        "{} on the block list",
        answer.duplicated + answer.duplicate_in_request, answer.skipped, answer.invalid_email, answer.incomplete,
        answer.in_blocklist);
    const bool may_be_there = answer.duplicated > 0;
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

/// Not safe to repeat, so it is noted before it leaves. One that may have been carried out is looked for, once a read
/// can't lag behind it any more, before it is sent again.
asio::awaitable<void> Creator::post(Row row, std::optional<sync::Instant> attempted_at) {
    auto creation = instantly::creation_of(row.local);
    const auto now = context_.clock.wall();
    Claims alone(1, row.claim);
    std::optional<instantly::ApiError> refusal;
    std::optional<sync::RemoteLead> lead;
    bool sent = false;
    try {
        if (attempted_at && now - *attempted_at < context_.timing.patience)
            co_return co_await context_.store.run(
                [&](Transaction& transaction) { transaction.queue.defer(alone, context_.timing.read_back); });
        if (attempted_at) lead = co_await find_posted(row.local, *attempted_at);
        if (!lead) {
            co_await context_.store.run(
                [&](Transaction& transaction) { transaction.leads.note_create({row.claim.id}, now); });
            sent = true;
            auto body = creation.body;
            const auto& list = row.local[Field::list_id];
            body["list_id"] = *list;
            lead = co_await context_.client.create_lead(std::move(body));
        }
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    if (!refusal) co_return co_await tie(std::move(row), std::move(creation), lead->id);
    if (sent && !refusal->in_doubt() && !attempted_at)
        co_await context_.store.run(
            [&](Transaction& transaction) { transaction.leads.forget_create({row.claim.id}); });
    co_await verdicts_.fail(std::move(alone), refusal->failure());
}

asio::awaitable<void> Creator::tie(Row row, instantly::Creation creation, sync::InstantlyId lead) {
    std::vector<store::Creation> created;
    created.push_back({row.claim.id, std::move(lead), std::move(creation.expected)});
    std::vector<store::HistoryEntry> history;
    history.push_back({row.claim.id, "", std::nullopt, std::nullopt, sync::Side::local, "created", "POST /leads"});
    co_await context_.store.run([&](Transaction& transaction) {
        transaction.leads.created(created, context_.timing.patience, context_.clock.wall());
        transaction.leads.add_history(history);
        transaction.leads.forget_create({row.claim.id});
        transaction.queue.defer({row.claim}, context_.timing.read_back);
    });
}

/// A lead of the row's list that was made since then, has no email, shows all that was sent, and stands for no row
/// yet.
asio::awaitable<std::optional<sync::RemoteLead>> Creator::find_posted(sync::Content local, sync::Instant since) {
    const auto sent = instantly::creation_of(local).expected;
    const auto first = sync::first_id_at(since - 1min);  // our clock need not be theirs
    instantly::LeadQuery query{.list = id_or_nothing<sync::ListId>(local[Field::list_id])};
    query.after = first;
    for (;;) {
        std::optional<instantly::ApiError> refusal;
        instantly::LeadPage page;
        try {
            page = co_await context_.client.list_leads(query);
        } catch (const instantly::ApiError& error) {
            refusal = error;
        }
        if (refusal) {
            // A made-up cursor may be refused: then the list is read from its start.
            if (refusal->failure().kind != sync::FailureKind::lead || query.after != first) throw *refusal;
            query.after.reset();
            continue;
        }
        for (auto& lead : page.leads) {
            if (!sync::is_time_ordered(lead.id) || lead.id.text < first || present(lead.content[Field::email]))
                continue;
            const bool shows_all = std::ranges::all_of(sent, [&](const auto& value) {
                return sync::agree(value_of(lead.content, value.first), value.second);
            });
            if (!shows_all) continue;
            std::vector<sync::InstantlyId> id{lead.id};
            const auto taken =
                co_await context_.store.run([&](Transaction& transaction) { return transaction.leads.look_up(id); });
            // One that a page has brought in as a row of its own gives way in created().
            const auto held = taken.find(lead.id.text);
            if (held == taken.end() || held->second.id.text == lead.id.text) co_return std::move(lead);
        }
        if (!page.next) co_return std::nullopt;
        query.after = page.next;
    }
}

}  // namespace leadsync::daemon
