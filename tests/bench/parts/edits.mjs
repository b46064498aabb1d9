// 10,000 edits in one transaction until all are read back, beside the time that the fewest possible requests take at
// the limit.
import { thousands } from "../harness/format.mjs";
import { realLimits } from "../harness/leadsync.mjs";

const editsMax = 10_000;
const latency = 200;
const together = 100; // leads to a look-up

/** Half of them profiles, three in ten moves to three campaigns, the others interest; each lead once. */
const edit = `WITH chosen AS MATERIALIZED (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) AS n FROM crm.leads
    WHERE email IS NOT NULL AND campaign IS NOT NULL AND campaign <> ALL ($2::uuid[]) ORDER BY id LIMIT $1
  )
  UPDATE crm.leads l SET
    job_title = CASE WHEN n % 10 < 5 THEN 'edited ' || n ELSE job_title END,
    campaign = CASE WHEN n % 10 IN (5, 6, 7) THEN ($2::uuid[])[n / 10 % 3 + 1] ELSE campaign END,
    lt_interest_status = CASE WHEN n % 10 IN (8, 9) THEN CASE WHEN lt_interest_status = 1 THEN 2 ELSE 1 END
                              ELSE lt_interest_status END
  FROM chosen WHERE l.id = chosen.id
  RETURNING n % 10 AS kind`;

const groups = `SELECT count(DISTINCT (b.content->>'campaign', l.campaign))::int AS groups
  FROM crm.leads l JOIN sync.base b ON b.workspace = l.workspace AND b.lead_id = l.id
  WHERE l.campaign::text <> b.content->>'campaign'`;

// What was given up on would wait for a person.
const waiting = "SELECT count(*)::int AS left FROM sync.queue WHERE dead_at IS NULL";

async function untilSynced(bench, database) {
  for (;;) {
    const [{ left }] = await bench.cluster.ask(database, waiting);
    if (left === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** By the endpoints that the sandbox counts. */
function fewestRequests(profiles, interests, moves) {
  const all = profiles + interests + moves.leads;
  return {
    "look-ups by 100": Math.ceil(all / together),
    "PATCH": profiles,
    "update-interest-status": interests,
    "moves, one for each source and target": moves.groups,
    "polls of their jobs": moves.groups,
    "read-backs by 100": Math.ceil(all / together),
  };
}

export async function measureEdits(bench) {
  const sandbox = await bench.startSandbox("--leads", bench.leads, "--seed", 3, "--campaigns", 14, "--lists", 6);
  const database = await bench.cluster.newDatabase();
  const leadsync = bench.leadsync({ database, sandbox, rate: realLimits, guard: { changes: "off" } });
  bench.tell("a backfill before the edits");
  await leadsync.measure("backfill");
  // What the backfill has sent would still count for a minute, here and at the server.
  await bench.pause(60_000);
  await bench.cluster.settle(database);
  await sandbox.ask("POST", "/switches", { latency_ms: latency });
  const daemon = leadsync.start("run");
  await bench.pause(3000);
  const campaigns = await bench.cluster.ask(database, "SELECT id FROM crm.campaigns ORDER BY id LIMIT 3");
  await sandbox.ask("DELETE", "/requests");
  const wanted = Math.min(editsMax, Math.floor(bench.leads / 2));
  bench.tell(`${thousands(wanted)} edits`);
  const edited = await bench.cluster.ask(database, edit, [wanted, campaigns.map(({ id }) => id)]);
  const started = performance.now();
  const [{ groups: groupCount }] = await bench.cluster.ask(database, groups);
  await untilSynced(bench, database);
  const seconds = (performance.now() - started) / 1000;
  const [{ unsynced }] = await bench.cluster.ask(
    database,
    "SELECT count(*)::int AS unsynced FROM crm.leads WHERE sync_status <> 'synced'",
  );
  const counts = (await sandbox.ask("GET", "/statistics")).endpoints;
  await daemon.stop();
  await sandbox.stop();
  await bench.cluster.dropDatabase(database);

  const kinds = (from, to) => edited.filter(({ kind }) => kind >= from && kind <= to).length;
  const fewest = fewestRequests(kinds(0, 4), kinds(8, 9), { leads: kinds(5, 7), groups: groupCount });
  const sum = (requests) => Object.values(requests).reduce((total, count) => total + count, 0);
  const least = sum(fewest) / realLimits.per_second;
  const listed = (requests) =>
    Object.entries(requests)
      .map(([name, count]) => `${thousands(count)} ${name}`)
      .join(", ");
  bench.line({
    what: `${thousands(edited.length)} edits until all are read back, ${latency} ms`,
    ours: `${seconds.toFixed(1)} s${unsynced > 0 ? `, ${unsynced} NOT SYNCED` : ""}`,
    than: `fewest requests at the limit ${least.toFixed(1)} s`,
    ratio: seconds / least,
  });
  bench.line({
    what: `${thousands(edited.length)} edits: requests`,
    ours: thousands(sum(counts)),
    than: `the fewest possible ${thousands(sum(fewest))}`,
    ratio: sum(counts) / sum(fewest),
  });
  bench.note(`fewest requests: ${listed(fewest)}`);
  bench.note(`leadsync's requests: ${listed(counts)}`);
}
