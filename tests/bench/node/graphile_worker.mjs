// graphile_worker.mjs URL JOBS [batched]: jobs that do nothing, queued before the clock starts.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { Finish } from "./finish.mjs";

const [connectionString, jobs, mode] = process.argv.slice(2);
const logger = new Logger(() => () => {}); // a line for each job is not what is measured

// https://worker.graphile.org/docs/performance, "Quick stats"
const batched = {
  concurrentJobs: 24,
  maxPoolSize: 25,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};

const utils = await makeWorkerUtils({ connectionString, logger });
await utils.migrate();
await utils.release();
const client = new pg.Client({ connectionString });
await client.connect();
await client.query("TRUNCATE graphile_worker._private_jobs");
await client.query(
  `SELECT FROM graphile_worker.add_jobs(ARRAY(
     SELECT ROW('nothing', '{}', NULL, NULL, NULL, NULL, NULL, NULL)::graphile_worker.job_spec
     FROM generate_series(1, $1::int)))`,
  [jobs],
);
await client.query("VACUUM ANALYZE graphile_worker._private_jobs");
await client.query("CHECKPOINT");

const finish = new Finish(Number(jobs));
const runner = await run({
  taskList: { nothing: () => finish.ran(1) },
  preset: { worker: { connectionString, logger, ...(mode === "batched" ? batched : {}) } },
});
await finish.allRan;
await finish.report(`graphile-worker, ${mode ?? "default"}`, async () => {
  const { rows } = await client.query("SELECT count(*)::int AS left FROM graphile_worker._private_jobs");
  return rows[0].left === 0;
});
await runner.stop();
await client.end();
