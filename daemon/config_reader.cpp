#include "daemon/config_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "daemon/config_keys.hpp"

namespace leadsync::daemon {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

template <class Number>
std::optional<Number> number_in(std::string_view text) {
    Number number{};
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
    return number;
}

std::optional<milliseconds> duration_in(std::string_view text) {
    using namespace std::chrono_literals;
    constexpr std::size_t digits_max = 9;  // what overflows no 64-bit number of milliseconds, in days
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = number_in<std::int64_t>(text.substr(0, digits));
    if (!number || digits > digits_max) return std::nullopt;
    const auto unit = text.substr(digits);
    if (unit == "ms") return *number * 1ms;
    if (unit == "s") return *number * 1s;
    if (unit == "m") return *number * 1min;
    if (unit == "h") return *number * 1h;
    if (unit == "d") return *number * 24h;
    return std::nullopt;
}

bool is_key(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
}

bool is_variable(std::string_view text) {
    return !text.empty() && !(text.front() >= '0' && text.front() <= '9') && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    });
}

std::string joined(const std::vector<std::string>& words) { return fmt::format("{}", fmt::join(words, ", ")); }

}  // namespace

void ConfigProblems::add(const YAML::Mark& where, std::string_view path, std::string_view text) {
    auto place = path.empty() ? std::string{} : fmt::format("{}: ", path);
    problems_.push_back({where.line + 1, where.column + 1, fmt::format("{}{}", place, text)});
}

void ConfigProblems::throw_if_any() {
    if (problems_.empty()) return;
    std::ranges::stable_sort(problems_, {},
                             [](const Problem& problem) { return std::tie(problem.line, problem.column); });
    std::vector<std::string> lines;
    for (const auto& problem : problems_)
        lines.push_back(fmt::format("{}:{}:{}: {}", file_, problem.line, problem.column, problem.text));
    throw ConfigError{std::move(lines)};
}

ConfigSection::ConfigSection(ConfigContext& context, const YAML::Node& map, std::string path, std::string pattern)
    : context_{context}, mark_{map.Mark()}, path_{std::move(path)}, pattern_{std::move(pattern)} {
    for (const auto& entry : map) add_entry(entry.first, entry.second);
}

void ConfigSection::add_entry(const YAML::Node& key, const YAML::Node& value) {
    const auto allowed = keys_of(pattern_);
    const auto name = key.IsScalar() ? key.Scalar() : "";
    if (std::ranges::find(allowed, name) == allowed.end()) {
        const auto meant = nearest(name, allowed);
        // A key with other characters may be a secret whose colon lost its space.
        context_.problems.add(
            key.Mark(), is_key(name) ? path_of(name) : path_,
            fmt::format("unknown key; {}allowed: {}", meant.empty() ? "" : fmt::format("did you mean {}? ", meant),
                        joined(allowed)));
    } else if (const auto* first = find(name)) {
        context_.problems.add(key.Mark(), path_of(name),
                              fmt::format("given twice, first in line {}; keep one", first->mark.line + 1));
    } else {
        entries_.push_back({name, key.Mark(), value});
    }
}

std::optional<std::string> ConfigSection::text(std::string_view key) const {
    auto value = scalar(key);
    if (!value || value->find("${") == std::string::npos) return value;
    problem(key, "${VARIABLE} works only in secrets (database.url, api_key, *_file); write the value itself");
    return std::nullopt;
}

std::vector<std::string> ConfigSection::texts(std::string_view key) const {
    std::vector<std::string> result;
    const auto* entry = find(key);
    if (entry == nullptr) return result;
    const bool is_list = entry->value.IsSequence();
    for (std::size_t i = 0; is_list && i < entry->value.size(); ++i)
        if (entry->value[i].IsScalar()) result.push_back(entry->value[i].Scalar());
    if (!is_list || result.size() != entry->value.size())
        problem(key, "must be a list of texts, such as [phone, website]");
    return result;
}

std::optional<int> ConfigSection::integer(std::string_view key, int lowest, int highest) const {
    if (!has(key)) return std::nullopt;
    const auto value = number_text(key);
    const auto number = value ? number_in<int>(*value) : std::nullopt;
    if (number && *number >= lowest && *number <= highest) return number;
    problem(key, fmt::format("must be a whole number from {} to {}, without quotes", lowest, highest));
    return std::nullopt;
}

std::optional<double> ConfigSection::share(std::string_view key) const {
    if (!has(key)) return std::nullopt;
    const auto value = number_text(key);
    const auto number = value ? number_in<double>(*value) : std::nullopt;
    if (number && *number > 0 && *number <= 1) return number;
    problem(key, "must be a number above 0 and up to 1, without quotes");
    return std::nullopt;
}

std::optional<milliseconds> ConfigSection::duration(std::string_view key, std::string_view shortest,
                                                    std::string_view longest) const {
    if (!has(key)) return std::nullopt;
    const auto value = number_text(key);
    const auto duration = value ? duration_in(*value) : std::nullopt;
    if (duration && *duration >= duration_in(shortest) && *duration <= duration_in(longest)) return duration;
    problem(key, fmt::format("must be a time from {} to {}: a whole number and one of ms, s, m, h, d, such as 15s",
                             shortest, longest));
    return std::nullopt;
}

