#pragma once

#include <filesystem>

namespace leadsync::postgres {

/// A lock on a file (flock), made where missing. The kernel releases it when the process ends, however it ends.
class FileLock {
public:
    enum class Mode { shared, exclusive };

    /// Waits for the lock. Throws std::system_error when the file cannot be opened.
    FileLock(const std::filesystem::path& file, Mode mode);
    ~FileLock();
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    /// Turns a shared lock into an exclusive one without waiting. False: somebody else holds it too, and ours is
    /// gone.
    bool become_exclusive();

private:
    int file_;
};

}  // namespace leadsync::postgres
