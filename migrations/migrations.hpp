#pragma once

#include <span>
#include <string_view>

namespace leadsync::postgres {

/// One step of the schema: the file `migrations/0001_what.sql` is version 1, named `what`.
struct Migration {
    int version;
    std::string_view name;
    std::string_view sql;
};

/// The numbered files of `migrations/`, built into the program: versions 1, 2, 3… in order.
std::span<const Migration> embedded_migrations();

}  // namespace leadsync::postgres
