#include "connectors/postgres/embedded_program.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;

constexpr int cannot_run = 127;

/// Everything the child needs, made before the fork: after it, only async-signal-safe calls are allowed, because
/// another thread may have held malloc's lock.
struct Launch {
    std::vector<char*> arguments;
    std::vector<char*> environment;
    const char* folder;
    const ServerAccount* account;
    int output;
    pid_t parent;
};

[[noreturn]] void give_up(const char* step) {
    const char* reason = ::strerrordesc_np(errno);
    for (const char* text : {step, ": ", reason})
        if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) break;
    ::_exit(cannot_run);
}

void reset_signals() {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
}

void become(const ServerAccount& account) {
    if (::geteuid() != 0) return;
    if (::setgroups(account.groups.size(), account.groups.data()) != 0) give_up("setgroups");
    if (::setresgid(account.group, account.group, account.group) != 0) give_up("setresgid");
    if (::setresuid(account.user, account.user, account.user) != 0) give_up("setresuid");
}

[[noreturn]] void run_child(const Launch& launch) {
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(launch.output, STDOUT_FILENO);
    ::dup2(launch.output, STDERR_FILENO);
    ::close_range(3, ~0U, 0);
    ::setsid();
    reset_signals();
    become(*launch.account);
    // After the change of user, which clears it. An initdb without us would go on writing into a folder nobody wants.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != launch.parent) ::_exit(cannot_run);
    if (::chdir(launch.folder) != 0) give_up("chdir");
    ::execve(launch.arguments[0], launch.arguments.data(), launch.environment.data());
    give_up(launch.arguments[0]);
}

std::string read_to_end(int file) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const auto length = ::read(file, buffer.data(), buffer.size());
        if (length > 0)
            text.append(buffer.data(), static_cast<std::size_t>(length));
        else if (length == 0 || errno != EINTR)
            return text;
    }
}

int wait_for(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool holds_server(const fs::path& folder) {
    for (const char* program : {"initdb", "pg_ctl", "postgres"})
        if (::access((folder / program).c_str(), X_OK) != 0) return false;
    return true;
}

std::vector<fs::path> path_folders() {
    const char* path = std::getenv("PATH");
    std::istringstream folders{path != nullptr ? path : ""};
    std::vector<fs::path> result;
    for (std::string folder; std::getline(folders, folder, ':');)
        if (!folder.empty()) result.emplace_back(folder);
    return result;
}

std::string trimmed(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

}  // namespace

ProgramResult run_program(const std::vector<std::string>& command, const fs::path& folder,
                          const ServerAccount& account) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0)
        throw ClusterError{fmt::format("cannot run {}: {}", command.front(), std::strerror(errno))};

    // The server's messages in English, which we read; nothing of PGPORT, PGOPTIONS and the like.
    std::vector<std::string> variables{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"};
    auto words = command;
    Launch launch{{}, {}, folder.c_str(), &account, pipe[1], ::getpid()};
    for (auto& word : words) launch.arguments.push_back(word.data());
    for (auto& variable : variables) launch.environment.push_back(variable.data());
    launch.arguments.push_back(nullptr);
    launch.environment.push_back(nullptr);

    const pid_t child = ::fork();
    if (child == 0) run_child(launch);
    const int fork_error = errno;
    ::close(pipe[1]);
    auto output = child > 0 ? read_to_end(pipe[0]) : std::string{};
    ::close(pipe[0]);
    if (child < 0) throw ClusterError{fmt::format("cannot run {}: {}", command.front(), std::strerror(fork_error))};

    const int status = wait_for(child);
    if (status == cannot_run)
        throw ClusterError{
            fmt::format("cannot run {} as user {}: {}", command.front(), account.name, trimmed(output))};
    return {status, std::move(output)};
}

fs::path find_server_programs(const ServerAccount& account) {
    std::vector<fs::path> candidates{"/usr/lib/postgresql/15/bin"};
    const auto path = path_folders();
    for (const auto& folder : path)
        if (::access((folder / "pg_config").c_str(), X_OK) == 0)
            candidates.emplace_back(trimmed(run_program({folder / "pg_config", "--bindir"}, "/", account).output));
    candidates.insert(candidates.end(), path.begin(), path.end());
    for (const auto& folder : candidates)
        if (holds_server(folder)) return folder;
    throw ClusterError{
        "no PostgreSQL 15 server programs found, which an embedded database needs: apt install postgresql-15, or set "
        "database.url"};
}

}  // namespace leadsync::postgres
