// What the pure core costs, by Google Benchmark: ./run bench core. The leads are the sandbox's, as leadsync reads
// them.
#include <benchmark/benchmark.h>

#include "connectors/instantly/page.hpp"
#include "sync/observe.hpp"
#include "sync/plan.hpp"
#include "sync/rate_windows.hpp"
#include "tests/sandbox/population.hpp"

namespace leadsync {
namespace {

using namespace std::chrono_literals;
using sync::Field;

std::vector<sync::RemoteLead> sandbox_leads() {
    const sandbox::Catalog catalog{{}};
    const sandbox::Population population{{.leads = 100}, catalog};
    std::string body = R"({"items":[)";
    for (std::uint32_t i = 0; i < population.size(); ++i) {
        if (i > 0) body += ',';
        population.append_json(i, body);
    }
    return instantly::parse_lead_page(body + "]}").leads;
}

/// A lead on which both sides agree, beside what Instantly answers.
struct Pair {
    sync::RemoteLead remote;
    sync::Content local;
    sync::Base base;
};

std::vector<Pair> agreeing() {
    std::vector<Pair> pairs;
    for (auto& lead : sandbox_leads()) {
        const auto base = sync::both_ways_of(lead.content);
        auto local = base;
        local[Field::email] = lead.content[Field::email];
        pairs.push_back({std::move(lead), std::move(local), {base}});
    }
    return pairs;
}

/// Both sides have edited each lead: two fields and a variable are to be taken or sent, one is in conflict.
std::vector<Pair> edited() {
    auto pairs = agreeing();
    for (auto& [remote, local, base] : pairs) {
        remote.content[Field::job_title] = "changed on Instantly";
        local[Field::first_name] = "changed here";
        local[Field::lt_interest_status] = base.content[Field::lt_interest_status] == "1" ? "2" : "1";
        local.custom_variables["bench"] = "changed here";
        remote.content[Field::company_name] = "one";
        local[Field::company_name] = "another";
    }
    return pairs;
}

void merge_all(benchmark::State& state, const std::vector<Pair>& pairs) {
    const sync::ConflictPolicy policy;
    std::size_t next = 0;
    for (auto _ : state) {
        const auto& [remote, local, base] = pairs[next++ % pairs.size()];
        benchmark::DoNotOptimize(sync::merge(base, local, remote, policy));
    }
    state.SetItemsProcessed(state.iterations());
}

void merge_unchanged(benchmark::State& state) { merge_all(state, agreeing()); }
BENCHMARK(merge_unchanged);

void merge_changed(benchmark::State& state) { merge_all(state, edited()); }
BENCHMARK(merge_changed);

void plan_changed(benchmark::State& state) {
    std::vector<sync::MergeResult> merged;
    for (const auto& [remote, local, base] : edited()) merged.push_back(sync::merge(base, local, remote, {}));
    std::size_t next = 0;
    for (auto _ : state) benchmark::DoNotOptimize(sync::plan_push(merged[next++ % merged.size()]));
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(plan_changed);

/// One request through full windows: asked for, granted, departed.
void rate_windows(benchmark::State& state) {
    sync::RateWindows windows{{}};
    sync::SteadyTime now{1h};
    for (auto _ : state) {
        now = windows.next(now).value();
        windows.grant(now);
        windows.depart(now);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(rate_windows);

}  // namespace
}  // namespace leadsync

BENCHMARK_MAIN();
