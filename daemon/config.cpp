#include "daemon/config.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include <fmt/ranges.h>

#include "daemon/config_keys.hpp"
#include "daemon/config_reader.hpp"
#include "daemon/config_urls.hpp"
#include "sync/fields.hpp"

namespace leadsync::daemon {
namespace {

namespace fs = std::filesystem;

constexpr int requests_max = 1'000'000;

template <class Value>
void take(Value& target, std::optional<Value> value) {
    if (value) target = std::move(*value);
}

DatabaseConfig read_database(const ConfigSection& section) {
    auto url = section.secret("url");
    if (url && !is_database_url(url->reveal())) {
        section.problem(section.has("url") ? "url" : "url_file",
                        "must be a URL such as postgresql://USER@HOST/DATABASE; in a password write every character "
                        "but letters and digits as %XX");
        url.reset();
    }
    return {std::move(url)};
}

LogConfig read_log(const ConfigSection& section) {
    LogConfig log;
    take(log.level, section.choice<LogLevel>("level", {{"trace", LogLevel::trace},
                                                       {"debug", LogLevel::debug},
                                                       {"info", LogLevel::info},
                                                       {"warn", LogLevel::warn},
                                                       {"error", LogLevel::error}}));
    take(log.format,
         section.choice<LogFormat>(
             "format", {{"auto", LogFormat::automatic}, {"text", LogFormat::text}, {"json", LogFormat::json}}));
    return log;
}

RateConfig read_rate(const ConfigSection& section) {
    RateConfig rate;
    take(rate.per_second, section.integer("per_second", 1, requests_max));
    take(rate.per_minute, section.integer("per_minute", 1, requests_max));
    take(rate.share, section.share("share"));
    return rate;
}

FreshnessConfig read_freshness(const ConfigSection& section) {
    FreshnessConfig freshness;
    take(freshness.bounds.fresh, section.duration("new", "100ms", "1d"));
    take(freshness.bounds.active, section.duration("active", "1s", "30d"));
    take(freshness.active_for, section.duration("active_for", "1h", "365d"));
    take(freshness.bounds.rest, section.duration("rest", "1s", "30d"));
    return freshness;
}

std::optional<sync::Rule> read_rule(const ConfigSection& section, std::string_view key) {
    return section.choice<sync::Rule>(key, {{"local", sync::Rule::local},
                                            {"remote", sync::Rule::remote},
                                            {"newest", sync::Rule::newest},
                                            {"manual", sync::Rule::manual}});
}

/// Text fields, and all custom variables by one name.
void read_clearable(const ConfigSection& section, sync::ConflictPolicy& conflicts) {
    for (const auto& name : section.texts("clearable")) {
        const auto field = sync::field_named(name);
        if (name == "custom_variables") {
            conflicts.custom_variables_clearable = true;
        } else if (field && sync::spec(*field).owner == sync::Owner::both_ways
                   && sync::spec(*field).kind == sync::Kind::text) {
            conflicts.clearable.insert(*field);
        } else {
            section.problem("clearable",
                            "must list text fields that go both ways, such as phone or website, or "
                            "custom_variables; what is no text may be emptied anyway");
        }
    }
}

sync::ConflictPolicy read_conflicts(const ConfigSection& section) {
    sync::ConflictPolicy conflicts;
    take(conflicts.fallback, read_rule(section, "default"));
    conflicts.custom_variables = read_rule(section, "custom_variables");
    for (const auto& spec : sync::field_table())
        if (const auto rule = read_rule(section, spec.name)) conflicts.fields[spec.field] = *rule;
    read_clearable(section, conflicts);
    return conflicts;
}

sync::DeletePolicy read_deletes(const ConfigSection& section) {
    sync::DeletePolicy deletes;
    take(deletes.local, section.choice<sync::LocalDeletes>(
                            "local", {{"push", sync::LocalDeletes::push}, {"ignore", sync::LocalDeletes::ignore}}));
    take(deletes.remote, section.choice<sync::RemoteDeletes>("remote", {{"mark", sync::RemoteDeletes::mark},
                                                                        {"delete", sync::RemoteDeletes::remove},
                                                                        {"ignore", sync::RemoteDeletes::ignore}}));
    return deletes;
}

/// `5%`, a number of leads, or `off`.
void read_limit(const ConfigSection& section, std::string_view key, sync::GuardLimit& limit) {
    const auto text = section.text(key);
    if (!text) return;
    constexpr std::int64_t leads_max = 100'000'000;
    std::string_view digits{*text};
    const bool percent = digits.ends_with('%');
    if (percent) digits.remove_suffix(1);
    double number = 0;
    const auto* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number, std::chars_format::fixed);
    const bool whole = percent || (number == std::floor(number) && number <= leads_max);
    if (*text == "off")
        limit = {};
    else if (error != std::errc{} || stop != end || digits.empty() || !std::isfinite(number) || number < 0
             || (percent && number > 100) || !whole)
        section.problem(key,
                        "must be a part of the workspace's leads such as 5%, a number of leads such as 1000, or off");
    else if (percent)
        limit = {.leads = std::nullopt, .part = number / 100};
    else
        limit = {.leads = static_cast<std::int64_t>(number), .part = std::nullopt};
}

sync::Guard read_guard(const ConfigSection& section) {
    sync::Guard guard;
    read_limit(section, "deletes", guard.deletes);
    read_limit(section, "creates", guard.creates);
    read_limit(section, "changes", guard.changes);
    return guard;
}

std::chrono::hours read_history(const ConfigSection& section, std::chrono::hours otherwise) {
    const auto keep = section.duration("keep", "1d", "3650d");
    return keep ? std::chrono::ceil<std::chrono::hours>(*keep) : otherwise;
}

std::string read_name(const ConfigSection& section) {
    constexpr std::size_t length_max = 63;
    auto name = section.text("name").value_or("");
    const bool good = !name.empty() && name.size() <= length_max && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (!section.has("name"))
        section.problem("name", "missing; 1 to 63 of a-z, 0-9 and -, the key in every table");
    else if (!good)
        section.problem("name", "must be 1 to 63 of a-z, 0-9 and -");
    return name;
}

Secret read_api_key(const ConfigSection& section) {
    if (!section.has("api_key") && !section.has("api_key_file"))
        section.problem("api_key", "missing; give api_key: ${VARIABLE}, or api_key_file: PATH");
    auto key = section.secret("api_key");
    // It becomes an HTTP header, where a space or a line's end would be somebody else's.
    if (key && !std::ranges::all_of(key->reveal(), [](char c) { return c > ' ' && c < 127; }))
        section.problem(section.has("api_key") ? "api_key" : "api_key_file",
                        "must be one word of ASCII characters, without spaces and line ends");
    return std::move(key).value_or(Secret{""});
}

std::optional<std::string> read_base_url(const ConfigSection& section) {
    auto url = section.text("base_url");
    if (!url) return std::nullopt;
    if (!is_base_url(*url)) {
        section.problem("base_url",
                        "must be https://HOST or https://HOST:PORT, without path, query and credentials; "
                        "http:// only for localhost, 127.0.0.0/8 and [::1]");
        return std::nullopt;
    }
    if (url->ends_with('/')) url->pop_back();
    return url;
}

WorkspaceConfig read_workspace(const ConfigSection& section) {
    WorkspaceConfig workspace{.name = read_name(section), .api_key = read_api_key(section)};
    take(workspace.base_url, read_base_url(section));
    if (const auto rate = section.section("rate")) workspace.rate = read_rate(*rate);
    if (const auto freshness = section.section("freshness")) workspace.freshness = read_freshness(*freshness);
    if (const auto conflicts = section.section("conflicts")) workspace.conflicts = read_conflicts(*conflicts);
    if (const auto deletes = section.section("deletes")) workspace.deletes = read_deletes(*deletes);
    if (const auto guard = section.section("guard")) workspace.guard = read_guard(*guard);
    if (const auto history = section.section("history"))
        workspace.history_keep = read_history(*history, workspace.history_keep);
    return workspace;
}

std::vector<WorkspaceConfig> read_workspaces(const ConfigSection& top) {
    std::vector<WorkspaceConfig> result;
    if (!top.has("workspaces")) top.problem("workspaces", "missing; list at least one, with name and api_key");
    for (const auto& section : top.sections("workspaces")) {
        auto workspace = read_workspace(section);
        const auto twin = std::ranges::find(result, workspace.name, &WorkspaceConfig::name);
        if (twin != result.end() && section.has("name"))
            section.problem("name", fmt::format("the same as workspaces[{}].name; every workspace needs its own",
                                                twin - result.begin()));
        result.push_back(std::move(workspace));
    }
    return result;
}

Config read_config(const ConfigSection& top) {
    Config config;
    if (const auto database = top.section("database")) config.database = read_database(*database);
    take(config.data_dir, top.file_path("data_dir"));
    if (const auto log = top.section("log")) config.log = read_log(*log);
    config.workspaces = read_workspaces(top);
    return config;
}

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    // An empty file too sets failbit when streamed out; only a directory and the like set errno.
    text << file.rdbuf();
    if (!file.is_open() || errno != 0)
        throw ConfigError{{fmt::format("{}: cannot read it: {}", path.string(), std::strerror(errno))}};
    return text.str();
}

