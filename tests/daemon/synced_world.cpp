#include "tests/daemon/synced_world.hpp"

#include <algorithm>
#include <cstdlib>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include "connectors/postgres/workspaces.hpp"
#include "daemon/daemon.hpp"
#include "daemon/tasks.hpp"
#include "tests/sandbox/instant.hpp"
#include "tests/support/agreement.hpp"
#include "tests/support/eventually.hpp"

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto soon = 20s;

sandbox::ServerSettings server_settings(const WorldSettings& settings) {
    sandbox::ServerSettings server;
    server.workspaces.front().leads = settings.leads;
    server.workspaces.front().campaigns = settings.campaigns;
    return server;
}

WorkspaceConfig workspace_config(const WorldSettings& settings, const std::string& url) {
    WorkspaceConfig config{.name = "acme", .api_key = Secret{sandbox::WorkspaceSettings{}.api_key}, .base_url = url};
    config.rate = {.per_second = 100, .per_minute = 6000, .share = settings.share};
    config.freshness = {.bounds = {.fresh = settings.new_leads, .active = settings.active, .rest = settings.rest}};
    config.conflicts = settings.conflicts;
    config.deletes = settings.deletes;
    config.guard = settings.guard;
    return config;
}

/// `patience`: of a one-shot run; what runs beside a test waits for as long as it takes, as the daemon does.
SyncOptions options(const WorldSettings& settings, std::optional<std::chrono::seconds> patience) {
    PusherTiming timing;
    timing.poll = 1h;  // what falls due, and what rings, has to do
    timing.look_keeps = settings.look_keeps;
    timing.read_back = 50ms;
    timing.patience = settings.patience;
    timing.move_patience = settings.patience;
    timing.job_poll_first = 20ms;
    timing.busy = 50ms;
    timing.backoff = {50ms, 500ms};
    timing.reading = timing.backoff;
    timing.pause = {1s, 1s};
    timing.creates_hold = 500ms;
    return {.patience = patience, .timing = timing, .reading = settings.reading};
}

}  // namespace

struct SyncedWorld::Running {
    Running(const std::string& url, const WorkspaceConfig& config, const SyncOptions& options)
        : database{url},
          driven{io.get_executor(), database, clock, config, options},
          listener{io.get_executor(), url, {config.name}} {
        listener.connect();
        driven.take_over();
    }

    Connections database;
    boost::asio::io_context io{1};
    SystemClock clock;
    DrivenWorkspace driven;
    postgres::Listener listener;
    boost::asio::cancellation_signal cancel;
    std::thread thread;
};

SyncedWorld::SyncedWorld(const WorldSettings& settings)
    : settings_{settings},
      server_{server_settings(settings)},
      instantly_{server_.port()},
      user_{database_.url()},
      config_{workspace_config(settings, server_.url())} {
    spdlog::set_level(std::getenv("LEADSYNC_TEST_LOG") == nullptr ? spdlog::level::off : spdlog::level::debug);
    if (!settings.switches.empty()) instantly_.set_switches(settings.switches);
    postgres::Database database{database_.url(), 1};
    database.run_blocking([](pqxx::work& transaction) { postgres::Workspaces::declare(transaction, {"acme"}); });
}

SyncedWorld::~SyncedWorld() { stop(); }

void SyncedWorld::start() {
    // Else the state that an earlier run left is taken for that of this one.
    sql("UPDATE crm.workspaces SET state = 'starting', state_reason = NULL");
    running_ = std::make_unique<Running>(database_.url(), config_, options(settings_, std::nullopt));
    auto ended = [](std::exception_ptr error) {
        try {
            if (error) std::rethrow_exception(error);
        } catch (const boost::system::system_error& cancelled) {
            EXPECT_EQ(cancelled.code(), boost::asio::error::operation_aborted);
        } catch (const std::exception& failed) {
            ADD_FAILURE() << "leadsync ended by itself: " << failed.what();
        }
    };
    boost::asio::co_spawn(running_->io, listen_and_run(),
                          boost::asio::bind_cancellation_slot(running_->cancel.slot(), ended));
    running_->thread = std::thread{[this] { running_->io.run(); }};
}

boost::asio::awaitable<void> SyncedWorld::listen_and_run() {
    std::vector<boost::asio::awaitable<void>> tasks;
    tasks.push_back(running_->driven.sync().run());
    tasks.push_back(running_->listener.run([this] { running_->driven.sync().wake(); }));
    co_await until_first_ends(std::move(tasks));
}

void SyncedWorld::stop() {
    if (!running_) return;
    boost::asio::post(running_->io, [this] { running_->cancel.emit(boost::asio::cancellation_type::terminal); });
    running_->thread.join();
    running_->driven.leave();
    running_.reset();
}

void SyncedWorld::backfill_and_drain() { run_once(true); }

void SyncedWorld::sweep() { run_once(false); }

void SyncedWorld::run_once(bool drain) {
    Running once{database_.url(), config_, options(settings_, 30s)};
    auto task = [&]() -> boost::asio::awaitable<void> {
        co_await once.driven.sync().backfill([](const SweepProgress&) {});
        if (drain) co_await once.driven.sync().drain();
    };
    std::exception_ptr failed;
    boost::asio::co_spawn(once.io, task(), [&](std::exception_ptr error) { failed = error; });
    once.io.run();
    if (failed) std::rethrow_exception(failed);
    once.driven.leave();
}

