#include "connectors/postgres/binary_array.hpp"

#include <cstdlib>
#include <stdexcept>

namespace leadsync::postgres {
namespace {

template <class Unsigned>
void append_big_endian(std::string& out, Unsigned value) {
    for (int shift = static_cast<int>(sizeof value) * 8 - 8; shift >= 0; shift -= 8)
        out.push_back(static_cast<char>((value >> shift) & 0xFFU));
}

unsigned hex_digit(char c) { return static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10); }

void append_uuid(std::string& out, std::string_view uuid) {
    if (uuid.size() != 36) throw std::invalid_argument{"not a canonical UUID: " + std::string{uuid}};
    for (std::size_t i = 0; i < uuid.size(); i += 2) {
        if (uuid[i] == '-') ++i;
        out.push_back(static_cast<char>(hex_digit(uuid[i]) << 4U | hex_digit(uuid[i + 1])));
    }
}

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
        case sync::Kind::text:
        case sync::Kind::timestamp:
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
        case Element::text:
            break;
    }
    return "text[]";
}

void BinaryArray::length(std::size_t bytes) {
    ++count_;
    append_big_endian(elements_, static_cast<std::uint32_t>(bytes));
}

void BinaryArray::add(std::string_view value) {
    switch (element_) {
        case Element::boolean:
            length(1);
            elements_.push_back(value == "true" ? '\1' : '\0');
            return;
        case Element::int4:
            length(4);
            append_big_endian(elements_, static_cast<std::uint32_t>(std::stoi(std::string{value})));
            return;
        case Element::int8:
            add_int8(std::stoll(std::string{value}));
            return;
        case Element::uuid:
            length(16);
            append_uuid(elements_, value);
            return;
        case Element::jsonb:
            length(value.size() + 1);
            elements_.push_back('\1');  // version of the jsonb wire format
            elements_.append(value);
            return;
        case Element::text:
            length(value.size());
            elements_.append(value);
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
    append_big_endian(elements_, ~std::uint32_t{0});
}

void BinaryArray::add_int8(std::int64_t value) {
    length(8);
    append_big_endian(elements_, static_cast<std::uint64_t>(value));
}

pqxx::binarystring BinaryArray::finish() const {
    std::string array;
    array.reserve(elements_.size() + 20);
    append_big_endian(array, std::uint32_t{count_ == 0 ? 0U : 1U});  // dimensions
    append_big_endian(array, std::uint32_t{has_null_ ? 1U : 0U});
    append_big_endian(array, static_cast<std::uint32_t>(element_));
    if (count_ > 0) {
        append_big_endian(array, count_);
        append_big_endian(array, std::uint32_t{1});  // lower bound
    }
    array += elements_;
    return pqxx::binarystring{array};
}

}  // namespace leadsync::postgres
