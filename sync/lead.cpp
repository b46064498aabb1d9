#include "sync/lead.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

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

std::optional<Instant> instant_of(const Value& timestamp) {
    constexpr std::size_t length = 24;  // 2026-01-02T03:04:05.678Z
    if (!timestamp || timestamp->size() != length) return std::nullopt;
    return instant_at(*timestamp);
}

Instant instant_at(std::string_view canonical_timestamp) {
    using namespace std::chrono;
    const auto number = [&](std::size_t at, std::size_t digits) {
        int value = 0;
        for (std::size_t i = at; i < at + digits; ++i) value = value * 10 + (canonical_timestamp.at(i) - '0');
        return value;
    };
    const year_month_day date{year{number(0, 4)}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    return sys_days{date} + hours{number(11, 2)} + minutes{number(14, 2)} + seconds{number(17, 2)}
           + milliseconds{number(20, 3)};
}

std::string first_id_at(Instant instant) {
    using std::chrono::milliseconds;
    const auto time = std::chrono::floor<milliseconds>(instant).time_since_epoch().count();
    std::array<char, 16> hex{};
    std::snprintf(hex.data(), hex.size(), "%012llx",
                  static_cast<unsigned long long>(std::max<std::int64_t>(time, 0)));
    const std::string digits{hex.data()};
    return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-7000-8000-000000000000";
}

Instant made_at(const InstantlyId& id) {
    const auto digits = id.text.substr(0, 8) + id.text.substr(9, 4);
    return Instant{std::chrono::milliseconds{std::stoll(digits, nullptr, 16)}};
}

bool is_time_ordered(const InstantlyId& id) { return id.text.size() == 36 && id.text[14] == '7'; }

}  // namespace leadsync::sync
