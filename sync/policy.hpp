#pragma once

#include <map>

#include "sync/fields.hpp"

namespace leadsync::sync {

/// Who wins when both sides changed a field to different values since they last agreed (DESIGN §1.2, `conflicts`).
enum class Rule { local, remote };

std::string_view name_of(Rule rule);

/// The rule of each field: its own where one is set, the default elsewhere. All custom variables share one rule.
struct ConflictPolicy {
    Rule fallback = Rule::local;
    std::map<Field, Rule> fields;
    std::optional<Rule> custom_variables;

    [[nodiscard]] Rule of(Field field) const;
    [[nodiscard]] Rule of_custom_variables() const { return custom_variables.value_or(fallback); }
};

/// What a local DELETE of a lead means (DESIGN §1.2, `deletes.local`): `push` deletes it on Instantly too,
/// `ignore` only stops syncing it.
enum class LocalDeletes { push, ignore };

}  // namespace leadsync::sync
