// How old what is known of leads gets: the whole engine of a workspace over a simulated day, with the request
// limiter, a store of 100,000 leads, and an Instantly that answers after 200 ms.
#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "connectors/instantly/page.hpp"
#include "daemon/observation.hpp"
#include "daemon/workspace_sync.hpp"
#include "tests/simulation/model_store.hpp"
#include "tests/simulation/virtual_time.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using sync::SteadyTime;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr auto day = 2h;  // an hour takes ten times as long there
#else
constexpr auto day = 24h;
#endif

/// Leads with nothing but an id and an email: what is measured is when they are read.
class Instantly final : public instantly::Transport {
public:
    explicit Instantly(simulation::VirtualTime& time) : time_{time} {}

    static std::string id_of(sync::Instant made_at, std::uint64_t number) {
        return sync::first_id_at(made_at).substr(0, 24) + fmt::format("{:012x}", number);
    }
    void add(sync::Instant made_at, std::uint64_t number) {
        const auto id = id_of(made_at, number);
        leads_.emplace(id, fmt::format(R"({{"id":"{}","email":"lead{}@acme.example"}})", id, number));
    }
    /// An item of a listing as it stands there.
    void add_item(const std::string& id, const std::string& text) { leads_.emplace(id, text); }
    const std::map<std::string, std::string>& leads() const { return leads_; }

    asio::awaitable<instantly::Reply> send(instantly::Request request, instantly::Gate gate) override {
        auto turn = co_await gate();
        if (!turn->departs()) throw std::logic_error{"a leave that is void"};
        ++requests;
        turn.reset();
        co_await time_.sleep_for(100ms);
        auto body = answer(request);
        const bool lists_leads = request.target.ends_with("/leads/list");
        co_await time_.sleep_for(lists_leads ? way_back : 100ms);
        co_return instantly::Reply{.status = 200, .body = std::move(body), .retry_after = {}, .date = {}};
    }

    std::size_t requests = 0;
    milliseconds way_back = 100ms;  ///< of a list of leads
    std::function<void(const std::string& id)> shown;
    std::function<void()> looked_for_new;

private:
    std::string answer(const instantly::Request& request) {
        if (request.target.ends_with("/workspaces/current")) return R"({"id":"w","name":"Acme"})";
        if (!request.target.ends_with("/leads/list")) return R"({"items":[]})";
        const auto query = nlohmann::json::parse(request.body);
        const auto ids = query.value("ids", std::vector<std::string>{});
        std::string items;
        const auto show = [&](const auto& lead) {
            if (!items.empty()) items += ',';
            items += lead.second;
            shown(lead.first);
        };
        for (const auto& id : ids)
            if (const auto lead = leads_.find(id); lead != leads_.end()) show(*lead);
        if (!ids.empty()) return R"({"items":[)" + items + "]}";
        auto lead = leads_.upper_bound(query.value("starting_after", ""));
        std::string last;
        for (int n = query.at("limit"); n > 0 && lead != leads_.end(); --n, ++lead) {
            show(*lead);
            last = lead->first;
        }
        if (lead == leads_.end()) looked_for_new();
        const auto next = lead == leads_.end() ? "" : R"(,"next_starting_after":")" + last + '"';
        return R"({"items":[)" + items + "]" + next + "}";
    }

    simulation::VirtualTime& time_;
    std::map<std::string, std::string> leads_;
};

class FreshnessTest : public testing::Test {
protected:
    FreshnessTest() {
        logger_ = std::make_shared<spdlog::logger>("", std::make_shared<spdlog::sinks::ostream_sink_st>(log_));
        logger_->set_level(spdlog::level::info);
        spdlog::set_default_logger(logger_);
        instantly_.shown = [this](const std::string& id) { show(id); };
        instantly_.looked_for_new = [this] {
            worst_new_ = std::max(worst_new_, time_.now() - looked_for_new_);
            looked_for_new_ = time_.now();
        };
    }
    ~FreshnessTest() override {
        io_.reset();
        spdlog::set_default_logger(before_);
    }

