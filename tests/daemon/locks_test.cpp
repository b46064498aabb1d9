#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include <spdlog/spdlog.h>

#include "connectors/postgres/listener.hpp"
#include "daemon/config.hpp"
#include "daemon/daemon.hpp"
#include "tests/daemon/command_fixture.hpp"
#include "tests/support/eventually.hpp"

// The session that holds the locks of the workspaces breaks, while the connections that work goes through live on.

namespace leadsync::daemon {
namespace {

using namespace std::chrono_literals;
using test_support::eventually;

/// Another leadsync that waits for acme's lock: it has it in the moment that nobody else does.
class Standby {
public:
    explicit Standby(const std::string& url) : connection_{url} {
        waiting_ = std::async(std::launch::async, [this] {
            pqxx::nontransaction session{connection_};
            session.exec("SET lock_timeout = '60s'");
            session.exec("SELECT pg_advisory_lock(hashtextextended('leadsync workspace acme', 0))");
        });
    }

    /// Returns when it has it.
    void has_the_lock() { waiting_.get(); }
    void lets_go() { pqxx::nontransaction{connection_}.exec("SELECT pg_advisory_unlock_all()"); }

private:
    pqxx::connection connection_;
    std::future<void> waiting_;
};

class LostLocks : public Command {
protected:
    static constexpr std::size_t per_second = 5;

    /// A workspace that takes a minute to read.
    void begin() {
        serve(30'000);
        std::ofstream{file()} << "database: { url: \"" << database_.url()
                              << "\" }\nlog: { format: json }\nworkspaces:\n  - name: acme\n    api_key: "
                              << sandbox::WorkspaceSettings{}.api_key << "\n    base_url: " << server_->url()
                              << "\n    rate: { per_second: " << per_second << ", per_minute: " << 60 * per_second
                              << ", share: 1 }\n";
    }

    [[nodiscard]] std::filesystem::path file() const { return directory_.path() / "leadsync.yaml"; }

    std::size_t sent() { return instantly_->requests().size(); }

    bool reads() {
        return eventually([&] { return instantly_->requests("/leads/list").size() >= 3; });
    }

    /// Pages whose rows were written.
    std::size_t pages() { return std::stoul(value("SELECT coalesce(sum(pages), 0) FROM sync.ranges")); }

    /// What holds acme's lock, or waits for it.
    std::string sessions(const std::string& condition) {
        return value(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) "
            "WHERE locktype = 'advisory' AND objsubid = 1 AND datname = current_database() "
            "AND classid::int8 << 32 | objid::int8 = hashtextextended('leadsync workspace acme', 0) AND "
            + condition);
    }
    std::string locked() { return sessions("granted AND application_name = 'leadsync listener'"); }

    void break_the_session() {
        sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE application_name = 'leadsync listener' AND datname = current_database()");
    }

    /// `run` reads, and has just noticed that the lock is another's.
    void lose_the_lock() {
        begin();
        daemon_ = start({"run"});
        ASSERT_TRUE(reads()) << daemon_->errors();
        standby_ = std::make_unique<Standby>(database_.url());
        ASSERT_TRUE(eventually([&] { return sessions("NOT granted") == "1"; }));
        break_the_session();
        standby_->has_the_lock();
        ASSERT_TRUE(eventually([&] { return has_told("nothing is read or sent"); })) << daemon_->errors();
    }

    bool has_told(const std::string& words) { return daemon_->errors().find(words) != std::string::npos; }

    std::unique_ptr<Standby> standby_;
    std::unique_ptr<test_support::Process> daemon_;
};

TEST_F(LostLocks, NothingIsSentAndWrittenUntilTheyAreTakenAgain) {
    ASSERT_NO_FATAL_FAILURE(lose_the_lock());
    const auto requests = sent();
    const auto read = pages();
    // What was recorded before may leave yet, which is a second's requests, or two, and their reserve; and what was
    // on its way is counted when it arrives.
    const auto most = requests + 4 * per_second;
    ASSERT_TRUE(eventually([&] { return has_told("attempt 5, "); })) << daemon_->errors();
    EXPECT_LE(sent(), most);
    EXPECT_EQ(pages(), read);
    EXPECT_TRUE(daemon_->running()) << "the lock may be its own still";

    standby_->lets_go();
    EXPECT_TRUE(eventually([&] { return pages() > read + per_second; })) << daemon_->errors();
    EXPECT_TRUE(has_told("the locks of the workspaces are taken again"));
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->wait(20s), 0) << daemon_->errors();
}

TEST_F(LostLocks, ASignalEndsTheWaitForThem) {
    ASSERT_NO_FATAL_FAILURE(lose_the_lock());
    daemon_->send(SIGTERM);
    EXPECT_EQ(daemon_->wait(20s), 0) << daemon_->errors();
    EXPECT_TRUE(has_told("leases stay until they expire")) << "they are another's to give back by now";
}

TEST_F(LostLocks, ABackfillTakesThemAgainAndEndsWhenAnotherHasThem) {
    begin();
    spdlog::set_level(spdlog::level::off);
    Daemon daemon{load_config(file()), {.patience = 15min}, 100ms};
    auto backfill = std::async(std::launch::async, [&] { return daemon.backfill({}, false); });
    ASSERT_TRUE(reads());
    break_the_session();
    ASSERT_TRUE(eventually([&] { return locked() == "1"; })) << "nobody else wants them";
    const auto read = pages();
    EXPECT_TRUE(eventually([&] { return pages() > read; }));

    Standby standby{database_.url()};
    ASSERT_TRUE(eventually([&] { return sessions("NOT granted") == "1"; }));
    break_the_session();
    standby.has_the_lock();
    try {
        backfill.get();
        ADD_FAILURE() << "it was read to the end beside another";
    } catch (const postgres::WorkspaceTaken& taken) {
        EXPECT_TRUE(std::string{taken.what()}.starts_with("workspace acme is driven by another leadsync"))
            << taken.what();
    }
    EXPECT_EQ(value("SELECT backfilled_at IS NULL FROM crm.workspaces"), "t");
}

}  // namespace
}  // namespace leadsync::daemon
