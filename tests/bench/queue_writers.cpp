#include <algorithm>
#include <atomic>
#include <barrier>
#include <random>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "tests/bench/queue_bench.hpp"

namespace leadsync::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int writers = 8;
constexpr std::size_t rows_of_bulk_update = 1000;

std::vector<std::string> lead_ids(const std::string& url) {
    pqxx::connection connection{url};
    pqxx::nontransaction session{connection};
    std::vector<std::string> ids;
    for (const auto& row : session.exec("SELECT id FROM crm.leads WHERE workspace = 'bench' ORDER BY id"))
        ids.emplace_back(row[0].c_str());
    return ids;
}

/// Rows updated per second by `connections` at once, each statement `rows` random ones and a transaction of its own.
/// Whoever writes is no part of leadsync.
double rows_per_second(const std::string& url, const std::vector<std::string>& ids, int connections, std::size_t rows,
                       double seconds) {
    Clock::time_point start;
    std::atomic<std::size_t> updated = 0;
    std::barrier ready{connections, [&]() noexcept { start = Clock::now(); }};
    std::vector<std::jthread> running;
    for (int i = 0; i < connections; ++i)
        running.emplace_back([&] {
            pqxx::connection connection{url};
            connection.prepare("update", R"sql(
                UPDATE crm.leads SET job_title = $1 WHERE workspace = 'bench' AND id = ANY ($2::uuid[])
            )sql");
            pqxx::nontransaction session{connection};
            std::mt19937_64 random{std::random_device{}()};
            std::uniform_int_distribution<std::size_t> any{0, ids.size() - 1};
            ready.arrive_and_wait();
            const auto deadline = start + std::chrono::duration<double>{seconds};
            while (Clock::now() < deadline) {
                std::vector<std::string_view> chosen(rows);
                std::generate(chosen.begin(), chosen.end(), [&] { return std::string_view{ids[any(random)]}; });
                const auto title = fmt::format("Title {}", random());
                const auto result =
                    session.exec_prepared("update", title, fmt::format("{{{}}}", fmt::join(chosen, ",")));
                updated += result.affected_rows();
            }
        });
    running.clear();
    return static_cast<double>(updated) / std::chrono::duration<double>{Clock::now() - start}.count();
}

void compare(const Options& options, const std::vector<std::string>& ids, const char* name, int connections,
             std::size_t rows) {
    double with_triggers = 0;
    double without_triggers = 0;
    // There and back, so that neither has the fresher table.
    for (const bool enabled : {false, true, true, false}) {
        run_sql(options.url, fmt::format("ALTER TABLE crm.leads {} TRIGGER USER", enabled ? "ENABLE" : "DISABLE"));
        run_sql(options.url, "CHECKPOINT");
        (enabled ? with_triggers : without_triggers) +=
            rows_per_second(options.url, ids, connections, rows, options.seconds / 2) / 2;
    }
    run_sql(options.url, "ALTER TABLE crm.leads ENABLE TRIGGER USER");
    print({{"name", name},
           {"connections", connections},
           {"rows", rows},
           {"with_triggers", with_triggers},
           {"without_triggers", without_triggers}});
}

}  // namespace

void measure_writers(const Options& options) {
    run_sql(options.url, "TRUNCATE sync.queue");
    const auto ids = lead_ids(options.url);
    compare(options, ids, "single_row_writers", writers, 1);
    compare(options, ids, "bulk_writer", 1, rows_of_bulk_update);
}

}  // namespace leadsync::bench