std::vector<YAML::Node> documents_in(const std::string& text, ConfigProblems& problems) {
    try {
        return YAML::LoadAll(text);
    } catch (const YAML::Exception& error) {
        // What follows a colon may be a piece of the file: `api_key: *secret` names a missing anchor.
        problems.add(error.mark, "", fmt::format("not YAML: {}", error.msg.substr(0, error.msg.find(':'))));
        problems.throw_if_any();
        throw;
    }
}

/// The file's single document, a map.
YAML::Node parse(const std::string& text, ConfigProblems& problems) {
    const auto documents = documents_in(text, problems);
    if (documents.size() > 1)
        problems.add(documents[1].Mark(), "", "a second document starts here; a config is one: remove the line ---");
    else if (documents.empty() || !documents.front().IsMap())
        problems.add({}, "", fmt::format("must be a map with the keys {}", fmt::join(keys_of(""), ", ")));
    problems.throw_if_any();
    return documents.front();
}

}  // namespace

sync::RateLimits limits_of(const RateConfig& rate) { return {rate.per_second, rate.per_minute, rate.share}; }

ConfigError::ConfigError(std::vector<std::string> lines)
    : std::runtime_error{fmt::format("{}", fmt::join(lines, "\n"))}, lines_{std::move(lines)} {}

std::optional<std::string> process_environment(const std::string& name) {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

Config load_config(const fs::path& file, const Environment& environment) {
    ConfigProblems problems{file.string()};
    ConfigContext context{problems, environment, fs::absolute(file).parent_path()};
    const ConfigSection top{context, parse(text_of(file), problems), "", ""};
    auto config = read_config(top);
    problems.throw_if_any();
    config.file = file;
    return config;
}

fs::path find_config(const std::optional<fs::path>& given) {
    if (given) return *given;
    for (const char* candidate : {"leadsync.yaml", "/etc/leadsync/leadsync.yaml"})
        if (fs::exists(candidate)) return candidate;
    throw ConfigError{
        {"no config file: neither ./leadsync.yaml nor /etc/leadsync/leadsync.yaml exists; name one by "
         "-c FILE, or make one (config/leadsync.example.yaml shows every key)"}};
}

}  // namespace leadsync::daemon
