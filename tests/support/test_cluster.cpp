#include "tests/support/test_cluster.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <system_error>
#include <unistd.h>

#include "connectors/postgres/embedded_cluster.hpp"
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
    TestCluster() { watch_over(folder.path()); }

    TemporaryDirectory folder;
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables)
    postgres::EmbeddedCluster cluster{open_to_server(folder), {.durable = false}};

    /// mkdtemp's 0700 would keep the server's account out when we are root.
    static const std::filesystem::path& open_to_server(const TemporaryDirectory& directory) {
        std::filesystem::permissions(directory.path(), std::filesystem::perms{0755});
        return directory.path();
    }
};

}  // namespace

std::string test_cluster_url() {
    static const TestCluster cluster;
    return cluster.cluster.url();
}

}  // namespace leadsync::test_support
