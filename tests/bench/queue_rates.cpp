#include <algorithm>
#include <atomic>
#include <barrier>
#include <functional>
#include <memory>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <pqxx/pqxx>

#include "connectors/postgres/store.hpp"
#include "tests/bench/queue_bench.hpp"

namespace leadsync::bench {
namespace {

using Clock = std::chrono::steady_clock;
/// Claims and completes one batch; returns its size.
using Step = std::function<std::int64_t()>;

/// Each thread makes its step and takes it once before the clock starts: connecting and preparing are not measured.
Rate drain(const std::function<Step()>& make_step, int threads, double seconds, std::int64_t transitions) {
    Clock::time_point start;
    std::atomic<std::int64_t> done = 0;
    std::barrier ready{threads, [&]() noexcept { start = Clock::now(); }};
    std::vector<std::jthread> running;
    for (int i = 0; i < threads; ++i)
        running.emplace_back([&] {
            const auto step = make_step();
            step();
            ready.arrive_and_wait();
            const auto deadline = start + std::chrono::duration<double>{seconds};
            while (Clock::now() < deadline && done < transitions) {
                const auto batch = step();
                if (batch == 0) break;
                done += batch;
            }
        });
    running.clear();
    return {done, std::chrono::duration<double>{Clock::now() - start}.count()};
}

std::int64_t claim_and_complete(postgres::Store& store, const store::Allowed& allowed) {
    std::vector<store::Claim> claims;
    store.run_blocking([&](store::Transaction& transaction) {
        claims = transaction.queue.claim_within(allowed, batch_size, lease, true, std::nullopt).value();
    });
    store.run_blocking([&](store::Transaction& transaction) { transaction.queue.complete(claims); });
    return static_cast<std::int64_t>(claims.size());
}

/// What any program would do that has nothing but jobs, a lease and PostgreSQL.
class BareLoop {
public:
    explicit BareLoop(const std::string& url) : connection_{url} {
        connection_.prepare("claim", R"sql(
            UPDATE bare_jobs j SET lease_until = now() + interval '1 minute'
            FROM (SELECT id FROM bare_jobs
                  WHERE due_at <= now() AND (lease_until IS NULL OR lease_until <= now())
                  ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS due
            WHERE j.id = due.id RETURNING j.id
        )sql");
        connection_.prepare("complete", "DELETE FROM bare_jobs WHERE id = ANY ($1::int8[])");
    }

    std::int64_t claim_and_complete() {
        pqxx::nontransaction session{connection_};
        std::string ids = "{";
        const auto claimed = session.exec_prepared("claim", batch_size);
        for (const auto& row : claimed) ids.append(ids.size() > 1 ? "," : "").append(row[0].c_str());
        session.exec_prepared("complete", ids + "}");
        return static_cast<std::int64_t>(claimed.size());
    }

private:
    pqxx::connection connection_;
};

std::vector<int> thread_counts(const Options& options) {
    if (options.threads > 0) return {options.threads};
    return {1, 2, 4, 8};
}

void print_rate(const char* name, int threads, const Rate& rate) {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    print({{"name", name},
           {"threads", threads},
           {"jobs", rate.transitions},
           {"seconds", rate.seconds},
           {"per_second", static_cast<double>(rate.transitions) / rate.seconds},
           {"rss_mb", static_cast<double>(usage.ru_maxrss) / 1024}});
}

}  // namespace

Rate drain_queue(const Options& options, int threads, std::int64_t transitions) {
    postgres::Database database{options.url, 1};
    postgres::Store store{database, workspace};
    const auto allowed = guard(options);
    return drain([&] { return [&] { return claim_and_complete(store, allowed); }; }, threads, options.seconds,
                 transitions);
}

void measure_queue(const Options& options) {
    for (const int threads : thread_counts(options)) {
        run_sql(options.url, "TRUNCATE sync.queue");
        queue_leads(options, options.leads);
        settle(options);
        print_rate("queue", threads, drain_queue(options, threads, options.leads));
    }
}

void measure_bare_loop(const Options& options) {
    for (const int threads : thread_counts(options)) {
        run_sql(options.url, fmt::format(R"sql(
            DROP TABLE IF EXISTS bare_jobs;
            CREATE TABLE bare_jobs (id int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, due_at timestamptz NOT NULL,
                                    lease_until timestamptz);
            CREATE INDEX ON bare_jobs (due_at);
            INSERT INTO bare_jobs (due_at) SELECT clock_timestamp() FROM generate_series(1, {})
        )sql",
                                         options.leads));
        run_sql(options.url, "VACUUM ANALYZE bare_jobs");
        run_sql(options.url, "CHECKPOINT");
        const auto make_step = [&] {
            return [loop = std::make_shared<BareLoop>(options.url)] { return loop->claim_and_complete(); };
        };
        print_rate("bare", threads, drain(make_step, threads, options.seconds, options.leads));
    }
}

void measure_kept(const Options& options) {
    const int threads = std::max(options.threads, 1);
    run_sql(options.url, "TRUNCATE sync.queue");
    add_leads(options, options.kept);  // both times: what is kept is what differs, not what is synced
    queue_leads(options, options.leads);
    settle(options);
    print_rate("without_kept", threads, drain_queue(options, threads, options.leads));

    run_sql(options.url, "TRUNCATE sync.queue");
    queue_leads(options, options.leads);
    keep_leads(options);
    settle(options);
    print_rate("with_kept", threads, drain_queue(options, threads, options.leads));
}

void measure_counted(const Options& options) {
    const int threads = std::max(options.threads, 1);
    const auto leads = options.leads / 4;  // as many as pass the guard
    for (const auto& [name, edits] : {std::pair{"approved", Edits::approved}, std::pair{"counted", Edits::counted}}) {
        run_sql(options.url, "TRUNCATE sync.queue");
        queue_leads(options, leads, edits);
        settle(options);
        print_rate(name, threads, drain_queue(options, threads, leads));
    }
}

}  // namespace leadsync::bench
