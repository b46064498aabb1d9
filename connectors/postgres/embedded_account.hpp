#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/types.h>
#include <vector>

namespace leadsync::postgres {

/// The embedded cluster cannot be made, started or reached; one line that says what to do.
class ClusterError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// The Unix account that runs the server and owns its files.
struct ServerAccount {
    std::string name;
    uid_t user;
    gid_t group;
    std::vector<gid_t> groups;
};

/// Our own account. Root's stand-in, because PostgreSQL refuses to run as root: the owner of `home` where that
/// exists, else `leadsync`, else `postgres`. Throws ClusterError when there is none, or when `home` belongs to
/// somebody else.
ServerAccount server_account(const std::filesystem::path& home);

/// Makes `home` (0700, the account's) and its parents (0755) where they are missing.
/// Throws ClusterError when the account may not enter it.
void make_home(const std::filesystem::path& home, const ServerAccount& account);

/// While it lives, this thread (and no other) reads and writes files with the account's rights. Root needs it: in a
/// folder of somebody else any name may be a symbolic link to a file that only root can write.
class ActingAs {
public:
    explicit ActingAs(const ServerAccount& account);
    ~ActingAs();
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;

private:
    uid_t previous_user_;
    gid_t previous_group_;
};

}  // namespace leadsync::postgres
