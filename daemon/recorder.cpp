#include "daemon/recorder.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "daemon/gone_leads.hpp"
#include "daemon/tasks.hpp"
#include "daemon/wording.hpp"

namespace leadsync::daemon {

using store::Transaction;

void Recorder::note(Transaction& transaction, const std::vector<Sending>& sendings) const {
    store::Writes staying;
    store::Writes moving;
    std::vector<store::HistoryEntry> history;
    for (const auto& sending : sendings) {
        const auto calls = sending.calls();
        for (const auto& [values, request] : calls)
            for (const auto& [key, value] : values) {
                const auto before = sync::value_of(sending.remote, key);
                if (sync::agree(before, value)) continue;  // the rest of a complete map
                const bool again = std::ranges::count(sending.lost, key) > 0;
                history.push_back({sending.claim.id, key, before, value, sync::Side::local,
                                   again ? "sent again" : "edit", request});
            }
        if (!calls.empty()) (sending.plan.move ? moving : staying)[sending.claim.id] = sending.expected();
    }
    transaction.leads.add_history(history);
    transaction.leads.expect(staying, context_.timing.patience);
    transaction.leads.expect(moving, context_.timing.move_patience);
}

asio::awaitable<void> Recorder::record(const std::vector<Sending*>& sendings) {
    const auto written_at = context_.clock.wall();
    const auto& timing = context_.timing;
    std::vector<sync::LeadId> written;
    std::vector<std::string> interest_emails;
    store::Writes moved;
    Claims read_back;
    std::vector<sync::MoveIntent> moves;
    Claims waiting;  // for those
    Claims waiting_in_queue;
    Claims gone;
    std::vector<store::FailedClaim> again;
    std::vector<Verdicts::Judged> failed;
    std::vector<std::pair<sync::LeadId, std::vector<sync::Key>>> unsent;
    std::vector<store::HistoryEntry> not_made;
    for (const auto* sending : sendings) {
        const auto& claim = sending->claim;
        if (!sending->put_off.empty()) {
            std::vector<sync::Key> keys;
            for (const auto& [key, value] : sending->put_off) {
                keys.push_back(key);
                not_made.push_back({claim.id, key, value, sync::value_of(sending->remote, key), sync::Side::local,
                                    "put off", "POST /leads/list"});
            }
            unsent.emplace_back(claim.id, std::move(keys));
        }
        if (!sending->calls().empty()) written.push_back(claim.id);
        if (sending->plan.move && !sending->failure) moved[claim.id] = sync::expectations(*sending->plan.move);
        if (sending->plan.interest) interest_emails.push_back(sending->plan.interest->email);
        if (sending->gone) {
            gone.push_back(claim);
            unsent.emplace_back(claim.id, sending->unsent);
        } else if (sending->failure) {
            failed.push_back(verdicts_.judge(claim, *sending->failure));
            unsent.emplace_back(claim.id, sending->unsent);
            not_made.push_back(
                {claim.id, "", std::nullopt, std::nullopt, sync::Side::remote, "refused", sending->failure->message});
        } else if (sending->sent_again()) {
            again.push_back({claim, "not stored, sent again: " + in_one_line(sending->lost), {}, timing.read_back});
        } else if (sending->waits_for && moves.size() < mover_.room()) {
            moves.push_back(*sending->waits_for);
            waiting.push_back(claim);
            if (!sending->calls().empty()) waiting.back().expecting = true;
        } else if (sending->waits_for) {
            waiting_in_queue.push_back(claim);
        } else {
            read_back.push_back(claim);
        }
    }
    auto taken = co_await context_.store.run([&](Transaction& transaction) {
        auto& [leads, queue, progress] = transaction;
        leads.wrote(written, written_at);
        leads.expect(moved, timing.patience);
        for (const auto& [id, keys] : unsent) leads.expect_no_more(id, keys);
        leads.add_history(not_made);
        auto later = verdicts_.write(transaction, failed);
        queue.resent(again);
        queue.defer_together(read_back, timing.read_back);
        queue.put_aside(waiting, timing.moves_late);
        queue.defer(waiting_in_queue, timing.moves_late);
        // The call is scoped, but a server that reads the scope otherwise would reach every lead of that email.
        queue.look_again(leads.with_emails(interest_emails), timing.read_back);
        return later;
    });
    verdicts_.look_again_later(std::move(taken));
    for (std::size_t i = 0; i < waiting.size(); ++i) mover_.wait(moves[i], std::move(waiting[i]));
    for (auto& lead : failed) co_await verdicts_.heed(std::move(lead));
    co_await settle_gone(context_, verdicts_, std::move(gone));
}

}  // namespace leadsync::daemon
