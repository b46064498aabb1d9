#include <pqxx/pqxx>

#include "connectors/postgres/database.hpp"
#include "connectors/postgres/queue.hpp"
#include "tests/bench/queue_bench.hpp"

namespace leadsync::bench {
namespace {

/// A query that answers one row with one JSON document.
nlohmann::ordered_json json_of(const std::string& url, const std::string& query) {
    pqxx::connection connection{url};
    pqxx::nontransaction session{connection};
    return nlohmann::ordered_json::parse(session.exec1(query)[0].c_str());
}

nlohmann::ordered_json size_of_queue(const std::string& url) {
    return json_of(url, R"sql(
        SELECT json_build_object(
            'rows', (SELECT count(*) FROM sync.queue),
            'dead_rows', s.n_dead_tup,
            'updates', s.n_tup_upd,
            'hot_updates', s.n_tup_hot_upd,
            'autovacuums', s.autovacuum_count,
            'table_bytes', pg_relation_size(s.relid),
            'index_bytes', (SELECT json_object_agg(i.indexrelid::regclass, pg_relation_size(i.indexrelid))
                            FROM pg_index i WHERE i.indrelid = s.relid))
        FROM pg_stat_user_tables s WHERE s.relid = 'sync.queue'::regclass
    )sql");
}

/// The plans that auto_explain sends to the client.
class PlanReader final : public pqxx::errorhandler {
public:
    PlanReader(pqxx::connection_base& connection, std::string& plan) : errorhandler{connection}, plan_{plan} {}
    bool operator()(const char message[]) noexcept override {
        plan_ += message;
        return false;
    }

private:
    std::string& plan_;
};

}  // namespace

void measure_growth(const Options& options) {
    const int threads = std::max(options.threads, 1);
    auto patient = options;
    patient.seconds = std::chrono::duration<double>{std::chrono::hours{1}}.count();
    run_sql(options.url, "TRUNCATE sync.queue");
    queue_leads(options, options.leads);
    settle(options);
    run_sql(options.url, "SELECT pg_stat_reset_single_table_counters('sync.queue'::regclass)");
    const auto before = size_of_queue(options.url);
    Rate all;
    while (all.transitions < options.transitions) {
        queue_leads(options, options.leads);
        const auto rate = drain_queue(patient, threads, options.transitions - all.transitions);
        all.transitions += rate.transitions;
        all.seconds += rate.seconds;
    }
    print({{"name", "growth"},
           {"transitions", all.transitions},
           {"per_second", static_cast<double>(all.transitions) / all.seconds},
           {"before", before},
           {"after", size_of_queue(options.url)}});
}

void show_claim_plan(const Options& options) {
    run_sql(options.url, "TRUNCATE sync.queue");
    queue_leads(options, options.leads);
    settle(options);
    std::string plan;
    postgres::Database database{options.url, 1};
    database.run_blocking([&](pqxx::work& transaction) {
        // Whatever statement the queue sends: this bench knows only its interface.
        transaction.exec(R"sql(
            LOAD 'auto_explain';
            SET LOCAL auto_explain.log_min_duration = 0;
            SET LOCAL auto_explain.log_analyze = on;
            SET LOCAL auto_explain.log_buffers = on;
        )sql");
        postgres::Queue queue{transaction, workspace};
        const auto allowed = guard(options);
        queue.claim_within(allowed, batch_size, lease, true, std::nullopt);  // a new connection's caches are cold
        transaction.exec("SET LOCAL client_min_messages = log");
        const PlanReader reader{transaction.conn(), plan};
        queue.claim_within(allowed, batch_size, lease, true, std::nullopt);
    });
    print({{"name", "claim_plan"},
           {"pending", json_of(options.url, "SELECT count(*) FROM sync.queue")},
           {"plan", plan}});
}

}  // namespace leadsync::bench
