#include "daemon/mover.hpp"

#include <map>

#include <spdlog/spdlog.h>

#include "daemon/tasks.hpp"

namespace leadsync::daemon {
namespace {

std::vector<std::string> places_of(const sync::MoveIntent& intent) {
    std::vector<std::string> places;
    for (const auto* place : {&intent.from_campaign, &intent.from_list, &intent.to_campaign, &intent.to_list})
        if (*place) places.push_back(**place);
    return places;
}

}  // namespace

std::unique_ptr<Mover::Reservation> Mover::reserve(std::vector<Sending>& sendings) {
    auto reservation = std::make_unique<Reservation>(taken_);
    std::set<sync::MoveIntent> ours;
    for (auto& sending : sendings) {
        if (!sending.plan.move) continue;
        const auto& intent = *sending.plan.move;
        const auto places = places_of(intent);
        const auto is_taken = [&](const auto& place) { return taken_.contains(place); };
        if (!ours.contains(intent) && std::ranges::any_of(places, is_taken)) {
            sending.plan.move.reset();
            sending.waits = true;
            continue;
        }
        for (const auto& place : places)
            if (taken_.insert(place).second) reservation->ours_.push_back(place);
        ours.insert(intent);
    }
    return reservation;
}

asio::awaitable<void> Mover::move(const std::vector<Sending*>& sendings) {
    std::map<sync::MoveIntent, std::vector<Sending*>> together;
    for (auto* sending : sendings)
        if (sending->plan.move) together[*sending->plan.move].push_back(sending);
    std::vector<asio::awaitable<void>> jobs;
    for (auto& [intent, leads] : together) jobs.push_back(move_together(leads));
    co_await all(std::move(jobs));
}

asio::awaitable<void> Mover::move_together(std::vector<Sending*> leads) {
    const auto intent = *leads.front()->plan.move;
    instantly::Move move{.from_campaign = id_or_nothing<sync::CampaignId>(intent.from_campaign),
                         .from_list = id_or_nothing<sync::ListId>(intent.from_list),
                         .to_campaign = id_or_nothing<sync::CampaignId>(intent.to_campaign),
                         .to_list = id_or_nothing<sync::ListId>(intent.to_list)};
    for (const auto* lead : leads) move.leads.push_back(lead->instantly_id);
    const auto sent = move.leads.size();
    const auto keys = sync::expectations(intent);
    std::optional<instantly::ApiError> refusal;
    try {
        const auto job = co_await context_.client.move_leads(std::move(move));
        const auto problem = co_await follow(job.id, sent);
        if (!problem.empty())
            refusal.emplace(sync::Failure{.kind = sync::FailureKind::transient, .message = problem});
    } catch (const instantly::ApiError& error) {
        refusal = error;
    }
    for (auto* lead : leads)
        if (refusal)
            lead->failed(keys, *refusal);
        else
            lead->accepted(keys);
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

}  // namespace leadsync::daemon
