#include "tests/sandbox/instant.hpp"

#include <array>
#include <ctime>

namespace leadsync::sandbox {
namespace {

using std::chrono::duration_cast;

constexpr std::int64_t day_ms = 86'400'000;
constexpr std::string_view iso_form = "0000-00-00T00:00:00.000Z";

void write_digits(char* at, std::int64_t value, int width) {
    for (int i = width - 1; i >= 0; --i) {
        at[i] = static_cast<char>('0' + value % 10);
        value /= 10;
    }
}

std::int64_t read_digits(std::string_view text) {
    std::int64_t value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    return value;
}

bool has_iso_form(std::string_view text) {
    if (text.size() != iso_form.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool digit = text[i] >= '0' && text[i] <= '9';
        if (iso_form[i] == '0' ? !digit : text[i] != iso_form[i]) return false;
    }
    return true;
}

}  // namespace

Moment Moment::now() {
    const auto calendar = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::steady_clock::now(), duration_cast<milliseconds>(calendar).count()};
}

Moment Moment::at(Tick other) const { return {other, unix_ms + duration_cast<milliseconds>(other - tick).count()}; }

void append_iso(std::string& out, std::int64_t unix_ms) {
    using namespace std::chrono;
    const auto days_since = unix_ms / day_ms;
    const auto in_day = unix_ms % day_ms;
    const year_month_day date{sys_days{days{days_since}}};
    std::array<char, iso_form.size()> text;
    iso_form.copy(text.data(), text.size());
    write_digits(&text[0], static_cast<int>(date.year()), 4);
    write_digits(&text[5], static_cast<unsigned>(date.month()), 2);
    write_digits(&text[8], static_cast<unsigned>(date.day()), 2);
    write_digits(&text[11], in_day / 3'600'000, 2);
    write_digits(&text[14], in_day / 60'000 % 60, 2);
    write_digits(&text[17], in_day / 1'000 % 60, 2);
    write_digits(&text[20], in_day % 1'000, 3);
    out.append(text.data(), text.size());
}

std::string to_iso(std::int64_t unix_ms) {
    std::string text;
    append_iso(text, unix_ms);
    return text;
}

std::string to_http_date(std::int64_t unix_ms) {
    const std::time_t seconds = unix_ms / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 32> text;
    const auto length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text.data(), length};
}

std::optional<std::int64_t> parse_iso(std::string_view text) {
    using namespace std::chrono;
    if (!has_iso_form(text)) return std::nullopt;
    const auto number = [&](std::size_t from, std::size_t width) { return read_digits(text.substr(from, width)); };
    const year_month_day date{year{static_cast<int>(number(0, 4))}, month{static_cast<unsigned>(number(5, 2))},
                              day{static_cast<unsigned>(number(8, 2))}};
    if (!date.ok()) return std::nullopt;
    const auto in_day = number(11, 2) * 3'600'000 + number(14, 2) * 60'000 + number(17, 2) * 1'000 + number(20, 3);
    return sys_days{date}.time_since_epoch().count() * day_ms + in_day;
}

}  // namespace leadsync::sandbox
