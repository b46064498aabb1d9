#include "connectors/postgres/file_lock.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <system_error>
#include <unistd.h>

namespace leadsync::postgres {

FileLock::FileLock(const std::filesystem::path& file, Mode mode)
    : file_{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)} {
    if (file_ < 0) throw std::system_error{errno, std::generic_category(), "cannot open " + file.string()};
    while (::flock(file_, mode == Mode::shared ? LOCK_SH : LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        const int error = errno;
        ::close(file_);
        throw std::system_error{error, std::generic_category(), "cannot lock " + file.string()};
    }
}

FileLock::~FileLock() { ::close(file_); }

bool FileLock::become_exclusive() { return ::flock(file_, LOCK_EX | LOCK_NB) == 0; }

}  // namespace leadsync::postgres
