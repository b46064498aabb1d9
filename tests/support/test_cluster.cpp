#include "tests/support/test_cluster.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unistd.h>

#include "connectors/postgres/embedded_cluster.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/temporary_directory.hpp"

namespace leadsync::test_support {
namespace {

/// Ends when its standard input does, that is when we do, and then takes care of a server we could not stop.
constexpr const char* undertaker = R"(
cat >/dev/null
server=$(head -n 1 "$0/postgres/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$server" 2>/dev/null
for attempt in 1 2 3 4 5 6 7 8 9 10; do  # its last writers may need a moment to notice
    rm -rf "$0" && break
    sleep 0.5
done
)";

/// A shell in a session of its own, so that neither Ctrl-C nor a killed process group takes it along.
void watch_over(const std::string& folder) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::system_error{errno, std::generic_category(), "pipe2"};
    if (::fork() == 0) {
        ::setsid();
        ::dup2(pipe[0], STDIN_FILENO);
        // CTest waits until nobody holds a test's output any more.
        const int nothing = ::open("/dev/null", O_WRONLY);
        ::dup2(nothing, STDOUT_FILENO);
        ::dup2(nothing, STDERR_FILENO);
        ::close_range(3, ~0U, 0);
        ::execl("/bin/sh", "sh", "-c", undertaker, folder.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(pipe[0]);  // the other end stays open for as long as we live
}

struct TestCluster {
    TestCluster() {
        watch_over(folder.path());
        open();
    }

    /// Starts the server when it does not run.
    void open() {
        // The new one first: the old one would stop a server that nobody else uses.
        cluster = std::make_unique<postgres::EmbeddedCluster>(open_to_server(folder),
                                                              postgres::EmbeddedClusterOptions{.durable = false});
    }

    [[nodiscard]] pid_t server() const {
        pid_t process = 0;
        std::ifstream{folder.path() / "postgres/data/postmaster.pid"} >> process;
        return process;
    }

    TemporaryDirectory folder;
    std::unique_ptr<postgres::EmbeddedCluster> cluster;

    /// mkdtemp's 0700 would keep the server's account out when we are root.
    static const std::filesystem::path& open_to_server(const TemporaryDirectory& directory) {
        std::filesystem::permissions(directory.path(), std::filesystem::perms{0755});
        return directory.path();
    }
};

TestCluster& the_cluster() {
    static TestCluster cluster;
    return cluster;
}

}  // namespace

std::string test_cluster_url() { return the_cluster().cluster->url(); }

void restart_test_cluster(ServerEnd end) {
    auto& cluster = the_cluster();
    const auto server = cluster.server();
    if (server <= 0) throw std::runtime_error{"the test cluster does not run"};
    ::kill(server, end == ServerEnd::fast ? SIGINT : SIGQUIT);
    const auto is_gone = [&] { return ::kill(server, 0) != 0 && errno == ESRCH; };
    if (!eventually(is_gone, std::chrono::seconds{30})) throw std::runtime_error{"the test cluster does not stop"};
    cluster.open();
}

}  // namespace leadsync::test_support
