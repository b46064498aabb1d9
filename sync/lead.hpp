#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "sync/fields.hpp"
#include "sync/ids.hpp"

namespace leadsync::sync {

/// Custom variables by key: each value a JSON string, number, boolean or null. Read from `payload` without its
/// mirrors of standard fields, written as `custom_variables` (INSTANTLY.md, Writing leads).
using CustomVariables = std::map<std::string, nlohmann::json, std::less<>>;

/// The values of a lead on one side.
struct Content {
    FieldValues fields;
    CustomVariables custom_variables;

    [[nodiscard]] const Value& operator[](Field field) const { return fields[index(field)]; }
    [[nodiscard]] Value& operator[](Field field) { return fields[index(field)]; }
    bool operator==(const Content&) const = default;
};

/// A custom variable as canonical text, for comparing: `42` and `"42"` agree, null and absence are nothing.
Value text_of(const nlohmann::json& variable);

/// The same for a key of a map; nothing when the key is absent.
Value text_of(const CustomVariables& variables, std::string_view key);

using Instant = std::chrono::sys_time<std::chrono::microseconds>;

/// The instant that a canonical timestamp names; nothing when it is absent.
std::optional<Instant> instant_of(const Value& timestamp);

/// The same of one that is there.
Instant instant_at(std::string_view canonical_timestamp);

/// A lead as Instantly answered it.
struct RemoteLead {
    InstantlyId id;
    Content content;
    /// What no column holds: keys we do not know, and known ones with a value of another type. JSON object.
    nlohmann::json extra = nlohmann::json::object();
    /// Fields that came with a value of another type: this answer says nothing of them.
    std::bitset<field_count> unreadable;
    /// Hash of all of the above: equal content, equal hash.
    std::uint64_t content_hash = 0;
    /// Hash of the bytes it came as: equal bytes, equal hash; 0 where they were not kept (by itself, in a page that
    /// had to be mended).
    std::uint64_t raw_hash = 0;
};

/// An answer of Instantly about one lead.
struct Observation {
    RemoteLead lead;
    Instant requested_at;  ///< when the request left, by the daemon's own clock
    /// How far Instantly's clock is ahead of the daemon's, by the answer's `Date`; nothing when it did not tell.
    std::optional<std::chrono::microseconds> clock_ahead{};
};

/// The first version-7 UUID of a millisecond: ids made since then come after it.
std::string first_id_at(Instant instant);

/// When an id says that it was made, to the millisecond; of an id that is_time_ordered.
Instant made_at(const InstantlyId& id);

/// Whether a UUID says when it was made (version 7). Lead ids since 2025-10-15 do (INSTANTLY.md, Reading leads).
bool is_time_ordered(const InstantlyId& id);

}  // namespace leadsync::sync
