#include "connectors/postgres/embedded_postmaster.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <regex>
#include <sstream>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace leadsync::postgres {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(std::istream& text) {
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(std::move(line));
    return lines;
}

std::string without_trailing_blanks(const std::string& text) {
    return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

/// A postmaster works in its data folder. Compared by inode: the folder may have been renamed meanwhile.
bool works_in(pid_t process, const fs::path& data) {
    std::error_code gone;
    return fs::equivalent(fmt::format("/proc/{}/cwd", process), data, gone) && !gone;
}

std::string newest_text(const fs::path& folder) {
    fs::path newest;
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{folder, ignored})
        if (newest.empty() || entry.last_write_time(ignored) > fs::last_write_time(newest, ignored))
            newest = entry.path();
    std::ostringstream text;
    text << std::ifstream{newest}.rdbuf();
    return text.str();
}

}  // namespace

std::optional<Postmaster> find_postmaster(const fs::path& data) {
    // Source: PostgreSQL 15, src/include/utils/pidfile.h.
    constexpr std::size_t pid_line = 0;
    constexpr std::size_t socket_line = 4;
    constexpr std::size_t state_line = 7;

    std::ifstream file{data / "postmaster.pid"};
    const auto lines = lines_of(file);
    if (lines.empty()) return std::nullopt;
    const auto& digits = lines[pid_line];
    pid_t process = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), process);
    if (process <= 0 || !works_in(process, data)) return std::nullopt;
    return Postmaster{process, lines.size() > socket_line ? lines[socket_line] : "",
                      lines.size() > state_line ? without_trailing_blanks(lines[state_line]) : ""};
}

void forget_postmaster(const fs::path& data, const fs::path& socket_folder) {
    fs::remove(socket_folder / ".s.PGSQL.5432");
    fs::remove(socket_folder / ".s.PGSQL.5432.lock");

    // Not removed: by the shared memory it names PostgreSQL notices orphaned sessions that still write. So only the
    // number is replaced, by one that no process can have.
    const auto path = data / "postmaster.pid";
    std::ifstream file{path};
    auto lines = lines_of(file);
    if (lines.empty()) return;
    lines.front() = "2147483647";
    std::ofstream{path, std::ios::trunc} << fmt::format("{}\n", fmt::join(lines, "\n"));
}

std::string last_words(const std::string& text) {
    static const std::regex prefix{R"(^[0-9-]+ [0-9:.]+ [A-Z0-9+-]+ \[\d+\] )"};
    std::istringstream stream{text};
    std::vector<std::string> lines;
    for (auto& line : lines_of(stream))
        if (auto bare = without_trailing_blanks(std::regex_replace(line, prefix, "")); !bare.empty())
            lines.push_back(std::move(bare));

    // The log of earlier runs is no news; of this one the first complaint counts, the rest follow from it.
    const auto holds = [](std::string_view word) {
        return [word](const std::string& line) { return line.find(word) != std::string::npos; };
    };
    const auto run = std::find_if(lines.rbegin(), lines.rend(), holds("starting PostgreSQL")).base();
    constexpr std::ptrdiff_t lines_max = 4;
    auto first = std::find_if(run, lines.end(), [&](const std::string& line) {
        return std::ranges::any_of(std::array{"ERROR:", "FATAL:", "PANIC:", "error:"},
                                   [&](std::string_view word) { return holds(word)(line); });
    });
    if (first == lines.end()) first -= std::min(lines_max, lines.end() - run);
    // "configuration file … contains errors": which one stands before it.
    else if (first != lines.begin() && first->ends_with("contains errors"))
        --first;
    const auto last = first + std::min(lines_max, lines.end() - first);
    return fmt::format("{}", fmt::join(first, last, "; "));
}

std::string server_log_tail(const fs::path& log) { return last_words(newest_text(log)); }

}  // namespace leadsync::postgres
