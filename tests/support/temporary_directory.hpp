#pragma once

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>

namespace leadsync::test_support {

/// A new folder below /tmp, removed with all it holds at the end.
class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string name = "/tmp/leadsync-test-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::generic_category(), name};
        path_ = name;
    }
    ~TemporaryDirectory() {
        std::error_code best_effort;
        std::filesystem::remove_all(path_, best_effort);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace leadsync::test_support
