#include "tests/sandbox/uuid.hpp"

#include <array>

namespace leadsync::sandbox {
namespace {

constexpr std::uint64_t version_mask = 0xF000;
constexpr std::uint64_t variant_bits = 0x8000'0000'0000'0000;
constexpr std::uint64_t variant_mask = 0x3FFF'FFFF'FFFF'FFFF;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_dash_position(std::size_t position) {
    return position == 8 || position == 13 || position == 18 || position == 23;
}

// Two digits per look-up: ids are a sixth of every page's text.
constexpr auto hex_pairs = [] {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t i = 0; i < pairs.size(); ++i) pairs[i] = {digits[i >> 4], digits[i & 15]};
    return pairs;
}();

char* write_bytes(char* at, std::uint64_t value, int first_shift, int last_shift) {
    for (int shift = first_shift; shift >= last_shift; shift -= 8) {
        const auto& pair = hex_pairs[(value >> shift) & 0xFF];
        *at++ = pair[0];
        *at++ = pair[1];
    }
    return at;
}

}  // namespace

std::optional<Uuid> parse_uuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    Uuid id;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_dash_position(i)) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const int digit = hex_value(text[i]);
        if (digit < 0) return std::nullopt;
        id.high = (id.high << 4) | (id.low >> 60);
        id.low = (id.low << 4) | static_cast<std::uint64_t>(digit);
    }
    return id;
}

void append_uuid(std::string& out, const Uuid& id) {
    std::array<char, 36> text;
    char* at = write_bytes(text.data(), id.high, 56, 32);
    *at++ = '-';
    at = write_bytes(at, id.high, 24, 16);
    *at++ = '-';
    at = write_bytes(at, id.high, 8, 0);
    *at++ = '-';
    at = write_bytes(at, id.low, 56, 48);
    *at++ = '-';
    write_bytes(at, id.low, 40, 0);
    out.append(text.data(), text.size());
}

std::string to_text(const Uuid& id) {
    std::string text;
    append_uuid(text, id);
    return text;
}

Uuid uuid_v4(std::uint64_t high_bits, std::uint64_t low_bits) {
    return {(high_bits & ~version_mask) | 0x4000, (low_bits & variant_mask) | variant_bits};
}

Uuid uuid_v7(std::int64_t unix_ms, std::uint64_t sequence, std::uint64_t low_bits) {
    const auto time = static_cast<std::uint64_t>(unix_ms) << 16;
    return {time | 0x7000 | (sequence & 0xFFF), (low_bits & variant_mask) | variant_bits};
}

bool is_v7(const Uuid& id) { return (id.high & version_mask) == 0x7000; }

std::int64_t unix_ms_of_v7(const Uuid& id) { return static_cast<std::int64_t>(id.high >> 16); }

}  // namespace leadsync::sandbox
