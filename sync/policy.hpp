#pragma once

#include <map>
#include <set>
#include <string_view>

#include "sync/fields.hpp"

namespace leadsync::sync {

/// A side of the sync: the row in PostgreSQL, or Instantly.
enum class Side { local, remote };

std::string_view name_of(Side side);

/// Who wins when both sides changed a field to different values since they last agreed (DESIGN §1.2, `conflicts`).
/// The last three are no choice of the config: they say why a value was kept, or the field parked, all the same.
enum class Rule {
    local,
    remote,
    newest,      ///< the later edit, by Instantly's clock; the local one where a time is not known
    manual,      ///< nobody: both values stay until a person decides
    keep_value,  ///< an empty remote value does not overwrite a local one
    flip_flop,   ///< two automations undo each other's work: parked like `manual`
    late_write,  ///< a write of ours came through after an edit there that it overran: that edit goes out again
};

std::string_view name_of(Rule rule);

/// The field by whose rule that one goes: the two columns of a place, campaign and list, share the campaign's.
constexpr Field ruled_by(Field field) { return field == Field::list_id ? Field::campaign : field; }

/// The rule of each field: its own where one is set, the default elsewhere. All custom variables share one rule.
struct ConflictPolicy {
    Rule fallback = Rule::local;
    std::map<Field, Rule> fields;
    std::optional<Rule> custom_variables;
    /// Text fields that an empty remote value may empty here. For what is no text (campaign, list, subsequence,
    /// assignee, interest) absence is a value like any other.
    std::set<Field> clearable;
    bool custom_variables_clearable = false;
    /// How often a key may change sides within `flip_window` before it is parked.
    int flips_max = 5;

    [[nodiscard]] Rule of(Field field) const;
    [[nodiscard]] Rule of_custom_variables() const { return custom_variables.value_or(fallback); }
    [[nodiscard]] bool may_clear(Field field) const {
        return spec(field).kind != Kind::text || clearable.contains(field);
    }

    bool operator==(const ConflictPolicy&) const = default;
};

/// What a local DELETE of a lead means (DESIGN §1.2, `deletes.local`): `push` deletes it on Instantly too,
/// `ignore` only stops syncing it.
enum class LocalDeletes { push, ignore };

/// What becomes of the row of a lead that was deleted on Instantly (DESIGN §1.2, `deletes.remote`): `mark` keeps it
/// with `deleted_at`, `remove` (`delete` in the config) takes it away, `ignore` leaves it as it is.
enum class RemoteDeletes { mark, remove, ignore };

struct DeletePolicy {
    RemoteDeletes remote = RemoteDeletes::mark;
    LocalDeletes local = LocalDeletes::ignore;

    bool operator==(const DeletePolicy&) const = default;
};

}  // namespace leadsync::sync
