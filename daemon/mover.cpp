#include "daemon/mover.hpp"

#include <algorithm>
#include <map>

#include <spdlog/spdlog.h>

#include "daemon/bulk_call.hpp"
#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

/// Of what goes in parts, after one lead was refused. No longer: its leads are leased meanwhile, and may be edited.
constexpr std::chrono::milliseconds followed_max{30'000};

std::vector<std::string> places_of(const sync::MoveIntent& intent) {
    std::vector<std::string> places;
    for (const auto* place : {&intent.from_campaign, &intent.from_list, &intent.to_campaign, &intent.to_list})
        if (*place) places.push_back(**place);
    return places;
}

}  // namespace

Mover::Reservation::~Reservation() {
    for (const auto& intent : intents_)
        for (const auto& place : places_of(intent)) mover_.taken_.erase(place);
    mover_.waiting_changed_.set();
}

bool Mover::is_free(const sync::MoveIntent& intent) const {
    return std::ranges::none_of(places_of(intent), [this](const auto& place) { return taken_.contains(place); });
}

void Mover::reserve(std::vector<Sending>& sendings, Reservation& ours) {
    for (auto& sending : sendings) {
        const auto& intent = sending.plan.move;
        if (!intent || ours.intents_.contains(*intent)) continue;
        if (is_free(*intent))
            reserve(*intent, ours);
        else
            sending.leave_move_for_later();
    }
}

void Mover::reserve(const sync::MoveIntent& intent, Reservation& ours) {
    for (auto& place : places_of(intent)) taken_.insert(std::move(place));
    ours.intents_.insert(intent);
}

asio::awaitable<void> Mover::move(const std::vector<Sending*>& sendings, const Way& way) {
    std::map<sync::MoveIntent, std::vector<Sending*>> together;
    for (auto* sending : sendings)
        if (sending->plan.move) together[*sending->plan.move].push_back(sending);
    std::vector<asio::awaitable<void>> jobs;
    for (auto& [intent, leads] : together) jobs.push_back(move_together(leads, way));
    co_await all(std::move(jobs));
}

asio::awaitable<void> Mover::move_together(std::vector<Sending*> leads, const Way& way) {
    const auto intent = *leads.front()->plan.move;
    std::chrono::milliseconds followed{0};
    auto move_them = [&](const std::vector<Sending*>& some) -> asio::awaitable<void> {
        instantly::Move move{.from_campaign = id_or_nothing<sync::CampaignId>(intent.from_campaign),
                             .from_list = id_or_nothing<sync::ListId>(intent.from_list),
                             .to_campaign = id_or_nothing<sync::CampaignId>(intent.to_campaign),
                             .to_list = id_or_nothing<sync::ListId>(intent.to_list)};
        for (const auto* lead : some) move.leads.push_back(lead->instantly_id);
        auto client = way(std::min(followed, followed_max));
        const auto job = co_await client.move_leads(std::move(move));
        const auto began_at = context_.clock.now();
        const auto problem = co_await follow(job.id, some.size());
        followed += std::chrono::floor<std::chrono::milliseconds>(context_.clock.now() - began_at);
        if (!problem.empty())
            throw instantly::ApiError{sync::Failure{.kind = sync::FailureKind::transient, .message = problem}};
    };
    BulkCall bulk{sync::expectations(intent), move_them};
    co_await bulk.send(std::move(leads));
}

/// A job's end: empty when it succeeded, whatever it moved (the look-up tells lead by lead), else what went wrong.
asio::awaitable<std::string> Mover::follow(sync::JobId id, std::size_t sent) {
    const auto& timing = context_.timing;
    const auto deadline = context_.clock.now() + timing.move_patience;
    for (auto wait = timing.job_poll_first; context_.clock.now() < deadline;
         wait = std::min(wait * 2, timing.job_poll_max)) {
        co_await context_.clock.sleep_for(wait);
        std::optional<instantly::BackgroundJob> job;
        try {
            job = co_await context_.client.get_job(id);
        } catch (const instantly::ApiError& error) {
            // The move is under way whether or not we hear of it.
            spdlog::warn("workspace {}: {}", context_.workspace, error.what());
            continue;
        }
        if (job->state == instantly::JobState::failed) co_return "move job " + id.text + " ended as " + job->status;
        if (job->state != instantly::JobState::success) continue;
        if (job->moved_leads && static_cast<std::size_t>(*job->moved_leads) < sent)
            spdlog::warn("workspace {}: move job {} moved {} of {} leads; the rest is looked at one by one",
                         context_.workspace, id.text, *job->moved_leads, sent);
        co_return "";
    }
    spdlog::warn("workspace {}: move job {} is still running; its leads are looked at later", context_.workspace,
                 id.text);
    co_return "";
}

// --- what waits ----------------------------------------------------------------------------------------------------

void Mover::wait(const sync::MoveIntent& intent, store::Claim claim) {
    waiting_.add(intent, std::move(claim), context_.clock.now());
    waiting_changed_.set();
}

std::optional<Mover::Together> Mover::take_waiting(std::chrono::milliseconds gather) {
    auto group = waiting_.take(context_.clock.now(), gather, [this](const auto& intent) { return is_free(intent); });
    if (!group) return std::nullopt;
    Together together{std::move(group->claims), std::make_unique<Reservation>(*this)};
    reserve(group->intent, *together.places);
    return together;
}

std::chrono::milliseconds Mover::waits_for(std::chrono::milliseconds gather) const {
    const auto ready_in =
        waiting_.ready_in(context_.clock.now(), gather, [this](const auto& intent) { return is_free(intent); });
    return std::min(ready_in.value_or(context_.timing.moves_late), context_.timing.moves_late);
}

}  // namespace leadsync::daemon
