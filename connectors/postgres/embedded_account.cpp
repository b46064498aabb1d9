#include "connectors/postgres/embedded_account.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <optional>
#include <pwd.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;

std::string last_error() { return std::strerror(errno); }

std::optional<struct stat> status_of(const fs::path& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
    return status;
}

ServerAccount account_of(const passwd& entry) {
    std::vector<gid_t> groups(256);
    int count = static_cast<int>(groups.size());
    if (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0)
        groups = {entry.pw_gid};
    else
        groups.resize(static_cast<std::size_t>(count));
    return {entry.pw_name, entry.pw_uid, entry.pw_gid, std::move(groups)};
}

ServerAccount account_with(uid_t user) {
    if (const passwd* entry = ::getpwuid(user)) return account_of(*entry);
    return {std::to_string(user), user, user == ::geteuid() ? ::getegid() : user, {}};
}

ServerAccount stand_in_for_root() {
    for (const char* name : {"leadsync", "postgres"})
        if (const passwd* entry = ::getpwnam(name)) return account_of(*entry);
    throw ClusterError{
        "PostgreSQL does not run as root, and there is no user leadsync or postgres to run it: "
        "useradd --system leadsync, or start leadsync as an ordinary user"};
}

void make_parents(const fs::path& folder) {
    if (fs::exists(folder)) return;
    make_parents(folder.parent_path());
    // 0755 whatever the umask: the server's account has to get through.
    if (::mkdir(folder.c_str(), 0755) == 0)
        ::chmod(folder.c_str(), 0755);
    else if (errno != EEXIST)
        throw ClusterError{fmt::format("cannot make {}: {}; choose another data_dir", folder.string(), last_error())};
}

/// Root's own right to chown is used on the open folder, never by name: see ActingAs.
void hand_over(const fs::path& home, const ServerAccount& account) {
    const int folder = ::open(home.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0) throw ClusterError{fmt::format("cannot open {}: {}", home.string(), last_error())};
    struct stat status {};
    const bool done = ::fstat(folder, &status) == 0
                      && (status.st_uid == account.user || ::fchown(folder, account.user, account.group) == 0);
    const auto problem = last_error();
    ::close(folder);
    if (!done) throw ClusterError{fmt::format("cannot give {} to {}: {}", home.string(), account.name, problem)};
}

fs::path first_closed_folder(const fs::path& home) {
    fs::path entered;
    for (const auto& part : home) {
        entered /= part;
        const int folder = ::open((entered / ".").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) return entered;
        ::close(folder);
    }
    return home;
}

void require_entry(const fs::path& home, const ServerAccount& account) {
    const ActingAs acting{account};
    const int folder = ::open(home.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        ::close(folder);
        return;
    }
    throw ClusterError{
        fmt::format("PostgreSQL runs as user {}, who may not enter {}: chmod a+x it, or choose another "
                    "data_dir",
                    account.name, first_closed_folder(home).string())};
}

}  // namespace

ServerAccount server_account(const fs::path& home) {
    const uid_t ours = ::geteuid();
    const auto existing = status_of(home);
    if (ours != 0) {
        if (existing && existing->st_uid != ours)
            throw ClusterError{fmt::format("{} belongs to user {}: run leadsync as {} or as root", home.string(),
                                           account_with(existing->st_uid).name, account_with(existing->st_uid).name)};
        return account_with(ours);
    }
    if (existing && existing->st_uid != 0) return account_with(existing->st_uid);
    return stand_in_for_root();
}

void make_home(const fs::path& home, const ServerAccount& account) {
    make_parents(home.parent_path());
    if (::mkdir(home.c_str(), 0700) != 0 && errno != EEXIST)
        throw ClusterError{fmt::format("cannot make {}: {}; choose another data_dir", home.string(), last_error())};
    if (::geteuid() == 0) hand_over(home, account);
    require_entry(home, account);
}

// On the way in the group first, on the way out the user first: changing the group takes root's rights.
ActingAs::ActingAs(const ServerAccount& account)
    : previous_user_{static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1)))},
      previous_group_{static_cast<gid_t>(::setfsgid(account.group))} {
    ::setfsuid(account.user);
}

ActingAs::~ActingAs() {
    ::setfsuid(previous_user_);
    ::setfsgid(previous_group_);
}

}  // namespace leadsync::postgres
