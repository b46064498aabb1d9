#include "daemon/intake.hpp"

#include <string>
#include <vector>

#include <spdlog/spdlog.h>

namespace leadsync::daemon {

using store::Transaction;

namespace {

constexpr auto ask_again_after = std::chrono::seconds{1};

/// For whoever looks for it on Instantly.
std::string id_of(const std::string& item) {
    const auto json = nlohmann::json::parse(item, nullptr, false);
    return json.is_object() && json.contains("id") ? json["id"].dump() : "none";
}

/// What a row that was adopted takes over is no edit.
std::vector<sync::InstantlyId> edits_let_in(const ObserveResult& result) {
    std::vector<sync::InstantlyId> leads;
    for (const auto& lead : result.merged)
        if (!lead.adopted && brings_remote_edits(lead.result)) leads.push_back(lead.instantly_id);
    return leads;
}

}  // namespace

asio::awaitable<ObserveResult> Intake::take_in(instantly::ScannedPage page, sync::Instant requested_at,
                                               std::optional<store::Stretch> stretch, Step step) {
    tell_of_unusable(page);
    const Asked asked{requested_at, clock_.wall()};
    std::optional<ObserveResult> result;
    try {
        result = co_await write(page, asked, stretch, step);
    } catch (const instantly::NotPlain&) {
        // Nothing is written yet: it is read as a whole.
    }
    if (!result) {
        instantly::ScannedPage whole{page.whole()};
        tell_of_unusable(whole);  // scanned, an item is taken for a lead by its id alone
        result = co_await write(whole, asked, stretch, step);
    }
    co_await look_again(result->busy);
    if (!result->merged.empty() || !result->still_there.empty() || !result->withdrawn.empty()) queued_.set();
    co_return *std::move(result);
}

/// Rows that somebody else has locked are not waited for: the queue comes back to them. Whoever is queueing one by an
/// edit may yet take the edit back: those are asked for once more with pages to come, but seldom, for each time one
/// of them is waited for a little.
asio::awaitable<void> Intake::look_again(std::vector<sync::LeadId> busy) {
    if (const auto now = clock_.now(); now >= ask_again_at_) {
        busy.insert(busy.end(), being_queued_.begin(), being_queued_.end());
        being_queued_.clear();
        ask_again_at_ = now + ask_again_after;
    }
    if (busy.empty()) co_return;
    std::vector<sync::LeadId> left;
    co_await persistence_.until_done("what was locked", [&]() -> asio::awaitable<void> {
        left = co_await store_.run([&busy](Transaction& transaction) {
            return transaction.queue.look_again(busy, std::chrono::milliseconds{0});
        });
    });
    being_queued_.insert(left.begin(), left.end());
    queued_.set();
}

void Intake::tell_of_unusable(const instantly::ScannedPage& page) const {
    for (const auto& item : page.unusable)
        spdlog::warn("workspace {}: an item of the page is no lead and is passed over (id: {}): {}", workspace_,
                     id_of(item), item.substr(0, 200));
}

asio::awaitable<ObserveResult> Intake::write(instantly::ScannedPage& page, const Asked& asked,
                                             const std::optional<store::Stretch>& stretch, const Step& step) {
    auto share = co_await guard_.reserve(static_cast<std::int64_t>(page.leads.size()));
    auto options = observing_;
    options.changes_left = share.left();
    // A copy: a database thread looks into it while the guard goes on.
    for (const auto& lead : page.leads)
        if (guard_.has_let_in(lead.id)) options.let_in.insert(lead.id.text);
    auto result = co_await store_.run([&](Transaction& transaction) {
        auto outcome = observe(transaction, page, asked, stretch, options, clock_.wall());
        step(transaction, outcome);
        return outcome;
    });
    share.taken(edits_let_in(result));
    co_return result;
}

}  // namespace leadsync::daemon
