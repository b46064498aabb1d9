#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "daemon/config.hpp"

namespace leadsync::daemon {

/// What is wrong with a config file. Values are never quoted: a secret may stand in the wrong place.
class ConfigProblems {
public:
    explicit ConfigProblems(std::string file) : file_{std::move(file)} {}

    void add(const YAML::Mark& where, std::string_view path, std::string_view text);
    /// Throws ConfigError, in the order of the file, when there are any.
    void throw_if_any();

private:
    struct Problem {
        int line;
        int column;
        std::string text;
    };
    std::string file_;
    std::vector<Problem> problems_;
};

/// What reading a value needs besides the value; outlives every section.
struct ConfigContext {
    ConfigProblems& problems;
    const Environment& environment;
    std::filesystem::path folder;  ///< Of the config file.
};

/// One map of the config with the keys it may have (config_keys). Each getter gives nothing when its key is absent,
/// and also, after noting the problem, when its value is wrong: so one reading finds every problem.
class ConfigSection {
public:
    /// `map` is one. `path` as messages show it (`workspaces[0].rate`), `pattern` as the key table does
    /// (`workspaces[].rate`).
    ConfigSection(ConfigContext& context, const YAML::Node& map, std::string path, std::string pattern);

    [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
    /// A list of texts; empty when the key is absent.
    [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
    [[nodiscard]] std::optional<int> integer(std::string_view key, int lowest, int highest) const;
    /// Above 0 and up to 1.
    [[nodiscard]] std::optional<double> share(std::string_view key) const;
    /// `500ms`, `15s`, `2m`, `1h`, `1d`; the bounds are written so too.
    [[nodiscard]] std::optional<std::chrono::milliseconds> duration(std::string_view key, std::string_view shortest,
                                                                    std::string_view longest) const;
    /// From `key`, with its ${VARIABLES} replaced, or from the file that `key`_file names, without the line's end.
    [[nodiscard]] std::optional<Secret> secret(std::string_view key) const;
    /// Relative to the config's folder.
    [[nodiscard]] std::optional<std::filesystem::path> file_path(std::string_view key) const;
    [[nodiscard]] std::optional<ConfigSection> section(std::string_view key) const;
    [[nodiscard]] std::vector<ConfigSection> sections(std::string_view key) const;

    template <class Choice>
    [[nodiscard]] std::optional<Choice> choice(
        std::string_view key, const std::vector<std::pair<std::string_view, Choice>>& choices) const {
        const auto word = text(key);
        if (!word) return std::nullopt;
        std::string names;
        for (const auto& [name, value] : choices) {
            if (*word == name) return value;
            names += (names.empty() ? "" : ", ") + std::string{name};
        }
        problem(key, "must be one of " + names);
        return std::nullopt;
    }

    [[nodiscard]] bool has(std::string_view key) const;
    /// Notes a problem of the key's value, or of the section where the key is absent.
    void problem(std::string_view key, std::string_view text) const;

private:
    struct Entry {
        std::string key;
        YAML::Mark mark;
        YAML::Node value;
    };

    [[nodiscard]] std::optional<ConfigSection> section_at(const YAML::Node& node, const YAML::Mark& key_mark,
                                                          std::string path, std::string pattern) const;
    void add_entry(const YAML::Node& key, const YAML::Node& value);
    [[nodiscard]] const Entry* find(std::string_view key) const;
    [[nodiscard]] std::optional<std::string> scalar(std::string_view key) const;
    /// An unquoted one.
    [[nodiscard]] std::optional<std::string> number_text(std::string_view key) const;
    [[nodiscard]] std::optional<std::string> with_variables(std::string_view key, const std::string& text) const;
    [[nodiscard]] std::optional<Secret> secret_in_file(std::string_view key) const;
    [[nodiscard]] std::string path_of(std::string_view key) const;
    [[nodiscard]] std::string pattern_of(std::string_view key) const;

    ConfigContext& context_;
    YAML::Mark mark_;
    std::string path_;
    std::string pattern_;
    std::vector<Entry> entries_;
};

}  // namespace leadsync::daemon
