#include "daemon/intake.hpp"

#include <spdlog/spdlog.h>

namespace leadsync::daemon {

using store::Transaction;

namespace {

/// For whoever looks for it on Instantly.
std::string id_of(const std::string& item) {
    const auto json = nlohmann::json::parse(item, nullptr, false);
    return json.is_object() && json.contains("id") ? json["id"].dump() : "none";
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
    // Rows that somebody else has locked are not waited for: the queue comes back to them.
    if (!result->busy.empty()) {
        co_await persistence_.until_done("what was locked", [this, &result] {
            return store_.run([&result](Transaction& transaction) {
                transaction.queue.look_again(result->busy, std::chrono::milliseconds{0});
            });
        });
    }
    if (!result->merged.empty() || !result->busy.empty() || !result->still_there.empty()
        || !result->withdrawn.empty())
        queued_.set();
    co_return *std::move(result);
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
    auto result = co_await store_.run([&](Transaction& transaction) {
        auto outcome = observe(transaction, page, asked, stretch, options, clock_.wall());
        step(transaction, outcome);
        return outcome;
    });
    share.taken(static_cast<std::int64_t>(result.pulled));
    co_return result;
}

}  // namespace leadsync::daemon
