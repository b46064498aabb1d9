#include "daemon/wording.hpp"

#include <stdexcept>

#include "daemon/backfill_progress.hpp"

namespace leadsync::daemon {

namespace {

constexpr std::size_t longest = 80;

/// At most `longest` bytes, never within a character.
std::string cut(const std::string& text) {
    if (text.size() <= longest) return text;
    auto end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
    return text.substr(0, end) + "…";
}

}  // namespace

std::string quoted(const sync::Value& value) {
    return value ? nlohmann::json(cut(*value)).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
                 : "nothing";
}

std::string changed(const sync::Value& before, const sync::Value& after) {
    return quoted(before) + " -> " + quoted(after);
}

std::string called(const sync::Value& email, const std::string& id) { return email && !email->empty() ? *email : id; }

std::string counted(std::int64_t number, const std::string& noun) {
    return grouped(number) + " " + noun + (number == 1 ? "" : "s");
}

std::string in_one_line(const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) (text += text.empty() ? "" : "; ") += part;
    return text;
}

std::string place_of(const std::string& side) { return side == "local" ? "here" : "on Instantly"; }

std::string to_text(const nlohmann::json& json) {
    return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

void no_schema() {
    throw std::runtime_error{"the schema is not there yet: leadsync migrate makes it, and so do run and backfill"};
}

}  // namespace leadsync::daemon
