#include "daemon/pusher.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"
#include "connectors/instantly/write_bodies.hpp"
#include "connectors/postgres/workspaces.hpp"
#include "daemon/observer.hpp"
#include "daemon/pusher_sending.hpp"

namespace leadsync::daemon {
namespace {

using postgres::Claim;
using postgres::Work;
using std::chrono::milliseconds;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int batch_size = 100;     // ids in one look-up
constexpr std::size_t workers = 4;  // a batch that waits for a slow answer or a move leaves the others free
constexpr std::size_t calls_at_once = 16;
constexpr int lost_writes_max = 5;  // a write that never shows is given up on after so many sendings

std::vector<Claim> of_kind(const std::vector<Claim>& claims, Work work) {
    std::vector<Claim> found;
    std::ranges::copy_if(claims, std::back_inserter(found), [&](const auto& claim) { return claim.work == work; });
    return found;
}

template <class Parts>
std::string joined(const Parts& parts) {
    std::string text;
    for (const auto& part : parts) (text += text.empty() ? "" : "; ") += part;
    return text;
}

/// The campaigns and lists that a move holds while it runs.
std::vector<std::string> places_of(const sync::MoveIntent& intent) {
    std::vector<std::string> places;
    for (const auto* place : {&intent.from_campaign, &intent.from_list, &intent.to_campaign, &intent.to_list})
        if (*place) places.push_back(**place);
    return places;
}

milliseconds left_until(Clock::time_point until) {
    return std::max(0ms, std::chrono::ceil<milliseconds>(until - Clock::now()));
}

template <class Id>
std::optional<Id> id_or_nothing(const sync::Value& value) {
    return value ? std::optional{Id{*value}} : std::nullopt;
}

}  // namespace

/// What a look-up by ids came to.
struct Pusher::LookUp {
    std::unordered_map<std::string, postgres::MergedLead> merged;  ///< by our id
    std::unordered_set<std::string> gone;                          ///< by their id: listed nowhere, and 404
};

Pusher::Pusher(instantly::Client& client, postgres::Database& database, const postgres::Mirror& mirror,
               WorkspaceState& state, Pace& pace, Signal& edited, sync::LocalDeletes local_deletes,
               PusherTiming timing)
    : client_{client},
      database_{database},
      mirror_{mirror},
      state_{state},
      pace_{pace},
      edited_{edited},
      local_deletes_{local_deletes},
      timing_{timing},
      queue_{mirror.workspace()} {}

void Pusher::stop() {
    stopping_ = true;
    for (std::size_t i = 0; i < workers; ++i) edited_.set();
}

asio::awaitable<void> Pusher::run() {
    std::vector<asio::awaitable<void>> tasks;
    for (std::size_t i = 0; i < workers; ++i) tasks.push_back(worker());
    co_await all(std::move(tasks));
}

asio::awaitable<void> Pusher::worker() {
    while (!stopping_) {
        const auto wait = co_await work_once();
        if (wait > 0ms && !stopping_) co_await edited_.wait_for(wait);
    }
}

asio::awaitable<void> Pusher::drain() {
    while (!stopping_) {
        const auto pending =
            co_await database_.run([&](pqxx::work& transaction) { return queue_.pending(transaction); });
        if (pending == 0) co_return;
        const auto wait = co_await work_once();
        if (wait > 0ms) co_await edited_.wait_for(wait);
    }
}

/// Claims and settles one batch. How long to wait before the next; zero: there may be more.
asio::awaitable<milliseconds> Pusher::work_once() {
    if (const auto paused = left_until(paused_until_); paused > 0ms) co_return paused;
    Claims claims;
    milliseconds wait = timing_.poll;
    std::exception_ptr failed;
    try {
        claims = co_await database_.run([&](pqxx::work& transaction) {
            const bool creates_too = creates_held_until_ <= Clock::now()
                                     && postgres::Workspaces::is_backfilled(transaction, mirror_.workspace());
            auto claimed = queue_.claim(transaction, batch_size, timing_.lease, creates_too);
            if (claimed.empty())
                if (const auto due = queue_.next_due(transaction, creates_too))
                    wait = std::clamp(*due, 5ms, timing_.poll);
            return claimed;
        });
        if (claims.empty()) co_return wait;
        if (claims.size() == batch_size) edited_.set();
        co_await settle(claims);
        co_return 0ms;
    } catch (const pqxx::failure& error) {
        spdlog::warn("workspace {}: queue: {}", mirror_.workspace(), failure_of(error).message);
        failed = std::current_exception();
    }
    co_await give_back(std::move(claims));
    co_return 1s;
}

/// After a failed transaction, as soon as the database is there again.
asio::awaitable<void> Pusher::give_back(Claims claims) {
    for (int attempt = 1;; ++attempt) {
        try {
            co_return co_await database_.run(
                [&](pqxx::work& transaction) { queue_.defer(transaction, claims, timing_.busy); });
        } catch (const pqxx::failure& error) {
            spdlog::warn("workspace {}: {}", mirror_.workspace(), failure_of(error).message);
        }
        co_await sleep_for(sync::backoff_delay({500ms, 10s}, attempt, draw_jitter()));
    }
}

asio::awaitable<void> Pusher::settle(Claims claims) {
    if (const auto idle = of_kind(claims, Work::nothing); !idle.empty())
        co_await database_.run([&](pqxx::work& transaction) { queue_.complete(transaction, idle); });
    if (auto removals = of_kind(claims, Work::remove); !removals.empty()) co_await remove(std::move(removals));
    if (auto known = of_kind(claims, Work::reconcile); !known.empty()) co_await reconcile(std::move(known));
    if (auto unborn = of_kind(claims, Work::create); !unborn.empty()) co_await create(std::move(unborn));
}

// --- look, merge, plan ---------------------------------------------------------------------------------------------

asio::awaitable<void> Pusher::reconcile(Claims claims) {
    LookUp seen;
    std::optional<sync::Failure> failure;
    try {
        seen = co_await look_up(claims);
    } catch (const instantly::ApiError& error) {
        failure = error.failure();
    }
    if (failure) {
        // One bad lead must not take the batch down with it.
        if (failure->kind == sync::FailureKind::lead && claims.size() > 1)
            for (const auto& claim : claims) co_await reconcile(Claims(1, claim));
        else
            co_await fail(std::move(claims), *failure);
        co_return;
    }

    Claims finished;
    Claims gone;
    Claims later;
    std::map<std::string, std::string> refused;
    std::vector<Sending> sendings;
    for (const auto& claim : claims) {
        const auto found = seen.merged.find(claim.id.text);
        if (found == seen.merged.end()) {
            const bool missing = seen.gone.contains(claim.instantly_id.text);
            (missing && !claim.expecting ? gone : later).push_back(claim);
            continue;
        }
        const auto& result = found->second.result;
        Sending sending{.claim = claim,
                        .instantly_id = found->second.instantly_id,
                        .local = result.local,
                        .plan = sync::plan_push(result),
                        .lost = result.lost};
        if (!sending.lost.empty() && claim.resends + 1 >= lost_writes_max)
            refused[claim.id.text] =
                "sent " + joined(sending.lost) + " " + std::to_string(claim.resends + 1)
                + " times, and Instantly still shows the old value; edit the lead to have it sent again";
        else if (!sending.plan.empty())
            sendings.push_back(std::move(sending));
        else if (!sending.plan.refused.empty() && result.awaited.empty())
            refused[claim.id.text] = joined(sending.plan.refused);
        else if (!result.awaited.empty())
            later.push_back(claim);
        else
            finished.push_back(claim);
    }

    co_await database_.run([&](pqxx::work& transaction) {
        for (const auto& [id, reason] : refused) mirror_.mark_error(transaction, {id}, reason);
        queue_.complete(transaction, finished);
        queue_.defer(transaction, later, timing_.read_back);
        for (const auto& claim : claims)
            if (const auto reason = refused.find(claim.id.text); reason != refused.end())
                queue_.dead_letter(transaction, claim, reason->second);
    });
    if (!gone.empty()) co_await give_up_on(std::move(gone), "Instantly no longer has this lead (404)");
    if (!sendings.empty()) co_await send(std::move(sendings));
}

asio::awaitable<Pusher::LookUp> Pusher::look_up(const Claims& claims) {
    const auto requested_at = now();
    instantly::LeadQuery query;
    std::unordered_set<std::string> missing;
    for (const auto& claim : claims) {
        query.ids.push_back(claim.instantly_id);
        missing.insert(claim.instantly_id.text);
    }
    auto page = co_await client_.list_leads(query);
    LookUp outcome;
    for (const auto& lead : page.leads) missing.erase(lead.id.text);
    // A listing may hide a lead that is there.
    for (const auto& id : missing) {
        sync::InstantlyId wanted{id};
        auto lead = co_await client_.get_lead(std::move(wanted));
        if (lead)
            page.leads.push_back(std::move(*lead));
        else
            outcome.gone.insert(id);
    }
    auto observations = observations_of(std::move(page.leads), requested_at);
    auto result = co_await database_.run([&](pqxx::work& transaction) {
        return mirror_.observe(transaction, std::move(observations), postgres::Observe::everything);
    });
    for (auto& lead : result.merged) {
        auto id = lead.id.text;
        outcome.merged.emplace(std::move(id), std::move(lead));
    }
    co_return outcome;
}

asio::awaitable<void> Pusher::give_up_on(Claims claims, std::string reason) {
    for (const auto& claim : claims)
        spdlog::error("workspace {}: lead {}: {}; given up until its next edit", mirror_.workspace(), claim.id.text,
                      reason);
    co_await database_.run([&](pqxx::work& transaction) {
        for (const auto& claim : claims) mirror_.mark_error(transaction, claim.id, reason);
        for (const auto& claim : claims) queue_.dead_letter(transaction, claim, reason);
    });
}

// --- send ----------------------------------------------------------------------------------------------------------

asio::awaitable<void> Pusher::send(std::vector<Sending> sendings) {
    reserve_moves(sendings);
    std::map<sync::LeadId, std::map<sync::Key, sync::Value>> staying;
    std::map<sync::LeadId, std::map<sync::Key, sync::Value>> moving;
    std::map<sync::MoveIntent, std::vector<Sending*>> moves;
    for (auto& sending : sendings) {
        (sending.plan.move ? moving : staying)[sending.claim.id] = sending.expected();
        if (sending.plan.move) moves[*sending.plan.move].push_back(&sending);
    }
    co_await database_.run([&](pqxx::work& transaction) {
        mirror_.expect(transaction, staying, timing_.patience);
        mirror_.expect(transaction, moving, timing_.move_patience);
    });

    auto call = [this](Sending& sending) { return send_lead(sending); };
    co_await for_each_of(sendings, calls_at_once, call);
    std::vector<asio::awaitable<void>> jobs;
    for (auto& [intent, leads] : moves) jobs.push_back(send_move(leads));
    co_await all(std::move(jobs));
    for (const auto& [intent, leads] : moves)
        for (const auto& place : places_of(intent)) moving_.erase(place);
    co_await record(sendings);
}

/// One move per campaign at a time: Instantly answers 409 while one holds it. What has to wait is left for later.
void Pusher::reserve_moves(std::vector<Sending>& sendings) {
    std::set<sync::MoveIntent> ours;
    for (auto& sending : sendings) {
        if (!sending.plan.move) continue;
        const auto& intent = *sending.plan.move;
        const auto places = places_of(intent);
        const bool busy = !ours.contains(intent)
                          && std::ranges::any_of(places, [&](const auto& place) { return moving_.contains(place); });
        if (busy) {
            sending.plan.move.reset();
            sending.waits = true;
            continue;
        }
        moving_.insert(places.begin(), places.end());
        ours.insert(intent);
    }
}

asio::awaitable<void> Pusher::send_lead(Sending& sending) {
    std::map<sync::Key, sync::Value> keys;
    try {
        if (sending.plan.patch) {
            keys = sync::expectations(*sending.plan.patch, sending.local);
            auto body = instantly::patch_body(*sending.plan.patch, sending.local);
            if (!co_await client_.update_lead(sending.instantly_id, std::move(body))) sending.gone = true;
            sending.accepted(keys);
        }
        if (sending.plan.interest) {
            const auto& intent = *sending.plan.interest;
            keys = sync::expectations(intent);
            instantly::InterestUpdate update{intent.email, intent.interest,
                                             id_or_nothing<sync::CampaignId>(intent.campaign),
                                             id_or_nothing<sync::ListId>(intent.list)};
            co_await client_.update_interest(update);
            sending.accepted(keys);
        }
        if (sending.plan.subsequence) {
            keys = sync::expectations(*sending.plan.subsequence);
            if (sending.plan.subsequence->subsequence_id)
                co_await client_.move_to_subsequence(sending.instantly_id, *sending.plan.subsequence->subsequence_id);
            else
                co_await client_.remove_from_subsequence(sending.instantly_id);
            sending.accepted(keys);
        }
    } catch (const instantly::ApiError& error) {
        sending.failed(keys, error);
    }
}

asio::awaitable<void> Pusher::send_move(std::vector<Sending*> leads) {
    const auto intent = *leads.front()->plan.move;
    instantly::Move move{.from_campaign = id_or_nothing<sync::CampaignId>(intent.from_campaign),
                         .from_list = id_or_nothing<sync::ListId>(intent.from_list),
                         .to_campaign = id_or_nothing<sync::CampaignId>(intent.to_campaign),
                         .to_list = id_or_nothing<sync::ListId>(intent.to_list)};
    for (const auto* lead : leads) move.leads.push_back(lead->instantly_id);
    const auto sent = move.leads.size();
    try {
        const auto job = co_await client_.move_leads(std::move(move));
        const auto problem = co_await follow(job.id, sent);
        if (problem.empty()) co_return;
        const sync::Failure failure{.kind = sync::FailureKind::transient, .message = problem};
        for (auto* lead : leads) lead->failed(sync::expectations(intent), instantly::ApiError{failure});
    } catch (const instantly::ApiError& error) {
        for (auto* lead : leads) lead->failed(sync::expectations(intent), error);
    }
}

/// A job's end: empty when it succeeded, whatever it moved (the look-up tells lead by lead), else what went wrong.
asio::awaitable<std::string> Pusher::follow(sync::JobId id, std::size_t sent) {
    const auto deadline = Clock::now() + timing_.move_patience;
    for (auto wait = timing_.job_poll_first; Clock::now() < deadline;
         wait = std::min(wait * 2, timing_.job_poll_max)) {
        co_await sleep_for(wait);
        const auto job = co_await client_.get_job(id);
        if (job.state == instantly::JobState::failed) co_return "move job " + id.text + " ended as " + job.status;
        if (job.state != instantly::JobState::success) continue;
        if (job.moved_leads && static_cast<std::size_t>(*job.moved_leads) < sent)
            spdlog::warn("workspace {}: move job {} moved {} of {} leads; the rest is looked at one by one",
                         mirror_.workspace(), id.text, *job.moved_leads, sent);
        co_return "";
    }
    spdlog::warn("workspace {}: move job {} is still running; its leads are looked at later", mirror_.workspace(),
                 id.text);
    co_return "";
}

/// What became of the calls, in one transaction.
asio::awaitable<void> Pusher::record(std::vector<Sending>& sendings) {
    const auto written_at = now();
    std::vector<sync::LeadId> written;
    std::map<sync::LeadId, std::map<sync::Key, sync::Value>> moved;
    Claims read_back;
    Claims waiting;
    Claims gone;
    std::vector<std::pair<Sending*, sync::Verdict>> failed;
    for (auto& sending : sendings) {
        written.push_back(sending.claim.id);
        if (sending.plan.move && !sending.failure) moved[sending.claim.id] = sync::expectations(*sending.plan.move);
        if (sending.gone)
            gone.push_back(sending.claim);
        else if (sending.failure)
            failed.emplace_back(&sending, sync::after_failure(*sending.failure, sending.claim.attempts + 1,
                                                              draw_jitter(), timing_.backoff));
        else if (sending.lost.empty())
            (sending.waits ? waiting : read_back).push_back(sending.claim);
    }
    co_await database_.run([&](pqxx::work& transaction) {
        mirror_.wrote(transaction, written, written_at);
        mirror_.expect(transaction, moved, timing_.patience);
        for (const auto& [sending, verdict] : failed)
            mirror_.expect_no_more(transaction, sending->claim.id, sending->unsent);
        for (const auto& [sending, verdict] : failed)
            write_verdict(transaction, sending->claim, verdict, *sending->failure);
        for (const auto& sending : sendings)
            if (!sending.failure && !sending.gone && !sending.lost.empty())
                queue_.resent(transaction, sending.claim, timing_.read_back,
                              "not stored, sent again: " + joined(sending.lost));
        queue_.defer(transaction, read_back, timing_.read_back);
        queue_.defer(transaction, waiting, timing_.busy);
    });
    for (const auto& [sending, verdict] : failed) co_await heed(verdict, *sending->failure);
    if (failed.empty()) co_await state_.solved(WorkspaceState::Side::writing);
    if (!gone.empty()) co_await give_up_on(std::move(gone), "Instantly no longer has this lead (404)");
}

// --- create and remove ---------------------------------------------------------------------------------------------

asio::awaitable<void> Pusher::create(Claims claims) {
    std::vector<sync::LeadId> ids;
    for (const auto& claim : claims) ids.push_back(claim.id);
    const auto rows =
        co_await database_.run([&](pqxx::work& transaction) { return mirror_.load_unborn(transaction, ids); });
    std::unordered_map<std::string, sync::Content> contents;
    for (const auto& row : rows) contents.emplace(row.id.text, row.content);

    Claims idle;
    std::map<std::string, Claims> refused;
    std::map<std::string, std::vector<Sending>> by_target;
    for (const auto& claim : claims) {
        const auto found = contents.find(claim.id.text);
        if (found == contents.end()) {
            idle.push_back(claim);
            continue;
        }
        const auto& local = found->second;
        const auto& campaign = local[sync::Field::campaign];
        const auto& list = local[sync::Field::list_id];
        if (!campaign && !list)
            idle.push_back(claim);
        else if (campaign && list)
            refused["a new lead goes to a campaign or to a list: set one of campaign and list_id to NULL"].push_back(
                claim);
        else if (local[sync::Field::email].value_or("").empty())
            refused["a lead needs an email to be created on Instantly: insert it again with one"].push_back(claim);
        else  // One that failed before goes alone, so that the answer's counts are about it.
            by_target[(campaign ? "c" + *campaign : "l" + *list) + (claim.attempts > 0 ? claim.id.text : "")]
                .push_back({.claim = claim, .local = local});
    }
    co_await database_.run([&](pqxx::work& transaction) { queue_.complete(transaction, idle); });
    for (auto& [reason, leads] : refused) co_await give_up_on(leads, reason);
    for (auto& [target, leads] : by_target) co_await create_in_target(std::move(leads));
}

asio::awaitable<void> Pusher::create_in_target(std::vector<Sending> rows) {
    const auto campaign = rows.front().local[sync::Field::campaign];
    const auto list = rows.front().local[sync::Field::list_id];
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
        answer = co_await client_.add_leads(id_or_nothing<sync::CampaignId>(campaign),
                                            id_or_nothing<sync::ListId>(list), std::move(bodies));
    } catch (const instantly::ApiError& error) {
        failure = error.failure();
    }
    Claims left;
    if (failure) {
        for (const auto& row : rows) left.push_back(row.claim);
        co_await fail(std::move(left), *failure);
        co_return;
    }

