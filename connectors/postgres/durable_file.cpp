#include "connectors/postgres/durable_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <system_error>
#include <unistd.h>

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const char* step, const fs::path& path) {
    throw std::system_error{errno, std::generic_category(), std::string{step} + " " + path.string()};
}

class OpenFile {
public:
    OpenFile(const fs::path& path, int flags) : path_{path}, file_{::open(path.c_str(), flags | O_CLOEXEC, 0600)} {
        if (file_ < 0) fail("cannot open", path_);
    }
    ~OpenFile() { ::close(file_); }
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;

    void write(std::string_view text) const {
        while (!text.empty()) {
            const auto written = ::write(file_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail("cannot write", path_);
            text.remove_prefix(static_cast<std::size_t>(written));
        }
    }

    void sync() const {
        if (::fsync(file_) != 0) fail("cannot write", path_);
    }

private:
    fs::path path_;
    int file_;
};

}  // namespace

void write_durably(const fs::path& file, std::string_view text) {
    const fs::path unfinished = file.string() + ".new";
    const OpenFile output{unfinished, O_WRONLY | O_CREAT | O_TRUNC};
    output.write(text);
    output.sync();
    fs::rename(unfinished, file);
    sync_folder(file.parent_path());
}

void sync_folder(const fs::path& folder) { OpenFile{folder, O_RDONLY | O_DIRECTORY}.sync(); }

}  // namespace leadsync::postgres
