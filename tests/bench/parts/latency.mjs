// From the COMMIT of an edit in PostgreSQL to its first request at the server: of an idle leadsync beside a program
// that has nothing else to do, and during a backfill.
import { once } from "node:events";
import { createInterface } from "node:readline";

import { ms, spreadOf, thousands } from "../harness/format.mjs";
import { asFastAsItGoes, realLimits } from "../harness/leadsync.mjs";
import { measure, start } from "../harness/processes.mjs";

const idleLeads = 2000;
const idleEdits = 50;
// It is read back before the next. The floor has as long a rest between two edits: what is asked ten times a second
// answers sooner than what has slept, processor, caches and all.
const betweenIdleEditsMs = 3000;
const busyEdits = 150;
const readFirst = 5000; // leads that are there before the first edit during the backfill

/** Milliseconds until the first request that names the lead. A sweep names leads as well, as where to go on. */
async function waits(sandbox, output) {
  const log = await sandbox.ask("GET", "/requests?limit=20000");
  const edits = output.split("\n").filter(Boolean).map((line) => JSON.parse(line));
  return edits.map(({ id, committed_us: committed }) => {
    const first = log.find(({ path, body = "" }) => !body.includes("starting_after") && (path + body).includes(id));
    return first ? Math.max(0, (first.monotonic_us - committed) / 1000) : Infinity;
  });
}

async function edit(bench, sandbox, database, ...words) {
  await sandbox.ask("DELETE", "/requests");
  const { output } = await measure(bench.programs.latency, ["edits", "--database", database, ...words.map(String)]);
  await new Promise((resolve) => setTimeout(resolve, 1000)); // the last edit's request
  return spreadOf(await waits(sandbox, output));
}

async function floor(bench, sandbox) {
  bench.tell("an edit to a request: LISTEN, one SELECT, one HTTP request");
  const database = await bench.cluster.newDatabase();
  const words = ["floor", "--database", database, "--url", sandbox.url, "--key", sandbox.key];
  const program = start(bench.programs.latency, words, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(program, "exit");
  await once(createInterface({ input: program.stdout }), "line");
  const table = ["--table", "floor.leads"];
  const spread = await edit(bench, sandbox, database, ...table, "--edits", idleEdits, "--pause-ms", betweenIdleEditsMs);
  program.kill();
  await ended;
  await bench.cluster.dropDatabase(database);
  return spread;
}

async function idle(bench, sandbox) {
  bench.tell("an edit to a request: leadsync, idle");
  const database = await bench.cluster.newDatabase();
  const leadsync = bench.leadsync({ database, sandbox, rate: asFastAsItGoes });
  await leadsync.measure("backfill");
  const daemon = leadsync.start("run");
  const words = ["--table", "crm.leads", "--edits", idleEdits, "--pause-ms", 1000];
  const spread = await edit(bench, sandbox, database, ...words, "--idle", "NOT EXISTS (SELECT FROM sync.queue)");
  await daemon.stop();
  await bench.cluster.dropDatabase(database);
  return spread;
}

async function busy(bench) {
  const leads = Math.max(bench.leads, 200_000); // more than is read while the edits are made
  bench.tell(`an edit to a request: leadsync, during a backfill of ${thousands(leads)} leads`);
  const sandbox = await bench.startSandbox("--leads", leads, "--seed", 3);
  const database = await bench.cluster.newDatabase();
  const leadsync = bench.leadsync({ database, sandbox, rate: realLimits });
  await leadsync.measure("migrate");
  const daemon = leadsync.start("run");
  for (;;) {
    const [{ count }] = await bench.cluster.ask(database, "SELECT count(*)::int FROM crm.leads");
    if (count >= readFirst) break;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const spread = await edit(bench, sandbox, database, "--table", "crm.leads", "--edits", busyEdits, "--pause-ms", 100);
  const [{ read }] = await bench.cluster.ask(database, "SELECT count(*)::int AS read FROM crm.leads");
  if (read >= leads) throw new Error("the backfill ended before the edits did");
  await daemon.stop();
  await sandbox.stop();
  await bench.cluster.dropDatabase(database);
  return spread;
}

export async function measureLatency(bench) {
  const sandbox = await bench.startSandbox("--leads", idleLeads, "--seed", 3, "--no-rate-limit");
  const least = await floor(bench, sandbox);
  const alone = await idle(bench, sandbox);
  await sandbox.stop();
  const beside = await busy(bench);
  const what = "COMMIT of an edit to its first request";
  const than = (part) => `LISTEN, SELECT, HTTP ${ms(least[part])} ms of ${least.count}`;
  const line = (state, spread, part, bound) =>
    bench.line({
      what: `${what}, ${state}: ${part}`,
      ours: `${ms(spread[part])} ms of ${spread.count}`,
      than: than(part),
      ratio: spread[part] / least[part],
      ...bound,
    });
  line("idle", alone, "p50", { most: 3 });
  line("idle", alone, "p99", { most: 10 });
  line("during a backfill", beside, "p50");
  line("during a backfill", beside, "p99", { target: "< 50 ms", met: beside.p99 < 50 });
}
