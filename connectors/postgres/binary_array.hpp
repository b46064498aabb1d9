#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <pqxx/binarystring>

#include "sync/lead.hpp"

namespace leadsync::postgres {

/// One column of many rows as a PostgreSQL array in the wire's binary format, for `unnest($n)`: a page of leads goes
/// to the server in one statement without being written out and parsed as text by either. Values come in as canonical
/// text.
class BinaryArray {
public:
    enum class Element : std::uint32_t {
        boolean = 16,
        int8 = 20,
        int4 = 23,
        text = 25,
        timestamptz = 1184,
        uuid = 2950,
        jsonb = 3802,
    };

    explicit BinaryArray(Element element) : element_{element}, bytes_(header_size, '\0') {}

    /// The element type that carries a field.
    static Element element_of(sync::Kind kind);
    /// The same as SQL: `text[]`.
    static std::string_view sql_type_of(sync::Kind kind);

    void add(std::string_view value);
    void add_or_null(const sync::Value& value);
    void add_null();
    void add_int8(std::int64_t value);
    void add_instant(sync::Instant instant);

    [[nodiscard]] pqxx::binarystring finish();

private:
    static constexpr std::size_t header_size = 20;

    void length(std::size_t bytes);

    Element element_;
    std::string bytes_;  ///< room for the header, then the elements
    std::uint32_t count_ = 0;
    bool has_null_ = false;
};

}  // namespace leadsync::postgres
