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

/// What a content holds of a key, as text.
Value value_of(const Content& content, std::string_view key);

void set_value(Content& content, std::string_view key, const Value& value);

/// Whether what is shown is what was sent: as it was, or in the form that the server gives to a text.
bool shows(const Value& shown, const Value& sent);

/// Whether a content shows all these values.
bool shows_all(const Content& content, const std::map<Key, Value>& values);

/// How often a key went from one side to the other lately.
struct Flip {
    Side last = Side::local;  ///< the side that set the value last
    int count = 0;            ///< changes of side since
    Instant since;

    bool operator==(const Flip&) const = default;
};
inline constexpr std::chrono::hours flip_window{1};

/// A write that Instantly accepted, and that another value showed before: it may come through yet.
struct LateWrite {
    Value value;
    Instant until;  ///< the first answer asked for from then on has the last word on it

    bool operator==(const LateWrite&) const = default;
};
/// Jobs and reads that lag take seconds (INSTANTLY.md).
inline constexpr std::chrono::seconds late_write_window{30};

/// What both sides agreed on last, and what writes since then are to show.
struct Base {
    Content content;  ///< both-ways fields and custom variables only
    /// Writes that Instantly accepted and no answer has shown yet, as canonical text. Nothing: the value was cleared.
    std::map<Key, Value> expected;
    /// Whether the time to wait for them is over: what still shows the old value was not stored.
    bool expectations_expired = false;
    std::map<Key, Flip> flips;
    std::map<Key, LateWrite> late;

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
    bool normalised = false;      ///< it arrived as another value than the one sent
};
KeyPlan plan_key(const Value& base, const Value& local, const Value& remote, const std::optional<Value>& expected,
                 bool expired);

/// Both sides changed a key, or an automation would not let it be. The overruled value stays in this record.
struct Conflict {
    Key key;
    Value base;
    Value local;
    Value remote;
    Rule rule = Rule::local;
    std::optional<Side> resolution;  ///< nothing: open, a person decides

    bool operator==(const Conflict&) const = default;
};

/// A conflict that waits for a person, or has their word.
struct OpenConflict {
    std::int64_t id = 0;
    Value local;
    Value remote;
    std::optional<Side> resolution;  ///< nothing: still waiting; the key is parked

    bool operator==(const OpenConflict&) const = default;
};

/// What became of an open conflict: its values moved on, or it is settled.
struct ConflictUpdate {
    enum class Outcome { still_open, settled, agreed };  ///< `agreed`: the sides came to hold the same value
    std::int64_t id = 0;
    Value local;
    Value remote;
    Outcome outcome = Outcome::still_open;

    bool operator==(const ConflictUpdate&) const = default;
};

/// A change that the merge made to the row.
struct Change {
    Key key;
    Value before;
    Value after;
    std::string_view rule;  ///< a rule's name, or `edit`, `normalised`, `resolution`

    bool operator==(const Change&) const = default;
};

/// What a merge has to know of the moment, as values.
struct Circumstances {
    Instant at;                              ///< when the answer was asked for
    std::optional<Instant> local_edited_at;  ///< the last local edit of the lead, on Instantly's clock
    std::map<Key, OpenConflict> open;
    /// The writes that are out were sent so often that what still stands there is believed to be what the server
    /// makes of them, where it differs in form only.
    bool form_is_believed = false;
};

struct MergeResult {
    Content local;   ///< the row as it is to be: both-ways values merged, all others as observed
    Content remote;  ///< the both-ways values that Instantly holds; where it could not be read, those of the base
    Base base;
    std::vector<Conflict> conflicts;
    std::vector<ConflictUpdate> conflict_updates;
    std::vector<Change> changes;
    std::vector<Key> to_push;  ///< differ from what Instantly holds, with no write out
    std::vector<Key> awaited;  ///< accepted writes not shown yet
    std::vector<Key> lost;     ///< accepted writes that were not stored; they are in `to_push` again if still wanted
    std::vector<Key> parked;   ///< wait for a person
};

/// The three-way merge of DESIGN §4: base, local row and remote observation. Pure: the same answer for the same
/// input. Fields that the observation could not read are left as they are on every side.
MergeResult merge(const Base& base, const Content& local, const RemoteLead& remote, const ConflictPolicy& policy,
                  const Circumstances& circumstances = {});

}  // namespace leadsync::sync
