#include "connectors/postgres/embedded_cluster.hpp"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "connectors/postgres/embedded_postmaster.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temporary_directory.hpp"

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;
using test_support::eventually;
using test_support::Process;
using test_support::ProcessOptions;
using test_support::TemporaryDirectory;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::string value_of(const std::string& url, const std::string& expression) {
    pqxx::connection connection{url};
    return pqxx::nontransaction{connection}.exec1("SELECT " + expression)[0].as<std::string>("");
}

void execute(const std::string& url, const std::string& statement) {
    pqxx::connection connection{url};
    pqxx::nontransaction{connection}.exec(statement);
}

fs::path long_name() { return fmt::format("{:x<120}", "x"); }

/// The server runs in a session of its own, out of reach of what kills the test: stopped here if a test left it
/// running.
class ClusterTest : public ::testing::Test {
public:
    ClusterTest() { fs::permissions(folder_.path(), fs::perms{0755}); }
    ~ClusterTest() override {
        if (const auto server = find_postmaster(data())) {
            ::kill(server->process, SIGQUIT);
            eventually([&] { return !find_postmaster(data()); });
        }
    }

protected:
    [[nodiscard]] fs::path data_dir() const { return folder_.path() / below_; }
    [[nodiscard]] fs::path data() const { return data_dir() / "postgres" / "data"; }
    [[nodiscard]] bool server_runs() const { return find_postmaster(data()).has_value(); }
    void put_below(const fs::path& below) { below_ = below; }

    std::unique_ptr<EmbeddedCluster> open() const {
        return std::make_unique<EmbeddedCluster>(data_dir(), EmbeddedClusterOptions{.durable = false});
    }

    /// Puts a cluster there that was made before: initdb is most of the time a test takes.
    void have_cluster() const {
        static const TemporaryDirectory made;
        if (fs::is_empty(made.path())) {
            fs::permissions(made.path(), fs::perms{0755});
            const EmbeddedCluster cluster{made.path(), {.durable = false}};
        }
        fs::create_directories(data_dir());
        ASSERT_EQ(Process({"cp", "-a", made.path() / "postgres", data_dir()}).wait(), 0);
    }

    [[nodiscard]] std::string error_of_opening() const {
        try {
            open();
            return "no error";
        } catch (const ClusterError& error) {
            return error.what();
        }
    }

    /// Another process that uses the cluster.
    [[nodiscard]] std::unique_ptr<Process> start_user(const ProcessOptions& options = {}) const {
        return std::make_unique<Process>(std::vector<std::string>{LEADSYNC_CLUSTER_USER, data_dir()}, options);
    }
    static bool is_up(const Process& user) {
        return eventually([&] { return user.output().ends_with('\n'); }, std::chrono::seconds{30});
    }

private:
    TemporaryDirectory folder_;
    fs::path below_ = "data_dir";
};

TEST_F(ClusterTest, IsMadeFromNothingAndKeepsItsData) {
    {
        const auto cluster = open();
        EXPECT_EQ(value_of(cluster->url(), "current_database() || ' ' || current_user"), "crm leadsync");
        EXPECT_EQ(value_of(cluster->url(), "current_setting('server_encoding')"), "UTF8");
        EXPECT_EQ(value_of(cluster->url(), "current_setting('wal_compression')"), "lz4");
        EXPECT_THAT(cluster->psql_command(), StartsWith("psql 'postgresql://leadsync@/crm?host="));
        execute(cluster->url(), "CREATE TABLE kept AS SELECT 7 AS n");
    }
    EXPECT_FALSE(server_runs()) << "its only user is gone";
    EXPECT_EQ(value_of(open()->url(), "n FROM kept"), "7");
}

TEST_F(ClusterTest, ListensOnNothingButAPrivateSocket) {
    have_cluster();
    const auto cluster = open();
    EXPECT_EQ(value_of(cluster->url(), "current_setting('listen_addresses')"), "");
    EXPECT_EQ(fs::status(data_dir() / "postgres").permissions(), fs::perms::owner_all);
    EXPECT_EQ(fs::status(data_dir() / "postgres" / "socket").permissions(), fs::perms::owner_all);
    EXPECT_EQ(value_of(cluster->url(), "count(*) FROM pg_hba_file_rules WHERE type <> 'local'"), "0");
}

TEST_F(ClusterTest, OutlivesAKilledUserAndIsFoundAgain) {
    have_cluster();
    const auto user = start_user();
    ASSERT_TRUE(is_up(*user)) << user->errors();
    const auto server = find_postmaster(data()).value().process;
    user->kill();
    EXPECT_TRUE(server_runs());

    const auto cluster = open();
    EXPECT_EQ(find_postmaster(data()).value().process, server);
    EXPECT_EQ(value_of(cluster->url(), "1"), "1");
}

