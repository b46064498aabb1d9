// pg_boss.mjs URL JOBS [batched]: jobs that do nothing, queued before the clock starts.
import PgBoss from "pg-boss";
import pg from "pg";
import { Finish } from "./finish.mjs";

const [connectionString, jobs, mode] = process.argv.slice(2);
const queue = `nothing_${process.pid}`; // pg-boss makes a table for each
const insertedAtOnce = 1000;
const fetchers = 4;

const boss = new PgBoss(connectionString);
boss.on("error", (error) => {
  throw error;
});
await boss.start();
await boss.createQueue(queue);
for (let left = Number(jobs); left > 0; left -= insertedAtOnce)
  await boss.insert(Array.from({ length: Math.min(left, insertedAtOnce) }, () => ({ name: queue })));
const client = new pg.Client({ connectionString });
await client.connect();
await client.query("VACUUM ANALYZE pgboss.job");
await client.query("CHECKPOINT");

const finish = new Finish(Number(jobs));
if (mode === "batched") {
  const fetchUntilEmpty = async () => {
    for (;;) {
      const batch = await boss.fetch(queue, { batchSize: 100 });
      if (batch.length === 0) return;
      await boss.complete(queue, batch.map(({ id }) => id));
      finish.ran(batch.length);
    }
  };
  await Promise.all(Array.from({ length: fetchers }, fetchUntilEmpty));
} else {
  await boss.work(queue, async (batch) => finish.ran(batch.length));
}
await finish.allRan;
await finish.report(`pg-boss, ${mode ?? "default"}`, async () => {
  const { rows } = await client.query(
    "SELECT count(*)::int AS left FROM pgboss.job WHERE name = $1 AND state <> 'completed'",
    [queue],
  );
  return rows[0].left === 0;
});
await client.end();
await boss.stop({ graceful: false });
