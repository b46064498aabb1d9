#include "connectors/postgres/embedded_cluster.hpp"

#include <array>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>
#include <pqxx/pqxx>
#include <spdlog/spdlog.h>

#include "connectors/postgres/digest.hpp"
#include "connectors/postgres/durable_file.hpp"
#include "connectors/postgres/embedded_postmaster.hpp"
#include "connectors/postgres/embedded_program.hpp"

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view superuser = "leadsync";
constexpr std::string_view database = "crm";
constexpr std::string_view server_version = "15";
constexpr std::string_view unfinished_prefix = "data.new.";

constexpr std::string_view postgresql_conf = R"(# leadsync's own settings, rewritten at every start:
include 'leadsync.conf'
# What you set below, or by ALTER SYSTEM, wins over them.
)";

// The folder of the socket decides who may connect, and nothing else listens.
constexpr std::string_view pg_hba_conf = R"(local all all trust
local replication all trust
)";

constexpr std::string_view common_settings =
    R"(# Rewritten at every start: put your own settings into postgresql.conf.
listen_addresses = ''
port = 5432
unix_socket_permissions = 0700
max_connections = 50
shared_buffers = 256MB
autovacuum_naptime = 10s
timezone = 'UTC'
lc_messages = 'C.UTF-8'
lc_monetary = 'C.UTF-8'
lc_numeric = 'C.UTF-8'
lc_time = 'C.UTF-8'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
logging_collector = on
log_directory = '../log'
log_filename = 'postgres-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
)";

constexpr std::string_view careless_settings = R"(fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
)";

void make_private_folder(const fs::path& folder) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        throw std::system_error{errno, std::generic_category(), "cannot make " + folder.string()};
}

/// In /tmp anybody could have taken the name before us.
void require_private(const fs::path& folder, const ServerAccount& account) {
    struct stat status {};
    if (::lstat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == account.user
        && (status.st_mode & 077U) == 0)
        return;
    throw ClusterError{
        fmt::format("{} is not a private (0700) folder of user {}: remove it, or choose a shorter data_dir",
                    folder.string(), account.name)};
}

/// What `sockaddr_un` holds, and no comma, which libpq takes for a list of hosts.
bool fits_a_socket(const fs::path& folder) {
    constexpr std::size_t path_max = 107;
    const auto socket = (folder / ".s.PGSQL.5432").string();
    return socket.size() <= path_max && socket.find(',') == std::string::npos;
}

/// A list of folders as postgresql.conf quotes it: each in double quotes, all in single ones.
std::string setting_of(const fs::path& folder) {
    std::string quoted;
    for (const char c : folder.string()) {
        quoted += c;
        if (c == '\'' || c == '"' || c == '\\') quoted += c;
    }
    return fmt::format("unix_socket_directories = '\"{}\"'\n", quoted);
}

std::string url_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                           || std::string_view{"/-._~"}.find(c) != std::string_view::npos;
        encoded += plain ? std::string{c} : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return encoded;
}

std::string url_of(const fs::path& socket_folder, std::string_view database_name) {
    return fmt::format("postgresql://{}@/{}?host={}&port=5432", superuser, database_name,
                       url_encoded(socket_folder.string()));
}

void require_version(const fs::path& cluster) {
    std::string version;
    std::ifstream{cluster / "PG_VERSION"} >> version;
    if (version != server_version)
        throw ClusterError{
            fmt::format("{} is of PostgreSQL {}, and leadsync runs {}: use pg_upgrade, or another data_dir",
                        cluster.string(), version.empty() ? "unknown version" : version, server_version)};
}

void remove_unfinished(const fs::path& home) {
    for (const auto& entry : fs::directory_iterator{home}) {
        std::error_code still_written_to;
        if (entry.path().filename().string().starts_with(unfinished_prefix))
            fs::remove_all(entry.path(), still_written_to);
    }
}

/// A name of its own each time: an initdb whose parent was killed may still be writing to the last one.
fs::path make_unfinished(const fs::path& home) {
    auto name = (home / unfinished_prefix).string() + "XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
        throw std::system_error{errno, std::generic_category(), "cannot make a folder in " + home.string()};
    return name;
}

fs::path home_in(const fs::path& data_dir) {
    std::error_code error;
    const auto resolved = fs::weakly_canonical(fs::absolute(data_dir), error);
    if (error) throw ClusterError{fmt::format("cannot reach data_dir {}: {}", data_dir.string(), error.message())};
    return resolved / "postgres";
}

}  // namespace

EmbeddedCluster::EmbeddedCluster(const fs::path& data_dir, EmbeddedClusterOptions options)
    : options_{std::move(options)}, home_{home_in(data_dir)}, account_{server_account(home_)} {
    try {
        make_home(home_, account_);
        const ActingAs acting{account_};
        const FileLock starting{home_ / "start.lock", FileLock::Mode::exclusive};
        users_.emplace(home_ / "users.lock", FileLock::Mode::shared);
        try {
            open();
        } catch (...) {
            stop_if_unused();
            throw;
        }
    } catch (const ClusterError&) {
        throw;
    } catch (const std::exception& error) {
        throw ClusterError{fmt::format("embedded PostgreSQL in {}: {}", home_.string(), last_words(error.what()))};
    }
}

