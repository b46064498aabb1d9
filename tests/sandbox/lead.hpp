#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "tests/sandbox/uuid.hpp"

namespace leadsync::sandbox {

/// Keeps the order of the keys, so that an edited lead reads like a pristine one.
using Json = nlohmann::ordered_json;

/// Where a lead lives. The documented example has both; every other lead has one.
struct Home {
    Uuid campaign;
    Uuid list;

    bool operator==(const Home&) const = default;
};

/// What filters look at, known without rendering or parsing the lead. Times are unix milliseconds, 0 when unset.
struct Facts {
    Home home;
    Uuid assigned_to;
    int status = 1;
    std::optional<int> interest;
    int verification = 0;
    int enrichment = 0;
    int opens = 0;
    int replies = 0;
    int clicks = 0;
    bool in_subsequence = false;
    bool website_visitor = false;
    std::int64_t created = 0;
    std::int64_t updated = 0;
    std::int64_t contacted = 0;
    std::int64_t opened = 0;
    std::int64_t replied = 0;
    std::int64_t clicked = 0;
    std::int64_t interest_changed = 0;
};

/// A lead that was added or edited: its answer text, and beside it what filters need.
struct Lead {
    std::string json;
    Facts facts;
    std::string email;
    std::string first_name;
    std::string last_name;
};

Lead make_lead(const Json& json);

/// ASCII only: that is how emails are compared.
std::string lower_case(std::string_view text);

/// With the quotes. UTF-8 passes through as it is, like JSON.stringify does it.
void append_json_string(std::string& out, std::string_view text);

/// The text of a JSON value; what is no valid UTF-8 becomes U+FFFD instead of an exception.
std::string dump(const Json& json);

}  // namespace leadsync::sandbox