    /// So many leads are known, the first `active` of them were contacted just now. New ones are looked for as well
    /// by now, or were not yet.
    void know(std::uint64_t leads, std::size_t active, bool is_followed = true) {
        for (std::uint64_t n = 0; n < leads; ++n) instantly_.add(time_.wall() - 24h * 30 + milliseconds{n * 1000}, n);
        std::string body = R"({"items":[)";
        for (const auto& [id, lead] : instantly_.leads()) body += (body.back() == '[' ? "" : ",") + lead;
        auto page = instantly::parse_lead_page(body + "]}");
        auto observations = observations_of(page, time_.wall(), time_.wall());
        bool done = false;
        auto task = [&]() -> asio::awaitable<void> {
            co_await store_.run([&](store::Transaction& transaction) {
                transaction.progress.open_sweep(static_cast<std::int64_t>(leads), 1);
                observe(transaction, std::move(observations), {}, time_.wall());
                transaction.progress.finish_sweep();
                std::vector<store::ActiveLead> contacted;
                for (const auto& [id, lead] : instantly_.leads()) {
                    if (contacted.size() == active) break;
                    contacted.push_back({{id}, time_.wall() + 24h * 7});
                    active_.insert(id);
                }
                transaction.leads.note_active(contacted);
                transaction.progress.report_active(static_cast<std::int64_t>(active), 0ms);
                if (is_followed) transaction.progress.checked_new_leads(0ms, std::nullopt);
            });
            done = true;
        };
        asio::co_spawn(*io_, task(), asio::detached);
        while (!done) io_->poll();
        for (const auto& [id, lead] : instantly_.leads()) shown_at_[id] = time_.now();
        looked_for_new_ = time_.now();
    }

    void run(milliseconds duration, RateConfig rate) {
        WorkspaceConfig config{.name = "acme", .api_key = Secret{"key"}};
        config.rate = rate;
        const SyncOptions options;
        WorkspaceSync sync{{instantly_, store_, store_, time_, [this] { return dice_(); }}, config, options};
        asio::co_spawn(*io_, sync.run(), [](const std::exception_ptr& error) {
            if (error) std::rethrow_exception(error);
        });
        let(duration);
        io_.reset();  // what waits goes
        io_ = std::make_unique<asio::io_context>(1);
    }

    void let(milliseconds duration) {
        const auto end = time_.now() + duration;
        for (bool more = true; more;) {
            io_->restart();
            io_->poll();
            more = time_.advance(end);
        }
    }

    /// So many leads are added on Instantly at once.
    void import(std::uint64_t leads) {
        imported_at_ = time_.wall();
        for (std::uint64_t n = 0; n < leads; ++n) instantly_.add(*imported_at_, 1'000'000 + n);
    }

    /// Looks every 100 ms how old new leads are said to be, from `after` now on.
    void watch(milliseconds after, milliseconds duration) {
        for (auto wait = after; wait < duration; wait += 100ms) time_.at(time_.now() + wait, [this] { look(); });
    }
    void look() {
        const auto& workspace = store_.state().workspace;
        const auto as_of = workspace.new_leads_checked_at.value_or(workspace.backfilled_at.value());
        const SteadyTime::duration told = time_.wall() - as_of;
        youngest_told_ = std::min(youngest_told_, told);
        oldest_told_ = std::max(oldest_told_, told);
        if (imported_at_ && as_of >= *imported_at_ && !left_out_)
            left_out_ = instantly_.leads().size() - odd_items_ - store_.state().bases.size();
    }

    void show(const std::string& id) {
        auto& at = shown_at_[id];
        if (at != SteadyTime{}) {
            auto& worst = active_.contains(id) ? worst_active_ : worst_rest_;
            worst = std::max(worst, time_.now() - at);
        }
        at = time_.now();
    }

    static milliseconds ms(SteadyTime::duration time) { return std::chrono::round<milliseconds>(time); }

    simulation::VirtualTime time_;
    std::mt19937_64 random_{5};
    std::function<double()> dice_ = [this] { return std::uniform_real_distribution<>{}(random_); };
    std::unique_ptr<asio::io_context> io_ = std::make_unique<asio::io_context>(1);
    simulation::ModelStore store_{{.now = [this] { return time_.wall(); },
                                   .new_id = [] { return sync::LeadId{}; },
                                   .before = {},
                                   .after = {},
                                   .fails = {}}};
    Instantly instantly_{time_};
    std::set<std::string> active_;
    std::map<std::string, SteadyTime> shown_at_;
    SteadyTime looked_for_new_{};
    SteadyTime::duration worst_active_{};
    SteadyTime::duration worst_rest_{};
    SteadyTime::duration worst_new_{};
    std::optional<sync::Instant> imported_at_;
    std::size_t odd_items_ = 0;            ///< of Instantly's, that are no leads
    std::optional<std::size_t> left_out_;  ///< of the import, when it was said to be here
    SteadyTime::duration youngest_told_ = 24h;
    SteadyTime::duration oldest_told_{};
    std::ostringstream log_;
    std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
    std::shared_ptr<spdlog::logger> logger_;
};

