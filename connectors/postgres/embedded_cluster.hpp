#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "connectors/postgres/embedded_account.hpp"
#include "connectors/postgres/file_lock.hpp"

namespace leadsync::postgres {

struct EmbeddedClusterOptions {
    /// False: a power cut may destroy the cluster. For tests, which are several times faster so.
    bool durable = true;
    /// The folder of initdb, postgres and pg_ctl; empty: see find_server_programs.
    std::filesystem::path programs;
    /// After a crash the server first replays up to a gigabyte of log.
    std::chrono::seconds start_timeout{300};
    /// The daemon has ten seconds to exit; a server that needs longer ends by itself.
    std::chrono::seconds stop_timeout{8};
};

/// leadsync's own PostgreSQL 15, for whoever has no server: in `data_dir`/postgres, reached by a Unix socket only.
///
///     data/     the cluster; postgresql.conf in it is the user's to extend
///     socket/   0700: who may enter is superuser `leadsync`. A path too long for a socket: /tmp/leadsync-<hash>
///     instead log/      the server's messages, a file per weekday
///     *.lock    start.lock: one process at a time starts or stops; users.lock: shared by all that use the server
///
/// The server outlives a killed user, who finds it again. Started as root it runs as another account
/// (server_account).
class EmbeddedCluster {
public:
    /// Finds the running server, or starts it, or makes the cluster first. Waits for another process that does so.
    /// Throws ClusterError.
    explicit EmbeddedCluster(const std::filesystem::path& data_dir, EmbeddedClusterOptions options = {});
    /// Stops the server when no other process uses it.
    ~EmbeddedCluster();
    EmbeddedCluster(const EmbeddedCluster&) = delete;
    EmbeddedCluster& operator=(const EmbeddedCluster&) = delete;

    /// A libpq URL of the database `crm`.
    [[nodiscard]] std::string url() const;
    /// A line to paste into a shell.
    [[nodiscard]] std::string psql_command() const;

private:
    void open();
    void make_cluster();
    void start_server();
    void stop_if_unused() noexcept;
    void make_database() const;
    [[nodiscard]] bool server_is_ready() const;
    [[nodiscard]] std::filesystem::path data() const { return home_ / "data"; }
    [[nodiscard]] std::filesystem::path make_socket_folder() const;
    void write_settings(const std::filesystem::path& cluster) const;
    void run(const std::vector<std::string>& command) const;

    EmbeddedClusterOptions options_;
    std::filesystem::path home_;
    ServerAccount account_;
    std::filesystem::path programs_;
    std::filesystem::path socket_folder_;
    std::optional<FileLock> users_;
};

}  // namespace leadsync::postgres
