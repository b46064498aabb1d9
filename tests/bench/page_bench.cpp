// What reading a page of leads costs: by simdjson (parse_lead_page) beside the tree that mends (parse_json and
// lead_page_of), on the sandbox's leads. One core, rounds in turn, CPU time; the best round of each counts.
#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

#include "connectors/instantly/codec.hpp"
#include "connectors/instantly/page.hpp"
#include "tests/sandbox/population.hpp"

namespace leadsync {
namespace {

constexpr std::uint32_t page_size = 100;
constexpr std::uint32_t pages = 50;
constexpr int rounds = 9;

std::vector<std::string> bodies() {
    const sandbox::Catalog catalog{{}};
    const sandbox::Population population{{.leads = pages * page_size}, catalog};
    std::vector<std::string> result;
    for (std::uint32_t page = 0; page < pages; ++page) {
        std::string body = R"({"items":[)";
        for (std::uint32_t i = 0; i < page_size; ++i) {
            if (i > 0) body += ',';
            population.append_json(page * page_size + i, body);
        }
        body += R"(],"next_starting_after":"x"})";
        body.reserve(body.size() + 64);  // as a body that was unpacked mostly has it
        result.push_back(std::move(body));
    }
    return result;
}

double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

struct Reader {
    const char* name;
    instantly::LeadPage (*read)(const std::string& body);
    double seconds = std::numeric_limits<double>::max();  ///< of its best round
};

void run(std::string_view only) {
    const auto all = bodies();
    std::size_t bytes = 0;
    for (const auto& body : all) bytes += body.size();
    std::array<Reader, 2> readers{
        Reader{"tree", [](const std::string& body) { return instantly::lead_page_of(instantly::parse_json(body)); }},
        Reader{"simdjson", [](const std::string& body) { return instantly::parse_lead_page(body); }}};
    for (int round = 0; round < rounds; ++round) {
        for (auto& reader : readers) {
            if (!only.empty() && only != reader.name) continue;
            const auto began = cpu_seconds();
            for (const auto& body : all)
                if (reader.read(body).leads.size() != page_size) throw std::logic_error{"a page without its leads"};
            reader.seconds = std::min(reader.seconds, cpu_seconds() - began);
        }
    }
    fmt::print("{} leads of {} bytes\n", pages * page_size, bytes / pages / page_size);
    for (const auto& reader : readers) {
        if (reader.seconds < 1e9)
            fmt::print("{:<10}{:>8.0f} pages/s a core{:>8.2f} CPU-s per million leads\n", reader.name,
                       pages / reader.seconds, reader.seconds * 1e6 / pages / page_size);
    }
    if (only.empty()) fmt::print("{:.1f} times as fast\n", readers[0].seconds / readers[1].seconds);
}

}  // namespace
}  // namespace leadsync

/// With a reader's name that one alone, for a profile.
int main(int count, char** arguments) { leadsync::run(count > 1 ? arguments[1] : ""); }
