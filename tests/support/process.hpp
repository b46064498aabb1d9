#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "tests/support/temporary_directory.hpp"

namespace leadsync::test_support {

struct ProcessOptions {
    std::map<std::string, std::string> environment;  ///< On top of ours.
    std::optional<std::string> user;                 ///< Run as that user; we have to be root.
    std::filesystem::path folder;                    ///< Working directory; empty: ours.
};

/// A program that runs beside the test, and is killed with it: by the destructor, or by the kernel.
class Process {
public:
    /// Throws std::system_error when it cannot be forked; a program that does not exist exits with 127.
    explicit Process(const std::vector<std::string>& command, const ProcessOptions& options = {});
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    [[nodiscard]] pid_t id() const { return id_; }
    /// Exit status, 128 + number when a signal ended it; nothing when it still runs after `deadline`.
    std::optional<int> wait(std::chrono::milliseconds deadline = std::chrono::seconds{30});
    [[nodiscard]] bool running() { return !wait(std::chrono::milliseconds{0}); }
    void send(int signal) const;
    /// As the machine's worst moment would: SIGKILL, and gone when this returns.
    void kill();

    /// What it has written so far.
    [[nodiscard]] std::string output() const;
    [[nodiscard]] std::string errors() const;

private:
    TemporaryDirectory files_;
    pid_t id_ = -1;
    int handle_ = -1;
    std::optional<int> status_;
};

}  // namespace leadsync::test_support
