#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "sync/observe.hpp"
#include "sync/rate_windows.hpp"

namespace leadsync::simulation {

/// A key's value, or the place: the campaign, or else the list.
inline sync::Value value_in(const sync::Content& content, const sync::Key& key) {
    if (key != "place") return sync::value_of(content, key);
    return content[sync::Field::campaign] ? content[sync::Field::campaign] : content[sync::Field::list_id];
}

/// What people last did to each key on each side, and when leadsync wrote it: what the end of a run is held
/// against. Rows go by our id, leads by theirs.
class UserEdits {
public:
    struct Edit {
        sync::SteadyTime at;
        sync::Value value;
        bool back_to_base = false;  ///< what both sides had agreed on: no change any more, for whoever looks then
    };
    using Keys = std::map<std::pair<std::string, sync::Key>, Edit>;

    Keys here;
    Keys there;
    /// Every value that a person set, in a row and in a lead.
    std::set<std::tuple<std::string, sync::Key, sync::Value>> ever_here;
    std::set<std::tuple<std::string, sync::Key, sync::Value>> ever_there;
    std::map<std::pair<std::string, sync::Key>, std::vector<sync::SteadyTime>> written;  ///< when it was received

    /// Whether leadsync wrote the key within `window` after `at`.
    [[nodiscard]] bool was_written(const std::string& id, const sync::Key& key, sync::SteadyTime at,
                                   std::chrono::milliseconds window) const {
        const auto found = written.find({id, key});
        return found != written.end() && std::ranges::any_of(found->second, [&](sync::SteadyTime written_at) {
                   return written_at >= at && written_at - at < window;
               });
    }

    /// Something happened to a row or lead whose outcome for each key nobody can tell.
    void exempt(const std::string& id) { exempt_.insert(id); }
    [[nodiscard]] bool is_exempt(const std::string& id) const { return exempt_.contains(id); }

    [[nodiscard]] static std::optional<Edit> find(const Keys& keys, const std::string& id, const sync::Key& key) {
        const auto found = keys.find({id, key});
        return found == keys.end() ? std::nullopt : std::optional{found->second};
    }

private:
    std::set<std::string> exempt_;
};

}  // namespace leadsync::simulation
