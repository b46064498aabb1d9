#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "sync/freshness.hpp"
#include "sync/guard.hpp"
#include "sync/policy.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::daemon {

/// A text that is printed nowhere: only `reveal` gives it, and neither a stream nor fmt takes it.
class Secret {
public:
    explicit Secret(std::string text) : text_{std::move(text)} {}
    [[nodiscard]] const std::string& reveal() const { return text_; }
    bool operator==(const Secret&) const = default;

private:
    std::string text_;
};

std::ostream& operator<<(std::ostream&, const Secret&) = delete;

enum class LogLevel { trace, debug, info, warn, error };

/// `automatic` (`auto` in the file): text when stderr is a terminal, else JSON.
enum class LogFormat { automatic, text, json };

struct LogConfig {
    LogLevel level = LogLevel::info;
    LogFormat format = LogFormat::automatic;
    bool operator==(const LogConfig&) const = default;
};

struct DatabaseConfig {
    std::optional<Secret> url;  ///< Nothing: an embedded cluster under `data_dir`.
    bool operator==(const DatabaseConfig&) const = default;
};

/// The workspace's request limits at Instantly, and the share of them that is ours to use.
struct RateConfig {
    int per_second = 100;
    int per_minute = 6000;
    double share = 0.8;
    bool operator==(const RateConfig&) const = default;
};

sync::RateLimits limits_of(const RateConfig& rate);

struct FreshnessConfig {
    sync::FreshnessBounds bounds;                                 ///< Keys `new`, `active` and `rest`.
    std::chrono::milliseconds active_for = std::chrono::days{7};  ///< After the last thing that happened to a lead.
    bool operator==(const FreshnessConfig&) const = default;
};

struct WorkspaceConfig {
    std::string name;
    Secret api_key;
    std::string base_url = "https://api.instantly.ai";  ///< Scheme, host and port; no `/` at the end.
    RateConfig rate;
    FreshnessConfig freshness;
    sync::ConflictPolicy conflicts;
    sync::DeletePolicy deletes;
    sync::Guard guard;
    std::chrono::hours history_keep = std::chrono::days{90};
    bool operator==(const WorkspaceConfig&) const = default;
};

struct Config {
    std::filesystem::path file;
    DatabaseConfig database;
    std::filesystem::path data_dir = "/var/lib/leadsync";
    LogConfig log;
    std::vector<WorkspaceConfig> workspaces;  ///< At least one.
};

/// What is wrong with a config, one line each in the order of the file: `FILE:LINE:COLUMN: KEY: what to do`.
/// Never holds a secret.
class ConfigError : public std::runtime_error {
public:
    explicit ConfigError(std::vector<std::string> lines);
    [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

private:
    std::vector<std::string> lines_;
};

/// The value of an environment variable; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

std::optional<std::string> process_environment(const std::string& name);

/// Reads and checks everything. Relative paths in it are relative to its folder. Throws ConfigError.
Config load_config(const std::filesystem::path& file, const Environment& environment = process_environment);

/// `given`, else the first of leadsync.yaml and /etc/leadsync/leadsync.yaml that exists. Throws ConfigError.
std::filesystem::path find_config(const std::optional<std::filesystem::path>& given);

}  // namespace leadsync::daemon

template <>
struct fmt::formatter<leadsync::daemon::Secret> {
    formatter() = delete;
};
