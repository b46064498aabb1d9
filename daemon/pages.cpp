#include "daemon/pages.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "connectors/instantly/api_error.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using store::Transaction;

/// Those who wait for their share are rung; this is in case the last who could ring has failed.
constexpr auto share_unrung = 10s;

}  // namespace

Pages::Pages(instantly::Client& client, store::Store& store, Clock& clock, std::string workspace,
             ObserveOptions observing, int limit, Signal& queued)
    : client_{client},
      store_{store},
      clock_{clock},
      workspace_{std::move(workspace)},
      observing_{std::move(observing)},
      queued_{queued},
      limit_max_{limit},
      limit_{limit} {}

void Pages::allow(std::optional<std::int64_t> leads, std::int64_t changed) {
    allowed_ = leads;
    changed_ = changed;
}

asio::awaitable<instantly::LeadPage> Pages::fetch(instantly::LeadQuery query) {
    for (;;) {
        query.limit = limit_;
        try {
            auto page = co_await client_.list_leads(query);
            limit_ = std::min(limit_max_, limit_ * 2);
            for (const auto& item : page.unusable)
                spdlog::warn("workspace {}: an item of the page is no lead and is passed over: {}", workspace_,
                             item.substr(0, 200));
            co_return page;
        } catch (const instantly::AnswerTooLarge& error) {
            if (limit_ == 1) throw;
            limit_ /= 2;
            spdlog::warn("workspace {}: {}; asking for {} leads", workspace_, error.what(), limit_);
        }
    }
}

asio::awaitable<void> Pages::check_server() {
    instantly::LeadQuery query{.limit = 1};
    co_await client_.list_leads(query);
}

/// So many changed leads as the page may bring are kept from the others while it is written.
class Pages::Share {
public:
    Share(Pages& pages, std::int64_t leads) : pages_{pages}, leads_{leads} { pages_.reserved_ += leads_; }
    ~Share() {
        pages_.reserved_ -= leads_;
        pages_.freed_.set();
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

private:
    Pages& pages_;
    std::int64_t leads_;
};

asio::awaitable<store::SweepStep> Pages::take_in(instantly::LeadPage page, sync::Instant requested_at, Also also) {
    const auto count = static_cast<std::int64_t>(page.leads.size());
    auto observations = observations_of(page, requested_at, clock_.wall());
    while (allowed_ && reserved_ > 0 && changed_ + reserved_ + count > *allowed_)
        co_await freed_.wait_for(clock_, share_unrung);
    auto options = observing_;
    if (allowed_) options.changes_left = std::max<std::int64_t>(0, *allowed_ - changed_ - reserved_);
    const Share share{*this, count};

    store::SweepStep step;
    const auto outcome = co_await store_.run([&](Transaction& transaction) {
        auto result = observe(transaction, std::move(observations), options, clock_.wall());
        step = {count, static_cast<std::int64_t>(result.pulled)};
        also(transaction, step);
        return result;
    });
    changed_ += step.changed;
    // Rows that somebody else has locked are not waited for: the queue comes back to them.
    if (!outcome.busy.empty())
        co_await store_.run([&](Transaction& transaction) { transaction.queue.look_again(outcome.busy, 0ms); });
    if (!outcome.merged.empty() || !outcome.busy.empty() || !outcome.still_there.empty()) queued_.set();
    co_return step;
}

}  // namespace leadsync::daemon