TEST_F(ClusterTest, IsStoppedByItsLastUserAndNotByTheFirst) {
    have_cluster();
    const auto first = start_user();
    ASSERT_TRUE(is_up(*first)) << first->errors();
    const auto last = start_user();
    ASSERT_TRUE(is_up(*last)) << last->errors();

    first->send(SIGTERM);
    EXPECT_EQ(first->wait(), 0);
    EXPECT_TRUE(server_runs());
    last->send(SIGTERM);
    EXPECT_EQ(last->wait(), 0) << last->errors();
    EXPECT_FALSE(server_runs());
}

TEST_F(ClusterTest, TwoThatStartAtOnceShareOneServer) {
    const auto one = start_user();
    const auto other = start_user();
    EXPECT_TRUE(is_up(*one)) << one->errors();
    EXPECT_TRUE(is_up(*other)) << other->errors();
    EXPECT_EQ(one->output(), other->output());
}

TEST_F(ClusterTest, AUserKilledWhileTheClusterIsMadeLeavesNothingHalfMade) {
    const auto home = data_dir() / "postgres";
    const auto unfinished = [&] {
        for (const auto& entry : fs::directory_iterator{home})
            if (entry.path().filename().string().starts_with("data.new.") && fs::exists(entry.path() / "base"))
                return true;
        return false;
    };
    const auto user = start_user();
    ASSERT_TRUE(eventually([&] { return fs::exists(home) && unfinished(); }));
    user->kill();
    EXPECT_FALSE(fs::exists(data()));

    EXPECT_EQ(value_of(open()->url(), "1"), "1");
    EXPECT_TRUE(eventually([&] { return !unfinished(); }));
}

TEST_F(ClusterTest, StartsAgainAfterTheServerWasKilled) {
    have_cluster();
    auto user = start_user();
    ASSERT_TRUE(is_up(*user)) << user->errors();
    ::kill(find_postmaster(data()).value().process, SIGKILL);
    user.reset();
    ASSERT_TRUE(eventually([&] { return !server_runs(); }));
    ASSERT_TRUE(fs::exists(data() / "postmaster.pid"));
    EXPECT_EQ(value_of(open()->url(), "1"), "1");
}

TEST_F(ClusterTest, StartsWhenItsOldProcessNumberIsTakenByAnotherProgram) {
    have_cluster();
    const Process other{{"sleep", "60"},
                        {.user = ::geteuid() == 0 ? std::optional<std::string>{"postgres"} : std::nullopt}};
    const auto file = data() / "postmaster.pid";
    std::ofstream{file} << other.id() << "\n" << data().string() << "\n1\n5432\n/tmp\n\n 1 1\nready   \n";
    if (::geteuid() == 0) {
        struct stat owner {};
        ASSERT_EQ(::stat(data().c_str(), &owner), 0);
        ASSERT_EQ(::chown(file.c_str(), owner.st_uid, owner.st_gid), 0);
    }
    EXPECT_EQ(value_of(open()->url(), "1"), "1");
}

TEST_F(ClusterTest, ALongOrOddDataDirGetsItsSocketBelowTmp) {
    put_below(long_name() / "it's, \"$(odd)\"");
    have_cluster();
    std::string url;
    {
        const auto cluster = open();
        url = cluster->url();
        EXPECT_THAT(url, HasSubstr("host=/tmp/leadsync-"));
        EXPECT_EQ(value_of(url, "1"), "1");
    }
    EXPECT_EQ(open()->url(), url);
    fs::remove_all(url.substr(url.find("/tmp/leadsync-"), 30));
}

TEST_F(ClusterTest, ASocketFolderThatSomebodyElseHasTakenIsRefused) {
    put_below(long_name());
    have_cluster();
    const auto url = open()->url();
    const fs::path folder = url.substr(url.find("/tmp/leadsync-"), 30);
    fs::permissions(folder, fs::perms{0777});
    EXPECT_THAT(error_of_opening(), HasSubstr("is not a private (0700) folder"));
    fs::remove_all(folder);
}

TEST_F(ClusterTest, WorksForAnOrdinaryUser) {
    if (::geteuid() != 0) GTEST_SKIP() << "the other tests show it";
    fs::create_directory(data_dir());
    fs::permissions(data_dir(), fs::perms{0777});
    const auto user = start_user({.user = "nobody"});
    ASSERT_TRUE(is_up(*user)) << user->errors();
    struct stat owner {};
    ASSERT_EQ(::stat(data().c_str(), &owner), 0);
    EXPECT_EQ(owner.st_uid, 65534U);

    const auto root = open();
    EXPECT_EQ(value_of(root->url(), "1"), "1") << "root uses the same server, as its owner";
}

