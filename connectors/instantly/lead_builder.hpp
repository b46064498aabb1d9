#pragma once

#include <bitset>
#include <string>
#include <string_view>
#include <variant>

#include <nlohmann/json.hpp>

#include "sync/lead.hpp"

namespace leadsync::instantly {

/// A JSON object or array as it came, `depth` levels deep in its document; nobody has looked inside yet.
struct RawJson {
    std::string_view text;
    int depth;
};

/// One value as it was read. A text stands by itself: most values of a lead are texts, and inside a `json` each would
/// cost one more allocation.
using Piece = std::variant<std::string, nlohmann::json, RawJson>;

/// Takes the text out of `value`.
Piece piece_of(nlohmann::json&& value);

/// Throws nlohmann::json::parse_error for raw JSON that is none, as all that takes a Piece does.
nlohmann::json json_of(Piece&& value);

/// What PostgreSQL can hold of it: U+FFFD in place of U+0000, in every text and key.
nlohmann::json storable_tree(nlohmann::json value);

/// Makes a lead of its members, whoever reads them. What is a field, what its value means, which custom variables are
/// mirrors and what goes to `extra` is said here and nowhere else; parse_lead tells what comes of it.
class LeadBuilder {
public:
    /// `lead` is an empty one, and outlives the builder.
    explicit LeadBuilder(sync::RemoteLead& lead) : lead_{lead} {}

    /// A member of the lead other than `payload`. False, and nothing is taken, when there was one of this key. Throws
    /// std::invalid_argument for an `id` that is no UUID.
    bool add(std::string_view key, Piece&& value);

    /// `payload`, a value of the given type; an object's members follow by add_variable. False when there was one.
    /// Throws std::invalid_argument when it is no object.
    bool add_payload(nlohmann::json::value_t type);

    /// A member of `payload`. False, and nothing is added, when there was one of this key.
    bool add_variable(std::string_view key, Piece&& value);

    /// Whether a variable of this key is dropped, for it only repeats a standard field.
    static bool is_mirror(std::string_view key);

    /// After the last member.
    void finish();

private:
    void identify(Piece&& value);
    void set(const sync::FieldSpec& spec, Piece&& value);

    sync::RemoteLead& lead_;
    std::bitset<sync::field_count> seen_;
    bool payload_seen_ = false;
    nlohmann::json nested_ = nlohmann::json::object();  ///< variables that no custom variable may be
};

}  // namespace leadsync::instantly
