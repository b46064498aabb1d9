#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "connectors/store/queue.hpp"

namespace leadsync::bench {

inline const std::string workspace = "bench";
/// What the pusher claims at once.
inline constexpr int batch_size = 100;
inline constexpr std::chrono::minutes lease{1};

struct Options {
    std::string url;
    std::int64_t leads = 200'000;
    std::int64_t kept = 1'000'000;
    std::int64_t transitions = 1'000'000;
    double seconds = 5;
    int threads = 0;  ///< 0: each of 1, 2, 4, 8
};

/// One line of JSON on standard output: one result.
void print(const nlohmann::ordered_json& result);

// queue_leads.cpp: what the queue is filled with, always by leadsync's own connections, which the triggers pass by

/// One statement, or several in one transaction.
void run_sql(const std::string& url, const std::string& statements);
/// `leads` more leads that both sides agree on.
void add_leads(const Options& options, std::int64_t leads);
/// Whether the guard counts what waits, for each claim, or an operator has let it pass.
enum class Edits { approved, counted };
/// Queues so many edited leads in random order, each due a moment after the one before.
void queue_leads(const Options& options, std::int64_t leads, Edits edits = Edits::approved);
/// What a workspace of so many leads lets through by default.
store::Allowed guard(const Options& options);
/// Queues every lead that is not queued as finished with: given up on, held, or due in a year, a third each.
void keep_leads(const Options& options);
/// What the server would do sooner or later, so that it does not do it while something is measured.
void settle(const Options& options);

// queue_rates.cpp

struct Rate {
    std::int64_t transitions = 0;
    double seconds = 0;
};
/// Claims and completes until none is left, `seconds` have passed, or `transitions` are done.
Rate drain_queue(const Options& options, int threads, std::int64_t transitions);
void measure_queue(const Options& options);
void measure_bare_loop(const Options& options);
void measure_kept(const Options& options);
void measure_counted(const Options& options);

// queue_writers.cpp
void measure_writers(const Options& options);

// queue_growth.cpp
void measure_growth(const Options& options);
void show_claim_plan(const Options& options);

}  // namespace leadsync::bench
