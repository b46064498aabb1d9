#pragma once

#include <optional>
#include <string_view>

#include "tests/sandbox/body.hpp"
#include "tests/sandbox/instant.hpp"
#include "tests/sandbox/switches.hpp"

namespace leadsync::sandbox {

/// What the API does to a lead, on its JSON. Each edit sets timestamp_updated.

/// Refuses (400) what a client may not send: wrong types, custom variables that are no flat object.
void check_profile(const Json& fields);

/// The fields of a PATCH. Null removes a field.
void patch_lead(Json& lead, const Json& fields, const Switches& switches, std::int64_t now);

struct NewLead {
    Uuid id;
    Uuid organization;
    Uuid uploaded_by;
    std::optional<Uuid> campaign;
    std::optional<Uuid> list;
};
Json new_lead(const NewLead& origin, const Json& fields, const Switches& switches, std::int64_t now);

/// Nothing clears the interest.
void set_interest(Json& lead, std::optional<std::int64_t> interest, std::int64_t now);

/// Entering a campaign or list takes the lead out of where it was, and of its place in the sequence.
void move_lead(Json& lead, std::optional<Uuid> campaign, std::optional<Uuid> list, bool reset_interest,
               std::int64_t now);

/// What `destination` lacks comes from `source`.
void merge_lead(Json& destination, const Json& source, std::int64_t now);

/// As the Instantly user may do it: any field, `custom_variables` by key, null removes. No check, no normalising.
void edit_lead(Json& lead, const Json& fields, std::int64_t now);

void touch(Json& lead, std::int64_t now);

}  // namespace leadsync::sandbox
