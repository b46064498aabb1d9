#include "connectors/postgres/binary_array.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>

namespace leadsync::postgres {
namespace {

template <class Unsigned>
std::array<char, sizeof(Unsigned)> big_endian(Unsigned value) {
    std::array<char, sizeof(Unsigned)> bytes{};
    for (std::size_t i = 0; i < sizeof value; ++i)
        bytes[i] = static_cast<char>((value >> (sizeof value - 1 - i) * 8) & 0xFFU);
    return bytes;
}

template <class Unsigned>
void append_big_endian(std::string& out, Unsigned value) {
    const auto bytes = big_endian(value);
    out.append(bytes.data(), bytes.size());
}

/// Of each character as a digit of a canonical UUID; above 0xF: it is none.
constexpr std::array<std::uint8_t, 256> digit_values = [] {
    constexpr std::string_view digits = "0123456789abcdef";
    std::array<std::uint8_t, 256> values{};
    values.fill(0xFF);
    for (std::size_t i = 0; i < digits.size(); ++i)
        values[static_cast<unsigned char>(digits[i])] = static_cast<std::uint8_t>(i);
    return values;
}();

unsigned digit_value(char c) { return digit_values[static_cast<unsigned char>(c)]; }

std::array<char, 16> uuid_bytes(std::string_view uuid) {
    static constexpr std::array<std::size_t, 16> places{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    bool canonical = uuid.size() == 36 && uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-';
    std::array<char, 16> bytes{};
    for (std::size_t i = 0; canonical && i < bytes.size(); ++i) {
        const auto high = digit_value(uuid[places[i]]);
        const auto low = digit_value(uuid[places[i] + 1]);
        canonical = (high | low) <= 0xFU;
        bytes[i] = static_cast<char>(high << 4U | low);
    }
    if (!canonical) throw std::invalid_argument{"not a canonical UUID: " + std::string{uuid}};
    return bytes;
}

template <class Number>
Number number_in(std::string_view text) {
    Number number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size())
        throw std::invalid_argument{"not a canonical number: " + std::string{text}};
    return number;
}

/// PostgreSQL counts from there.
constexpr sync::Instant epoch = std::chrono::sys_days{std::chrono::year{2000} / 1 / 1};

}  // namespace

BinaryArray::Element BinaryArray::element_of(sync::Kind kind) {
    switch (kind) {
        case sync::Kind::integer:
            return Element::int4;
        case sync::Kind::boolean:
            return Element::boolean;
        case sync::Kind::uuid:
            return Element::uuid;
        case sync::Kind::json:
            return Element::jsonb;
        case sync::Kind::timestamp:
            return Element::timestamptz;
        case sync::Kind::text:
            break;
    }
    return Element::text;
}

std::string_view BinaryArray::sql_type_of(sync::Kind kind) {
    switch (element_of(kind)) {
        case Element::int4:
            return "int4[]";
        case Element::int8:
            return "int8[]";
        case Element::boolean:
            return "bool[]";
        case Element::uuid:
            return "uuid[]";
        case Element::jsonb:
            return "jsonb[]";
        case Element::timestamptz:
            return "timestamptz[]";
        case Element::text:
            break;
    }
    return "text[]";
}

void BinaryArray::length(std::size_t bytes) {
    ++count_;
    append_big_endian(bytes_, static_cast<std::uint32_t>(bytes));
}

void BinaryArray::add(std::string_view value) {
    switch (element_) {
        case Element::boolean:
            length(1);
            bytes_.push_back(value == "true" ? '\1' : '\0');
            return;
        case Element::int4:
            length(4);
            append_big_endian(bytes_, static_cast<std::uint32_t>(number_in<std::int32_t>(value)));
            return;
        case Element::int8:
            add_int8(number_in<std::int64_t>(value));
            return;
        case Element::uuid: {
            const auto bytes = uuid_bytes(value);
            length(bytes.size());
            bytes_.append(bytes.data(), bytes.size());
            return;
        }
        case Element::jsonb:
            length(value.size() + 1);
            bytes_.push_back('\1');  // version of the jsonb wire format
            bytes_.append(value);
            return;
        case Element::timestamptz:
            add_instant(sync::instant_at(value));
            return;
        case Element::text:
            length(value.size());
            bytes_.append(value);
            return;
    }
}

void BinaryArray::add_or_null(const sync::Value& value) {
    if (value)
        add(*value);
    else
        add_null();
}

void BinaryArray::add_null() {
    ++count_;
    has_null_ = true;
    append_big_endian(bytes_, ~std::uint32_t{0});
}

void BinaryArray::add_int8(std::int64_t value) {
    length(8);
    append_big_endian(bytes_, static_cast<std::uint64_t>(value));
}

void BinaryArray::add_instant(sync::Instant instant) { add_int8((instant - epoch).count()); }

pqxx::binarystring BinaryArray::finish() {
    constexpr std::uint32_t lower_bound = 1;
    auto* at = bytes_.data();
    for (const std::uint32_t number :
         {count_ == 0 ? 0U : 1U, has_null_ ? 1U : 0U, static_cast<std::uint32_t>(element_), count_, lower_bound}) {
        const auto bytes = big_endian(number);
        at = std::copy(bytes.begin(), bytes.end(), at);
    }
    // Without elements there are no dimensions to tell of.
    constexpr std::size_t empty_size = 12;
    return pqxx::binarystring{bytes_.data(), count_ == 0 ? empty_size : bytes_.size()};
}

}  // namespace leadsync::postgres