TEST_F(FreshnessTest, EveryBoundIsKeptOverADay) {
    know(100'000, 1'000);
    for (int n = 0; n < 50; ++n)
        time_.at(time_.now() + day * n / 50 + 7s,
                 [this, n] { instantly_.add(time_.wall(), 1'000'000 + static_cast<std::uint64_t>(n)); });
    run(day, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    const auto& state = store_.state();
    EXPECT_LE(ms(worst_active_), 2min);
    EXPECT_LE(ms(worst_rest_), 1h);
    EXPECT_LE(ms(worst_new_), 15s);
    EXPECT_EQ(state.bases.size(), instantly_.leads().size());
    EXPECT_LE(state.workspace.active_as_of.value(), time_.wall());
    EXPECT_GE(state.workspace.active_as_of.value(), time_.wall() - 2min) << "told as old as they are";
    EXPECT_EQ(log_.str().find("freshness."), std::string::npos) << log_.str();
    // Active leads once in 108 s, all leads once in some 54 minutes, new ones each 13.5 s: no more than it takes.
    const auto seconds = std::chrono::duration<double>{day}.count();
    const auto fewest = seconds * (10 / 120.0 + 1000 / 3600.0 + 1 / 15.0);
    EXPECT_LE(static_cast<double>(instantly_.requests), fewest * 1.25);
}

TEST_F(FreshnessTest, ABudgetThatIsTooSmallIsToldWithWhatItWouldTake) {
    know(20'000, 15'000);
    run(30min, {.per_second = 100, .per_minute = 6000, .share = 0.01});  // 150 requests in 2 minutes want 1.3/s
    EXPECT_GT(ms(worst_active_), 2min);
    const auto told = time_.wall() - store_.state().workspace.active_as_of.value();
    EXPECT_GT(told, 2min);
    EXPECT_NE(log_.str().find("freshness.active is 2 min, but what is known of the oldest is"), std::string::npos)
        << log_.str();
    EXPECT_NE(log_.str().find("15,000 active leads at 2 min need 1.2 requests/s, all 20,000 at 1 h need 0.1; your "
                              "share is 1: raise what needs most, or rate.share"),
              std::string::npos)
        << log_.str();
    EXPECT_LE(ms(worst_new_), 15s) << "new leads don't wait behind the active ones";
}

TEST_F(FreshnessTest, NewLeadsAreAsOldAsTheFirstPageOfAnImportUntilTheLast) {
    know(1'000, 0);
    time_.at(time_.now() + 1min, [this] { import(10'000); });  // 100 pages, 200 ms each
    watch(0ms, 3min);
    run(3min, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    EXPECT_EQ(store_.state().bases.size(), 11'000U);
    EXPECT_EQ(left_out_, 0U);
    EXPECT_GE(ms(oldest_told_), 20s);
    EXPECT_NE(log_.str().find("freshness.new is 15 s, but what is known of the oldest is"), std::string::npos)
        << log_.str();
    EXPECT_LE(time_.wall() - store_.state().workspace.new_leads_checked_at.value(), 15s) << "then they are followed";
}

TEST_F(FreshnessTest, NewLeadsAreReadOnBehindOldIdsAndWhatIsNoLead) {
    know(1'000, 0);
    time_.at(time_.now() + 1min, [this] {
        import(49);
        // Fifty known leads and the first of the new ones are a page, and this is its last: no lead of these days.
        auto old = Instantly::id_of(*imported_at_ + 1ms, 0);
        old[14] = '4';
        instantly_.add_item(old, fmt::format(R"({{"id":"{}","email":"old@acme.example"}})", old));
        for (std::uint64_t n = 0; n < 1'000; ++n) {
            instantly_.add(*imported_at_ + 2ms, 2'000'000 + 2 * n);
            if (n % 90 != 0) continue;
            instantly_.add_item(Instantly::id_of(*imported_at_ + 2ms, 2'000'001 + 2 * n), R"({"email":"no id"})");
            ++odd_items_;
        }
    });
    watch(0ms, 3min);
    run(3min, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    EXPECT_EQ(left_out_, 0U) << "of what was said to be here";
    EXPECT_LE(ms(oldest_told_), 20s);
}

TEST_F(FreshnessTest, ALateAnswerIsAsOldAsItsRequest) {
    know(1'000, 0);
    time_.at(time_.now() + 1min, [this] { instantly_.way_back = 60s; });
    watch(3min, 6min);
    run(6min, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    EXPECT_GE(ms(youngest_told_), 60s);
}

TEST_F(FreshnessTest, NewLeadsThatWereNeverLookedForGetOldFromTheFirstSweepOn) {
    know(1'000, 0, false);
    instantly_.way_back = 24h;
    run(1min, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    EXPECT_NE(log_.str().find("freshness.new is 15 s, but what is known of the oldest is"), std::string::npos)
        << log_.str();
}

TEST_F(FreshnessTest, ADaemonThatWasAwayCatchesUpAtOnce) {
    know(5'000, 1'000);
    let(6h);
    run(1min, {.per_second = 100, .per_minute = 6000, .share = 0.2});
    for (const auto& id : active_) EXPECT_LE(ms(time_.now() - shown_at_[id]), 1min);
    for (const auto& [id, at] : shown_at_) EXPECT_LE(ms(time_.now() - at), 1min) << "the sweep was due as well";
}

}  // namespace
}  // namespace leadsync::daemon
