#pragma once

#include <map>
#include <string>
#include <vector>

#include "sync/lead.hpp"
#include "sync/policy.hpp"

namespace leadsync::sync {

/// What is merged by itself: a both-ways field by its name, or one custom variable as `custom_variables.<key>`.
using Key = std::string;

Key key_of(Field field);
Key key_of_variable(std::string_view name);
/// The custom variable a key names; nothing when it names a field.
std::optional<std::string_view> variable_of(std::string_view key);

/// What both sides agreed on last, and what writes since then are to show.
struct Base {
    Content content;  ///< both-ways fields and custom variables only
    /// Writes that Instantly accepted and no answer has shown yet, as canonical text. Nothing: the value was cleared.
    std::map<Key, Value> expected;
    /// Whether the time to wait for them is over: what still shows the old value was not stored.
    bool expectations_expired = false;

    bool operator==(const Base&) const = default;
};

/// What one key needs.
enum class Decision {
    agreed,       ///< the sides hold the same value
    take_remote,  ///< only the remote value changed
    push_local,   ///< only the local value changed
    conflict,     ///< both changed, to different values
    await,        ///< a write of ours is accepted but not shown yet: the old value is late, not a change
};

std::string_view name_of(Decision decision);

/// The decision for one key, and the base it rests on. `expected` is the accepted write, if one is out. Pure and
/// total.
///
/// A write that is out replaces the base as soon as the remote value shows that it arrived: as sent, or as something
/// that is neither the old nor the sent value, which is the server's normalised form or a later remote edit. Until
/// then nothing more is sent for the key, so that an old value seen late cannot be taken for a change (DESIGN §4).
struct KeyPlan {
    Decision decision = Decision::agreed;
    Value base;
    bool still_expected = false;  ///< the write is not shown yet
    bool write_lost = false;      ///< it never arrived, and the time for it is over
};
KeyPlan plan_key(const Value& base, const Value& local, const Value& remote, const std::optional<Value>& expected,
                 bool expired);

/// Both sides changed a key. The rule has decided; the overruled value stays in this record.
struct Conflict {
    Key key;
    Value base;
    Value local;
    Value remote;
    Rule rule = Rule::local;

    bool operator==(const Conflict&) const = default;
};

struct MergeResult {
    Content local;  ///< the row as it is to be: both-ways values merged, all others as observed
    Base base;
    std::vector<Conflict> conflicts;
    std::vector<Key> to_push;  ///< differ from what Instantly holds, with no write out
    std::vector<Key> awaited;  ///< accepted writes not shown yet
    std::vector<Key> lost;     ///< accepted writes that were not stored; they are in `to_push` again if still wanted
};

/// The three-way merge of DESIGN §4: base, local row and remote observation. Pure: the same answer for the same
/// input. Fields that the observation could not read are left as they are on every side.
MergeResult merge(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy);

}  // namespace leadsync::sync