std::optional<Secret> ConfigSection::secret(std::string_view key) const {
    const auto file_key = fmt::format("{}_file", key);
    if (has(key) && has(file_key)) {
        problem(file_key, fmt::format("give {} or {}, not both", key, file_key));
        return std::nullopt;
    }
    if (has(file_key)) return secret_in_file(file_key);
    const auto written = scalar(key);
    auto value = written ? with_variables(key, *written) : std::nullopt;
    if (!value) return std::nullopt;
    if (!value->empty()) return Secret{std::move(*value)};
    problem(key, "is empty");
    return std::nullopt;
}

std::optional<fs::path> ConfigSection::file_path(std::string_view key) const {
    const auto value = text(key);
    if (!value) return std::nullopt;
    if (!value->empty()) return (context_.folder / *value).lexically_normal();
    problem(key, "must be a path");
    return std::nullopt;
}

std::optional<ConfigSection> ConfigSection::section(std::string_view key) const {
    const auto* entry = find(key);
    if (entry == nullptr) return std::nullopt;
    return section_at(entry->value, entry->mark, path_of(key), pattern_of(key));
}

std::vector<ConfigSection> ConfigSection::sections(std::string_view key) const {
    std::vector<ConfigSection> result;
    const auto* entry = find(key);
    if (entry == nullptr) return result;
    const auto pattern = pattern_of(key) + "[]";
    if (!entry->value.IsSequence() || entry->value.size() == 0)
        problem(key, fmt::format("must be a list of at least one map with the keys {}", joined(keys_of(pattern))));
    for (std::size_t i = 0; entry->value.IsSequence() && i < entry->value.size(); ++i)
        if (auto item = section_at(entry->value[i], entry->mark, fmt::format("{}[{}]", path_of(key), i), pattern))
            result.push_back(std::move(*item));
    return result;
}

/// A null has no place of its own in the file: its key's stands in.
std::optional<ConfigSection> ConfigSection::section_at(const YAML::Node& node, const YAML::Mark& key_mark,
                                                       std::string path, std::string pattern) const {
    if (node.IsMap()) return ConfigSection{context_, node, std::move(path), std::move(pattern)};
    context_.problems.add(node.IsNull() ? key_mark : node.Mark(), path,
                          fmt::format("must be a map with the keys {}", joined(keys_of(pattern))));
    return std::nullopt;
}

bool ConfigSection::has(std::string_view key) const { return find(key) != nullptr; }

void ConfigSection::problem(std::string_view key, std::string_view text) const {
    const auto* entry = find(key);
    const auto mark = entry == nullptr ? mark_ : entry->value.IsNull() ? entry->mark : entry->value.Mark();
    context_.problems.add(mark, path_of(key), text);
}

const ConfigSection::Entry* ConfigSection::find(std::string_view key) const {
    const auto found = std::ranges::find(entries_, key, &Entry::key);
    return found == entries_.end() ? nullptr : &*found;
}

std::optional<std::string> ConfigSection::scalar(std::string_view key) const {
    const auto* entry = find(key);
    if (entry == nullptr) return std::nullopt;
    if (entry->value.IsScalar()) return entry->value.Scalar();
    problem(key, entry->value.IsNull() ? "has no value; write one, or leave the key out" : "must be a text");
    return std::nullopt;
}

std::optional<std::string> ConfigSection::number_text(std::string_view key) const {
    const auto& node = find(key)->value;
    const bool plain = node.IsScalar() && node.Tag() == "?";
    return plain ? std::optional{node.Scalar()} : std::nullopt;
}

std::optional<std::string> ConfigSection::with_variables(std::string_view key, const std::string& text) const {
    std::string result;
    std::size_t at = 0;
    for (auto found = text.find("${"); found != std::string::npos; found = text.find("${", at)) {
        const auto end = std::min(text.find('}', found), text.size());
        const auto name = text.substr(found + 2, end - found - 2);
        if (end == text.size() || !is_variable(name)) {
            problem(key, "${ must be followed by the name of an environment variable and }");
            return std::nullopt;
        }
        const auto value = context_.environment(name);
        if (!value || value->empty()) {
            problem(key, fmt::format("the environment variable {} is {}; set it, or name a file by {}_file", name,
                                     value ? "empty" : "not set", key));
            return std::nullopt;
        }
        result += text.substr(at, found - at) + *value;
        at = end + 1;
    }
    return result + text.substr(at);
}

std::optional<Secret> ConfigSection::secret_in_file(std::string_view key) const {
    const auto written = scalar(key);
    const auto name = written ? with_variables(key, *written) : std::nullopt;
    if (!name) return std::nullopt;

    // The path is not quoted: people put the secret itself there.
    constexpr std::streamsize size_max = 65536;
    errno = 0;
    std::ifstream file{context_.folder / *name, std::ios::binary};
    std::string text(size_max + 1, '\0');
    file.read(text.data(), size_max + 1);
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (!file.is_open() || file.bad() || (text.empty() && errno != 0)) {
        problem(key, fmt::format("cannot read the file it names: {}; a relative path starts at {}",
                                 std::strerror(errno), context_.folder.string()));
        return std::nullopt;
    }
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    if (!text.empty() && text.size() <= static_cast<std::size_t>(size_max)) return Secret{std::move(text)};
    problem(key, text.empty() ? "the file it names is empty" : "the file it names is too large for a secret");
    return std::nullopt;
}

std::string ConfigSection::path_of(std::string_view key) const {
    return path_.empty() ? std::string{key} : fmt::format("{}.{}", path_, key);
}

std::string ConfigSection::pattern_of(std::string_view key) const {
    return pattern_.empty() ? std::string{key} : fmt::format("{}.{}", pattern_, key);
}

}  // namespace leadsync::daemon
