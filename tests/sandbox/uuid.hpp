#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace leadsync::sandbox {

/// A UUID as two numbers: the order of the numbers is the order of the lower-case text, so paging by id needs no
/// text.
struct Uuid {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    auto operator<=>(const Uuid&) const = default;
    bool nil() const { return high == 0 && low == 0; }
};

/// Accepts upper and lower case; nothing for any other text.
std::optional<Uuid> parse_uuid(std::string_view text);

void append_uuid(std::string& out, const Uuid& id);
std::string to_text(const Uuid& id);

/// Version 4 from any 128 random bits.
Uuid uuid_v4(std::uint64_t high_bits, std::uint64_t low_bits);

/// Version 7: the id sorts by `unix_ms`, then by `sequence` (12 bits).
Uuid uuid_v7(std::int64_t unix_ms, std::uint64_t sequence, std::uint64_t low_bits);

bool is_v7(const Uuid& id);

/// The creation time that a version 7 id carries.
std::int64_t unix_ms_of_v7(const Uuid& id);

struct UuidHash {
    std::size_t operator()(const Uuid& id) const { return std::hash<std::uint64_t>{}(id.high ^ (id.low * 31)); }
};

}  // namespace leadsync::sandbox