TEST_F(ClusterTest, AnOrdinaryUserIsToldWhyADataDirIsNoGood) {
    if (::geteuid() != 0) GTEST_SKIP() << "needs a folder of somebody else";
    fs::create_directory(data_dir());
    const auto not_writable = start_user({.user = "nobody"});
    EXPECT_EQ(not_writable->wait(), 1);
    EXPECT_THAT(not_writable->errors(),
                HasSubstr("cannot make " + data_dir().string() + "/postgres: Permission denied"));

    fs::permissions(data_dir(), fs::perms{0700});
    put_below("data_dir/inside");
    const auto not_enterable = start_user({.user = "nobody"});
    EXPECT_EQ(not_enterable->wait(), 1);
    EXPECT_THAT(not_enterable->errors(),
                HasSubstr("cannot reach data_dir " + data_dir().string() + ": Permission denied"));
}

TEST_F(ClusterTest, SaysWhichFolderTheServersUserMayNotEnter) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root runs the server as somebody else";
    fs::create_directory(data_dir());
    fs::permissions(data_dir(), fs::perms{0700});
    EXPECT_THAT(error_of_opening(), HasSubstr("who may not enter " + data_dir().string() + ": chmod a+x it"));
}

TEST_F(ClusterTest, RefusesTheClusterOfAnotherVersion) {
    have_cluster();
    std::ofstream{data() / "PG_VERSION"} << "14\n";
    EXPECT_THAT(error_of_opening(), HasSubstr("is of PostgreSQL 14, and leadsync runs 15"));
}

TEST_F(ClusterTest, TellsWhyTheServerDoesNotStart) {
    have_cluster();
    std::ofstream{data() / "postgresql.conf", std::ios::app} << "no_such_setting = 1\n";
    const auto error = error_of_opening();
    EXPECT_THAT(error, HasSubstr("no_such_setting"));
    EXPECT_THAT(error, Not(HasSubstr("\n")));
    EXPECT_FALSE(server_runs());
}

TEST_F(ClusterTest, TellsWhyADamagedClusterDoesNotStart) {
    have_cluster();
    fs::remove(data() / "global" / "pg_control");
    EXPECT_THAT(error_of_opening(), HasSubstr("pg_control"));
}

TEST_F(ClusterTest, ItsOwnSettingsGiveWayToTheUsers) {
    have_cluster();
    std::ofstream{data() / "postgresql.conf", std::ios::app} << "max_connections = 33\n";
    EXPECT_EQ(value_of(open()->url(), "current_setting('max_connections')"), "33");
}

TEST_F(ClusterTest, HandsNoOpenFileToTheServer) {
    have_cluster();
    const auto secret = data_dir().parent_path() / "secret";
    std::ofstream{secret} << "x";
    const int inheritable = ::open(secret.c_str(), O_RDONLY);
    const auto cluster = open();
    const auto server = find_postmaster(data()).value().process;
    for (const auto& entry : fs::directory_iterator{"/proc/" + std::to_string(server) + "/fd"})
        EXPECT_NE(fs::read_symlink(entry.path()), secret);
    ::close(inheritable);
}

TEST_F(ClusterTest, SurvivesACtrlCAtItsUsersTerminal) {
    have_cluster();
    const auto cluster = open();
    EXPECT_NE(::getsid(find_postmaster(data()).value().process), ::getsid(0));
}

TEST(LastWordsTest, AreTheFirstErrorOfTheLastRunAndWhatFollows) {
    EXPECT_EQ(last_words("2026-01-02 03:04:05.678 UTC [12] FATAL:  yesterday's\n"
                         "2026-01-02 03:04:05.678 UTC [12] LOG:  starting PostgreSQL 15.20\n"
                         "2026-01-02 03:04:05.678 UTC [12] LOG:  starting\n"
                         "2026-01-02 03:04:05.679 UTC [12] FATAL:  could not write: No space left on device\n"
                         "2026-01-02 03:04:05.680 UTC [12] LOG:  database system is shut down\n"),
              "FATAL:  could not write: No space left on device; LOG:  database system is shut down");
    EXPECT_EQ(last_words("one\n\ntwo\n"), "one; two");
    EXPECT_EQ(last_words(""), "");
}

}  // namespace
}  // namespace leadsync::postgres