EmbeddedCluster::~EmbeddedCluster() {
    try {
        const ActingAs acting{account_};
        // So that nobody finds the server in the moment before it stops.
        const FileLock starting{home_ / "start.lock", FileLock::Mode::exclusive};
        stop_if_unused();
    } catch (const std::exception& error) {
        spdlog::warn("embedded PostgreSQL in {} was left running: {}", home_.string(), error.what());
    }
}

std::string EmbeddedCluster::url() const { return url_of(socket_folder_, database); }

std::string EmbeddedCluster::psql_command() const { return fmt::format("psql '{}'", url()); }

void EmbeddedCluster::open() {
    programs_ = options_.programs.empty() ? find_server_programs(account_) : options_.programs;
    for (const char* folder : {"socket", "log"}) make_private_folder(home_ / folder);
    if (!fs::exists(data())) make_cluster();
    require_version(data());
    if (!server_is_ready()) start_server();
    socket_folder_ = find_postmaster(data()).value().socket_folder;
    make_database();
}

void EmbeddedCluster::make_cluster() {
    remove_unfinished(home_);
    const auto cluster = make_unfinished(home_);
    std::vector<std::string> initdb{programs_ / "initdb", "--pgdata=" + cluster.filename().string(),
                                    "--encoding=UTF8",    "--locale=C.UTF-8",
                                    "--data-checksums",   "--auth=trust",
                                    "--no-instructions",  fmt::format("--username={}", superuser)};
    if (!options_.durable) initdb.emplace_back("--no-sync");
    try {
        run(initdb);
        require_version(cluster);
        write_durably(cluster / "pg_hba.conf", pg_hba_conf);
        write_durably(cluster / "postgresql.conf", postgresql_conf);
        fs::rename(cluster, data());
    } catch (...) {
        remove_unfinished(home_);
        throw;
    }
    sync_folder(home_);
}

/// True: it runs. False: it does not, and nothing of it is left. Between the two it is waited for.
bool EmbeddedCluster::server_is_ready() const {
    const auto deadline = std::chrono::steady_clock::now() + options_.start_timeout;
    while (const auto server = find_postmaster(data())) {
        if (server->state == "ready") return true;
        if (std::chrono::steady_clock::now() > deadline)
            throw ClusterError{fmt::format("PostgreSQL in {} (process {}) is {} for {} s now: {}", home_.string(),
                                           server->process, server->state, options_.start_timeout.count(),
                                           server_log_tail(home_ / "log"))};
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
    return false;
}

void EmbeddedCluster::start_server() {
    const auto socket_folder = make_socket_folder();
    forget_postmaster(data(), socket_folder);
    write_settings(data());
    fs::remove(home_ / "log" / "start.log");
    const auto result = run_program({programs_ / "pg_ctl", "start", "--pgdata=data", "--log=log/start.log", "--wait",
                                     fmt::format("--timeout={}", options_.start_timeout.count())},
                                    home_, account_);
    // One that a killed process had just started may have come first.
    if (result.status == 0 || server_is_ready()) return;
    throw ClusterError{fmt::format("PostgreSQL in {} does not start: {} (see {})", home_.string(),
                                   server_log_tail(home_ / "log"), (home_ / "log").string())};
}

fs::path EmbeddedCluster::make_socket_folder() const {
    if (fits_a_socket(home_ / "socket")) return home_ / "socket";
    // Not below XDG_RUNTIME_DIR, which is emptied when its user logs out, with the server still running.
    fs::path folder = "/tmp/leadsync-" + sha256_hex(home_.string()).substr(0, 16);
    make_private_folder(folder);
    require_private(folder, account_);
    return folder;
}

void EmbeddedCluster::write_settings(const fs::path& cluster) const {
    const auto write = [&](std::string_view compression) {
        write_durably(cluster / "leadsync.conf",
                      fmt::format("{}{}{}wal_compression = {}\n", common_settings, setting_of(make_socket_folder()),
                                  options_.durable ? "" : careless_settings, compression));
    };
    write("lz4");
    const auto knows_it =
        run_program({programs_ / "postgres", "-D", "data", "-C", "wal_compression"}, home_, account_);
    if (knows_it.status != 0) write("on");
}

void EmbeddedCluster::make_database() const {
    pqxx::connection connection{url_of(socket_folder_, "postgres")};
    pqxx::nontransaction session{connection};
    if (session.exec_params("SELECT FROM pg_database WHERE datname = $1", std::string{database}).empty())
        session.exec(fmt::format("CREATE DATABASE {}", database));
}

void EmbeddedCluster::stop_if_unused() noexcept {
    try {
        if (!users_ || !users_->become_exclusive() || !find_postmaster(data())) return;
        run({programs_ / "pg_ctl", "stop", "--pgdata=data", "--mode=fast", "--wait",
             fmt::format("--timeout={}", options_.stop_timeout.count())});
    } catch (const std::exception& error) {
        spdlog::warn("embedded PostgreSQL in {} was left running: {}", home_.string(), error.what());
    }
}

void EmbeddedCluster::run(const std::vector<std::string>& command) const {
    const auto result = run_program(command, home_, account_);
    if (result.status != 0)
        throw ClusterError{
            fmt::format("{} failed in {}: {}", command.front(), home_.string(), last_words(result.output))};
}

}  // namespace leadsync::postgres
