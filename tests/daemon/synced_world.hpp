#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "connectors/postgres/listener.hpp"
#include "daemon/workspace_sync.hpp"
#include "tests/sandbox/control_client.hpp"
#include "tests/sandbox/server.hpp"
#include "tests/support/test_database.hpp"

namespace leadsync::daemon {

struct WorldSettings {
    std::uint32_t leads = 250;
    std::uint32_t campaigns = 5;
    double share = 1;  ///< of the rate limit
    nlohmann::json switches = nlohmann::json::object();
    sync::ConflictPolicy conflicts;
    sync::DeletePolicy deletes;
    sync::Guard guard{.deletes = {}, .creates = {}, .changes = {}};  ///< nothing is held unless a test asks for it
    std::chrono::milliseconds rest{60'000};                   ///< freshness.rest: a test that needs a sweep lowers it
    std::chrono::milliseconds active{std::chrono::hours{1}};  ///< freshness.active, likewise
    std::chrono::milliseconds new_leads{100};                 ///< freshness.new
    Reading reading;                                          ///< how a sweep is cut up
    std::chrono::milliseconds patience{5'000};                ///< until a write that does not show is sent again
    std::chrono::milliseconds look_keeps{2'000};              ///< so long what was seen or noted may be acted on
};

/// A toy world on real parts: an Instantly sandbox over sockets, a PostgreSQL database, and leadsync between them.
class SyncedWorld {
public:
    explicit SyncedWorld(const WorldSettings& settings = {});
    ~SyncedWorld();
    SyncedWorld(const SyncedWorld&) = delete;
    SyncedWorld& operator=(const SyncedWorld&) = delete;

    /// Lets leadsync run beside the test, until stop() or the end.
    void start();
    void stop();

    /// One complete sweep, then until nothing is pending; returns when done. Not while it runs beside the test.
    void backfill_and_drain();
    /// The sweep alone.
    void sweep();

    /// What leadsync uses of the rate limit, from its next start on.
    void use_share(double share) { config_.rate.share = share; }

    /// Runs a statement as a user of the database.
    pqxx::result sql(const std::string& statement);
    /// The one value of a query; `null` when it is null.
    std::string value(const std::string& query);
    /// Whether the query comes to answer `expected` soon.
    bool becomes(const std::string& query, const std::string& expected);

    /// Whether the queue empties soon, but for leads given up on or held.
    bool settles();

    /// Whether a sweep that begins after this call is over soon, with what it found missing dealt with.
    bool is_swept();

    /// Expects local = base = remote.
    void expect_agreement();

    /// How many requests of that method were made whose path contains `path`.
    std::size_t requests(const std::string& method, const std::string& path);
    /// The bodies of the requests with exactly that method and path, oldest first.
    std::vector<nlohmann::json> bodies(const std::string& method, const std::string& path);

    /// Ids on Instantly of leads in campaigns, in order.
    std::vector<std::string> campaign_leads(std::size_t count);
    std::string other_campaign(const std::string& campaign);
    std::string any_campaign() { return value("SELECT id FROM crm.campaigns ORDER BY id LIMIT 1"); }
    std::string any_list() { return value("SELECT id FROM crm.lead_lists ORDER BY id LIMIT 1"); }

    sandbox::ControlClient& instantly() { return instantly_; }
    /// For another client of the same workspace.
    std::uint16_t port() const { return server_.port(); }
    const std::string& url() const { return database_.url(); }

private:
    boost::asio::awaitable<void> listen_and_run();
    void run_once(bool drain);

    WorldSettings settings_;
    sandbox::Server server_;
    sandbox::ControlClient instantly_;
    test_support::TestDatabase database_;
    pqxx::connection user_;
    WorkspaceConfig config_;

    // What leadsync is while it runs.
    struct Running;
    std::unique_ptr<Running> running_;
};

/// How many of these requests of the sandbox's log were under way at once: they overlap when they were answered
/// within the latency of each other.
std::size_t most_at_once(const std::vector<nlohmann::json>& requests, std::int64_t latency_ms);

/// A story: a world in step, an edit on either side, a sync, and how both sides stand then.
class Story : public testing::Test {
protected:
    /// A world in step; leadsync does not run.
    void in_step(const WorldSettings& settings);
    /// The same, with leadsync running beside the test.
    void begin(const WorldSettings& settings);

    /// One complete sync, start to end.
    void sync_once() { world().backfill_and_drain(); }

    /// A condition on the leads of that place in `leads_`.
    std::string where(std::size_t lead) const { return " WHERE instantly_id = '" + leads_.at(lead) + "'"; }
    std::string where_first(std::size_t leads) const;
    /// UPDATE of the lead as a user of the database.
    void edit(std::size_t lead, const std::string& assignments);
    std::string local(std::size_t lead, const std::string& expression);
    nlohmann::json remote(std::size_t lead) { return world().instantly().lead(leads_.at(lead)).value(); }
    /// A field there as text; empty when absent.
    std::string remote_text(std::size_t lead, const std::string& field);

    /// Both sides in step, nothing on its way, nothing given up on.
    void expect_in_step();

    SyncedWorld& world() { return *world_; }
    std::optional<SyncedWorld> world_;
    std::vector<std::string> leads_;  ///< ids on Instantly of leads in campaigns, in order
};

}  // namespace leadsync::daemon
