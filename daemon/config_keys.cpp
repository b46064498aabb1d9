#include "daemon/config_keys.hpp"

#include <algorithm>
#include <numeric>

#include "sync/fields.hpp"
#include "sync/policy.hpp"

namespace leadsync::daemon {
namespace {

std::vector<std::string> all_keys() {
    std::vector<std::string> keys{
        "database",
        "database.url",
        "database.url_file",
        "data_dir",
        "log",
        "log.level",
        "log.format",
        "workspaces",
        "workspaces[].name",
        "workspaces[].api_key",
        "workspaces[].api_key_file",
        "workspaces[].base_url",
        "workspaces[].rate",
        "workspaces[].rate.per_second",
        "workspaces[].rate.per_minute",
        "workspaces[].rate.share",
        "workspaces[].freshness",
        "workspaces[].freshness.new",
        "workspaces[].freshness.active",
        "workspaces[].freshness.active_for",
        "workspaces[].freshness.rest",
        "workspaces[].conflicts",
        "workspaces[].conflicts.default",
        "workspaces[].conflicts.custom_variables",
        "workspaces[].conflicts.clearable",
        "workspaces[].deletes",
        "workspaces[].deletes.remote",
        "workspaces[].deletes.local",
        "workspaces[].guard",
        "workspaces[].guard.deletes",
        "workspaces[].guard.creates",
        "workspaces[].guard.changes",
        "workspaces[].history",
        "workspaces[].history.keep",
    };
    for (const auto& spec : sync::field_table())
        if (spec.owner == sync::Owner::both_ways && sync::ruled_by(spec.field) == spec.field)
            keys.push_back("workspaces[].conflicts." + std::string{spec.name});
    return keys;
}

/// Levenshtein's distance: the fewest letters to insert, delete or replace.
std::size_t edit_distance(std::string_view one, std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < one.size(); ++i) {
        auto diagonal = row[0];
        row[0] = i + 1;
        for (std::size_t j = 0; j < other.size(); ++j) {
            const auto replaced = diagonal + (one[i] == other[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

const std::vector<std::string>& config_keys() {
    static const auto keys = all_keys();
    return keys;
}

std::vector<std::string> keys_of(std::string_view section) {
    const auto prefix = section.empty() ? std::string{} : std::string{section} + ".";
    std::vector<std::string> result;
    for (const auto& key : config_keys())
        if (key.starts_with(prefix) && key.find('.', prefix.size()) == std::string::npos)
            result.push_back(key.substr(prefix.size()));
    return result;
}

std::string nearest(std::string_view word, const std::vector<std::string>& allowed) {
    std::string best;
    auto best_distance = std::max<std::size_t>(word.size() / 3, 2) + 1;
    for (const auto& candidate : allowed)
        if (const auto distance = edit_distance(word, candidate); distance < best_distance) {
            best = candidate;
            best_distance = distance;
        }
    return best;
}

}  // namespace leadsync::daemon
