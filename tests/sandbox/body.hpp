#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sandbox/exchange.hpp"

namespace leadsync::sandbox {

/// The JSON object a client sent, read with the strictness of the API: a key it does not know is ignored, a known
/// one of the wrong type is refused with 400, and null counts as absent.
class Body {
public:
    /// Throws the Refusal that the API's web framework gives for a body that is missing, no JSON or no object.
    explicit Body(const Request& request);

    const Json& json() const { return json_; }
    bool has(const char* key) const;
    std::optional<std::string> text(const char* key) const;
    std::string required_text(const char* key) const;
    std::optional<bool> boolean(const char* key) const;
    bool flag(const char* key) const { return boolean(key).value_or(false); }
    std::optional<std::int64_t> integer(const char* key) const;

    /// An id that is no UUID becomes the nil one, which matches nothing.
    std::optional<Uuid> id(const char* key) const;
    std::optional<std::vector<std::string>> texts(const char* key) const;
    std::optional<std::vector<Uuid>> ids(const char* key) const;

    /// Whether the array `key` holds one of these.
    bool names_one_of(const char* key, const std::set<std::string>& wanted) const;

private:
    const Json* find(const char* key) const;

    Json json_;
};

}  // namespace leadsync::sandbox
