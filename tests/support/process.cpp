#include "tests/support/process.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sstream>
#include <stdexcept>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

namespace leadsync::test_support {
namespace {

constexpr int cannot_run = 127;

std::string text_of(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream{file}.rdbuf();
    return text.str();
}

std::vector<std::string> merged_environment(const std::map<std::string, std::string>& additions) {
    std::vector<std::string> result;
    result.reserve(additions.size());
    for (const auto& [name, value] : additions) result.push_back(fmt::format("{}={}", name, value));
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string text{*variable};
        if (!additions.contains(text.substr(0, text.find('=')))) result.push_back(text);
    }
    return result;
}

std::vector<char*> pointers_to(std::vector<std::string>& words) {
    std::vector<char*> result;
    result.reserve(words.size() + 1);
    for (auto& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
}

void become(const passwd& account) {
    if (::setgroups(0, nullptr) != 0 || ::setgid(account.pw_gid) != 0 || ::setuid(account.pw_uid) != 0)
        ::_exit(cannot_run);
}

}  // namespace

Process::Process(const std::vector<std::string>& command, const ProcessOptions& options) {
    auto words = command;
    auto variables = merged_environment(options.environment);
    const auto arguments = pointers_to(words);
    const auto environment = pointers_to(variables);
    const passwd* account = options.user ? ::getpwnam(options.user->c_str()) : nullptr;
    if (options.user && account == nullptr) throw std::runtime_error{"no user " + *options.user};
    const auto output = files_.path() / "output";
    const auto errors = files_.path() / "errors";
    const pid_t parent = ::getpid();

    id_ = ::fork();
    if (id_ < 0) throw std::system_error{errno, std::generic_category(), "fork"};
    if (id_ == 0) {
        ::dup2(::open("/dev/null", O_RDONLY), STDIN_FILENO);
        ::dup2(::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDOUT_FILENO);
        ::dup2(::open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
        ::close_range(3, ~0U, 0);
        if (account != nullptr) become(*account);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of user, which clears it
        if (::getppid() != parent) ::_exit(cannot_run);
        if (!options.folder.empty() && ::chdir(options.folder.c_str()) != 0) ::_exit(cannot_run);
        ::execvpe(arguments[0], arguments.data(), environment.data());
        ::_exit(cannot_run);
    }
    handle_ = static_cast<int>(::syscall(SYS_pidfd_open, id_, 0));
}

Process::~Process() {
    kill();
    ::close(handle_);
}

std::optional<int> Process::wait(std::chrono::milliseconds deadline) {
    if (status_) return status_;
    pollfd ended{handle_, POLLIN, 0};
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (auto left = deadline;;) {
        const int ready = ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready > 0) break;
        if (ready == 0 || errno != EINTR) return std::nullopt;
        left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    }
    int status = 0;
    ::waitpid(id_, &status, 0);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return status_;
}

void Process::send(int signal) const {
    if (!status_) ::kill(id_, signal);
}

void Process::kill() {
    send(SIGKILL);
    wait();
}

std::string Process::output() const { return text_of(files_.path() / "output"); }

std::string Process::errors() const { return text_of(files_.path() / "errors"); }

}  // namespace leadsync::test_support