pqxx::result SyncedWorld::sql(const std::string& statement) {
    pqxx::work transaction{user_};
    auto result = transaction.exec(statement);
    transaction.commit();
    return result;
}

std::string SyncedWorld::value(const std::string& query) {
    const auto rows = sql(query);
    return rows.empty() ? "no row" : rows[0][0].as<std::string>("null");
}

bool SyncedWorld::becomes(const std::string& query, const std::string& expected) {
    const bool became = test_support::eventually([&] { return value(query) == expected; }, soon);
    EXPECT_TRUE(became) << query << " is " << value(query) << ", not " << expected;
    return became;
}

bool SyncedWorld::settles() {
    const std::string waiting = " FROM sync.queue q WHERE dead_at IS NULL AND held_at IS NULL";
    const bool settled = test_support::eventually([&] { return value("SELECT count(*)" + waiting) == "0"; }, soon);
    EXPECT_TRUE(settled) << "still queued: " << value("SELECT string_agg(q::text, E'\\n')" + waiting);
    return settled;
}

bool SyncedWorld::is_swept() {
    // What a sweep found missing is dealt with before the next one begins.
    const auto completed_since = [&](const std::string& instant) {
        return becomes("SELECT fresh_as_of > '" + instant + "' FROM crm.workspaces", "t");
    };
    return completed_since(value("SELECT clock_timestamp()"))
           && completed_since(value("SELECT fresh_as_of FROM crm.workspaces"));
}

void SyncedWorld::expect_agreement() {
    for (const auto& line : test_support::differences(database_.url(), "acme", instantly_.all_leads()))
        ADD_FAILURE() << line;
}

std::size_t SyncedWorld::requests(const std::string& method, const std::string& path) {
    std::size_t count = 0;
    for (const auto& request : instantly_.requests(path)) count += request.at("method") == method ? 1U : 0U;
    return count;
}

std::vector<nlohmann::json> SyncedWorld::bodies(const std::string& method, const std::string& path) {
    std::vector<nlohmann::json> found;
    for (const auto& request : instantly_.requests(path))
        if (request.at("method") == method && request.at("path") == path)
            found.push_back(nlohmann::json::parse(request.value("body", "{}")));
    return found;
}

std::vector<std::string> SyncedWorld::campaign_leads(std::size_t count) {
    std::vector<std::string> ids;
    for (const auto& row : sql("SELECT instantly_id FROM crm.leads WHERE campaign IS NOT NULL AND email IS NOT NULL "
                               "ORDER BY instantly_id LIMIT "
                               + std::to_string(count)))
        ids.emplace_back(row[0].c_str());
    return ids;
}

std::string SyncedWorld::other_campaign(const std::string& campaign) {
    return value("SELECT id FROM crm.campaigns WHERE id <> '" + campaign + "' ORDER BY id LIMIT 1");
}

// --- Story ---------------------------------------------------------------------------------------------------------

void Story::in_step(const WorldSettings& settings) {
    world_.emplace(settings);
    world().backfill_and_drain();
    world().instantly().reset_log();
    leads_ = world().campaign_leads(settings.leads);
}

void Story::begin(const WorldSettings& settings) {
    in_step(settings);
    world().start();
}

std::string Story::where_first(std::size_t leads) const {
    std::string ids;
    for (std::size_t i = 0; i < leads; ++i) ids += (i == 0 ? "'" : ", '") + leads_.at(i) + "'";
    return " WHERE instantly_id IN (" + ids + ")";
}

void Story::edit(std::size_t lead, const std::string& assignments) {
    world().sql("UPDATE crm.leads SET " + assignments + where(lead));
}

std::string Story::local(std::size_t lead, const std::string& expression) {
    return world().value("SELECT " + expression + " FROM crm.leads" + where(lead));
}

std::string Story::remote_text(std::size_t lead, const std::string& field) {
    const auto found = remote(lead).value(field, nlohmann::json());
    if (found.is_null()) return "";
    return found.is_string() ? found.get<std::string>() : found.dump();
}

void Story::expect_in_step() {
    world().settles();
    world().expect_agreement();
    EXPECT_EQ(world().value("SELECT string_agg(sync_status || ': ' || coalesce(sync_error, ''), '; ') FROM crm.leads "
                            "WHERE sync_status <> 'synced' AND instantly_id IS NOT NULL"),
              "null");
}

std::size_t most_at_once(const std::vector<nlohmann::json>& requests, std::int64_t latency_ms) {
    std::vector<std::int64_t> times;
    for (const auto& request : requests) times.push_back(*sandbox::parse_iso(request.at("time").get<std::string>()));
    std::size_t most = 0;
    for (auto first = times.begin(), last = first; last != times.end(); ++last) {
        while (*last - *first >= latency_ms) ++first;
        most = std::max(most, static_cast<std::size_t>(last - first) + 1);
    }
    return most;
}

}  // namespace leadsync::daemon
