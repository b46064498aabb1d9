#pragma once

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>
#include <pqxx/except>

#include "sync/fields.hpp"

namespace leadsync::daemon {

/// How commands say things.

/// `"+1 555"`, with control characters escaped and long texts cut; `nothing` for absence.
std::string quoted(const sync::Value& value);

/// `"1" -> "2"`
std::string changed(const sync::Value& before, const sync::Value& after);

/// The lead's email, or its id where it has none.
std::string called(const sync::Value& email, const std::string& id);

/// `1 lead`, `12,345 leads`
std::string counted(std::int64_t number, const std::string& noun);

/// `this; that`
std::string in_one_line(const std::vector<std::string>& parts);

/// Where a value is: `here` for the row in PostgreSQL, else `on Instantly`.
std::string place_of(const std::string& side);

template <class Value>
nlohmann::json or_null(const std::optional<Value>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json();
}

/// JSON for standard output: text of the database that is no UTF-8 is shown as far as it can be.
std::string to_text(const nlohmann::json& json);

/// Throws std::runtime_error saying so when the schema is not there yet.
[[noreturn]] void no_schema();

template <class Work>
auto with_schema(Work work) -> std::invoke_result_t<Work&> {
    try {
        return work();
    } catch (const pqxx::undefined_table&) {
        no_schema();
    }
}

}  // namespace leadsync::daemon
