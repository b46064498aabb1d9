#include <fmt/format.h>
#include <pqxx/pqxx>

#include "tests/bench/queue_bench.hpp"

namespace leadsync::bench {

void run_sql(const std::string& url, const std::string& statements) {
    pqxx::connection connection{url};
    const pqxx::quiet_errorhandler quiet{connection};
    pqxx::nontransaction session{connection};
    session.exec("SET leadsync.origin = 'sync'");
    session.exec(statements);
}

void add_leads(const Options& options, std::int64_t leads) {
    // By ascending id, which spares the indexes the random access that a real workspace has spread over weeks.
    run_sql(options.url, fmt::format(R"sql(
        INSERT INTO crm.workspaces (name, state, backfilled_at) VALUES ('bench', 'following', now())
        ON CONFLICT (name) DO NOTHING;

        CREATE TEMP TABLE added AS
        SELECT gen_random_uuid() AS id, n FROM generate_series(1, {}) AS n ORDER BY id;

        INSERT INTO crm.leads (workspace, id, instantly_id, email, first_name, last_name, company_name, job_title,
                               phone, website, personalization, campaign, custom_variables, status, company_domain,
                               status_summary, timestamp_created, timestamp_updated, sync_status, synced_at)
        SELECT 'bench', id, id, format('person.%s@company-%s.example', n, n % 5000), 'Person', 'Number ' || n,
               'Company ' || n % 5000, 'Head of Department ' || n % 50, '+1 555 ' || n,
               format('https://www.company-%s.example', n % 5000),
               repeat('A sentence written for this person alone. ', 6), md5((n % 20)::text)::uuid,
               jsonb_build_object('tier', n % 5, 'source', 'import', 'score', n % 100), 1,
               format('company-%s.example', n % 5000), jsonb_build_object('from', 'campaign', 'stepID', '0_0_0'),
               now(), now(), 'synced', now()
        FROM added ORDER BY id;

        INSERT INTO sync.base (workspace, lead_id, instantly_id, content, content_hash, remote_updated_at, observed_at)
        SELECT l.workspace, l.id, l.instantly_id,
               jsonb_build_object('first_name', first_name, 'last_name', last_name, 'company_name', company_name,
                                  'job_title', job_title, 'phone', phone, 'website', website,
                                  'personalization', personalization, 'campaign', campaign,
                                  'custom_variables', custom_variables),
               hashtext(l.email), now(), now()
        FROM crm.leads l JOIN added USING (id) ORDER BY l.id
    )sql",
                                     leads));
    run_sql(options.url, "VACUUM ANALYZE crm.leads");
    run_sql(options.url, "VACUUM ANALYZE sync.base");
}

void queue_leads(const Options& options, std::int64_t leads, Edits edits) {
    run_sql(options.url, fmt::format(R"sql(
        INSERT INTO sync.queue (workspace, lead_id, due_at, edited_at, decision, decided)
        SELECT 'bench', lead_id, clock_timestamp(), now(), {}
        FROM (SELECT b.lead_id FROM sync.base b WHERE b.workspace = 'bench' ORDER BY random() LIMIT {}) AS shuffled
        ON CONFLICT (workspace, lead_id) DO NOTHING
    )sql",
                                     edits == Edits::approved ? "'approve', 'local change'" : "NULL, NULL", leads));
}

store::Allowed guard(const Options& options) {
    using enum store::HoldKind;
    return {{create, 1'000}, {change, options.leads / 4}, {remove, options.leads / 20}};
}

void keep_leads(const Options& options) {
    run_sql(options.url, R"sql(
        INSERT INTO sync.queue (workspace, lead_id, due_at, dead_at, held_at, attempts, last_error)
        SELECT 'bench', lead_id, now() + (n % 3 = 2)::int * interval '1 year',
               CASE WHEN n % 3 = 0 THEN now() END, CASE WHEN n % 3 = 1 THEN now() END,
               5 * (n % 3 = 0)::int, CASE WHEN n % 3 = 0 THEN 'PATCH lead: 422 "invalid phone"' END
        FROM (SELECT b.lead_id, row_number() OVER () AS n FROM sync.base b
              WHERE b.workspace = 'bench'
                AND NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = 'bench' AND q.lead_id = b.lead_id)
             ) AS finished
        ORDER BY lead_id
    )sql");
}

void settle(const Options& options) {
    run_sql(options.url, "VACUUM ANALYZE sync.queue");
    run_sql(options.url, "CHECKPOINT");
}

}  // namespace leadsync::bench