    std::vector<postgres::Mirror::Creation> created;
    std::unordered_set<std::size_t> done;
    Claims read_back;
    for (const auto& lead : answer.created) {
        if (lead.index >= rows.size() || !done.insert(lead.index).second) continue;
        created.push_back({rows[lead.index].claim.id, lead.id, creations[lead.index].expected});
        read_back.push_back(rows[lead.index].claim);
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (!done.contains(i)) left.push_back(rows[i].claim);
    co_await database_.run([&](pqxx::work& transaction) {
        mirror_.created(transaction, created, timing_.patience, now());
        queue_.defer(transaction, read_back, timing_.read_back);
    });
    if (left.empty()) co_return;
    // An answer tells counts, not which; a lead that was refused twice was alone the second time.
    const auto reason = fmt::format(
        "Instantly did not create this lead: {} already there, {} skipped, {} invalid email, {} incomplete, "
        "{} on the block list",
        answer.duplicated, answer.skipped, answer.invalid_email, answer.incomplete, answer.in_blocklist);
    Claims again;
    Claims hopeless;
    for (const auto& claim : left) (claim.attempts < 2 ? again : hopeless).push_back(claim);
    const sync::Failure not_created{.kind = sync::FailureKind::transient, .message = reason};
    co_await fail(std::move(again), not_created);
    if (!hopeless.empty()) co_await give_up_on(std::move(hopeless), reason);
}

/// Leads that Instantly has already, by email and target, are tied to their rows instead of being made again: the
/// answer of an earlier create may have been lost.
asio::awaitable<void> Pusher::adopt_existing(std::vector<Sending>& rows) {
    const auto requested_at = now();
    instantly::LeadQuery query{.campaign = id_or_nothing<sync::CampaignId>(rows.front().local[sync::Field::campaign]),
                               .list = id_or_nothing<sync::ListId>(rows.front().local[sync::Field::list_id])};
    for (const auto& row : rows) query.contacts.push_back(*row.local[sync::Field::email]);
    auto page = co_await client_.list_leads(query);
    if (page.leads.empty()) co_return;
    auto observations = observations_of(std::move(page.leads), requested_at);
    const auto result = co_await database_.run([&](pqxx::work& transaction) {
        return mirror_.observe(transaction, std::move(observations), postgres::Observe::changes);
    });
    std::unordered_set<std::string> adopted;
    for (const auto& lead : result.merged) adopted.insert(lead.id.text);
    Claims known;
    for (const auto& row : rows)
        if (adopted.contains(row.claim.id.text)) known.push_back(row.claim);
    std::erase_if(rows, [&](const auto& row) { return adopted.contains(row.claim.id.text); });
    co_await database_.run([&](pqxx::work& transaction) { queue_.defer(transaction, known, 0ms); });
}

asio::awaitable<void> Pusher::remove(Claims claims) {
    std::vector<Sending> sendings;
    for (const auto& claim : claims) sendings.push_back({.claim = claim});
    if (local_deletes_ == sync::LocalDeletes::push) {
        auto call = [this](Sending& sending) -> asio::awaitable<void> {
            try {
                co_await client_.delete_lead(sending.claim.instantly_id);
            } catch (const instantly::ApiError& error) {
                sending.failure = error.failure();
            }
        };
        co_await for_each_of(sendings, calls_at_once, call);
    }
    Claims done;
    for (const auto& sending : sendings)
        if (sending.failure)
            co_await fail(Claims(1, sending.claim), *sending.failure);
        else
            done.push_back(sending.claim);
    co_await database_.run([&](pqxx::work& transaction) { queue_.complete(transaction, done); });
}

// --- failures ------------------------------------------------------------------------------------------------------

asio::awaitable<void> Pusher::fail(Claims claims, sync::Failure failure) {
    if (claims.empty()) co_return;
    std::vector<sync::Verdict> verdicts;
    for (const auto& claim : claims)
        verdicts.push_back(sync::after_failure(failure, claim.attempts + 1, draw_jitter(), timing_.backoff));
    co_await database_.run([&](pqxx::work& transaction) {
        for (std::size_t i = 0; i < claims.size(); ++i) write_verdict(transaction, claims[i], verdicts[i], failure);
    });
    co_await heed(verdicts.front(), failure);
}

void Pusher::write_verdict(pqxx::work& transaction, const Claim& claim, const sync::Verdict& verdict,
                           const sync::Failure& failure) {
    if (const auto* retry = std::get_if<sync::Retry>(&verdict)) {
        queue_.retry(transaction, claim, retry->after, failure.message);
    } else if (const auto* dead = std::get_if<sync::DeadLetter>(&verdict)) {
        mirror_.mark_error(transaction, claim.id, dead->reason);
        queue_.dead_letter(transaction, claim, dead->reason);
    } else {
        queue_.defer(transaction, {claim}, timing_.busy);  // the lead is not at fault: no attempt is burnt
    }
}

asio::awaitable<void> Pusher::heed(const sync::Verdict& verdict, const sync::Failure& failure) {
    spdlog::warn("workspace {}: {}", mirror_.workspace(), failure.message);
    if (failure.rate_limited) pace_.hold(std::max<milliseconds>(failure.retry_after.value_or(0ms), rate_limit_hold));
    if (std::holds_alternative<sync::PauseWorkspace>(verdict)) {
        const auto wait = std::max(sync::backoff_delay({5s, 5min}, ++pauses_, draw_jitter()), milliseconds{1s});
        paused_until_ = std::max(paused_until_, Clock::now() + wait);
        co_await state_.problem(WorkspaceState::Side::writing, failure.message);
    } else if (std::holds_alternative<sync::HoldCreates>(verdict)) {
        creates_held_until_ = Clock::now() + 1min;
        co_await state_.problem(WorkspaceState::Side::writing, "creates are held: " + failure.message);
    } else {
        pauses_ = 0;
    }
}

}  // namespace leadsync::daemon
