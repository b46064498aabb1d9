#include "sync/lead.hpp"

#include <cmath>

namespace leadsync::sync {
namespace {

/// JavaScript writes a whole number without a fraction: 42.0 and 42 are one value.
std::string text_of_number(const nlohmann::json& number) {
    constexpr double exact_in_double = 9007199254740992.0;
    if (number.is_number_float()) {
        const auto value = number.get<double>();
        if (std::abs(value) < exact_in_double && std::trunc(value) == value)
            return std::to_string(static_cast<std::int64_t>(value));
    }
    return number.dump();
}

}  // namespace

Value text_of(const nlohmann::json& variable) {
    if (variable.is_null()) return std::nullopt;
    if (variable.is_string()) return variable.get<std::string>();
    if (variable.is_number()) return text_of_number(variable);
    return variable.dump();
}

Value text_of(const CustomVariables& variables, std::string_view key) {
    const auto found = variables.find(key);
    return found == variables.end() ? std::nullopt : text_of(found->second);
}

bool is_time_ordered(const InstantlyId& id) { return id.text.size() == 36 && id.text[14] == '7'; }

}  // namespace leadsync::sync
