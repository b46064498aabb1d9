// A backfill and a sweep that finds nothing changed, without latency and limit: leadsync beside the straight C++
// program, Node and COPY. All take their turn in every round, and the median of a ratio counts: the machine's speed is
// not the same all the time.
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

import { median, megabytes, thousands } from "../harness/format.mjs";
import { asFastAsItGoes } from "../harness/leadsync.mjs";
import { measure } from "../harness/processes.mjs";

const rowByRowLeads = 20_000; // so slow that fewer leads tell its rate

// Where the sandbox's leads lie: seven of ten have an id made of its time, from October to December 2025.
const cuts = [
  ...["a2", "a4", "a6", "a8", "aa", "ac", "ae", "b0", "b2", "b4"].map(
    (at) => `019${at}000-0000-7000-8000-000000000000`,
  ),
  ...[..."48c"].map((digit) => `${digit}0000000-0000-4000-8000-000000000000`),
];

const tables = {
  leadsync: ["crm.leads", "sync.base"],
  reference: ["reference.leads"],
  node: ["node.leads"],
};

async function rowsWritten(cluster, database, names) {
  const [{ rows }] = await cluster.ask(
    database,
    `SELECT sum(n_tup_ins + n_tup_upd)::int AS rows FROM pg_stat_user_tables
     WHERE schemaname || '.' || relname = ANY ($1)`,
    [names],
  );
  return rows;
}

/** Twice: everything is new, then nothing has changed. */
async function twice(bench, name, database, run) {
  const { cluster } = bench;
  await cluster.settle(database);
  bench.tell(`${name}, first`);
  const first = await run();
  await cluster.settle(database);
  const [rows, wal] = [await rowsWritten(cluster, database, tables[name]), await cluster.walBytes()];
  bench.tell(`${name}, unchanged`);
  const again = await run();
  again.wal = (await cluster.walBytes()) - wal;
  again.rows = (await rowsWritten(cluster, database, tables[name])) - rows;
  return { first, again };
}

async function copy(bench, database) {
  const file = `${bench.folder}/rows`;
  const psql = (command, stdio) => {
    const { status } = spawnSync("psql", ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", command, database], { stdio });
    if (status !== 0) throw new Error(`psql: ${command}`);
  };
  psql(`\\copy reference.leads TO '${file}' WITH (FORMAT binary)`, "inherit");
  psql("CREATE TABLE reference.copied (LIKE reference.leads INCLUDING ALL)", "inherit");
  await bench.cluster.settle(database);
  const started = performance.now();
  psql(`\\copy reference.copied FROM '${file}' WITH (FORMAT binary)`, "inherit");
  const seconds = (performance.now() - started) / 1000;
  rmSync(file);
  return { seconds };
}

async function round(bench, sandbox) {
  const { cluster } = bench;
  const reference = await cluster.newDatabase();
  const ours = await cluster.newDatabase();
  const node = await cluster.newDatabase();
  const leadsync = bench.leadsync({ database: ours, sandbox, rate: asFastAsItGoes });
  await leadsync.measure("migrate");
  const words = ["--url", sandbox.url, "--key", sandbox.key, "--database", reference];
  for (const id of cuts) words.push("--cut", id);
  const results = {
    leadsync: await twice(bench, "leadsync", ours, () => leadsync.measure("backfill", { cluster })),
    reference: await twice(bench, "reference", reference, () => measure(bench.programs.reference, words, { cluster })),
    node: await twice(bench, "node", node, () => bench.baseline("node_batched.mjs", sandbox, { database: node })),
  };
  bench.tell("node, row by row");
  const rowByRow = await bench.baseline("node_row_by_row.mjs", sandbox, { database: node, leads: rowByRowLeads });
  bench.tell("COPY");
  const copied = await copy(bench, reference);
  for (const database of [reference, ours, node]) await cluster.dropDatabase(database);
  return { ...results, rowByRow, copied };
}

export async function measureThroughput(bench) {
  const sandbox = await bench.startSandbox(
    ...["--leads", bench.leads, "--seed", 3, "--no-rate-limit", "--campaigns", 14, "--lists", 6],
  );
  const rounds = [];
  while (rounds.length < bench.rounds) rounds.push(await round(bench, sandbox));
  await sandbox.stop();

  const middle = (figure) => median(rounds.map(figure));
  const line = (what, figure, unit, than, thanFigure, bound) =>
    bench.line({
      what,
      ours: unit(middle(figure)),
      than: `${than} ${unit(middle(thanFigure))}`,
      ratio: middle((each) => figure(each) / thanFigure(each)),
      ...bound,
    });

  const leads = bench.leads;
  const perSecond = (value) => `${thousands(value)} leads/s`;
  const rate = ({ leadsync }) => leads / leadsync.first.seconds;
  const backfill = "first backfill, no latency, no limit";
  line(backfill, rate, perSecond, "straight C++", (each) => leads / each.reference.first.seconds, { least: 0.5 });
  line(backfill, rate, perSecond, "Node, batched", (each) => leads / each.node.first.seconds, { least: 2 });
  const rowByRow = (each) => JSON.parse(each.rowByRow.output).leads / each.rowByRow.seconds;
  line(backfill, rate, perSecond, "Node, row by row", rowByRow);
  line(backfill, rate, perSecond, "COPY", ({ copied }) => leads / copied.seconds);

  const cpuLine = (what, run, than, thanRun, bound) => {
    const perMillion = (chosen, side) => (middle((each) => chosen(each)[`${side}_cpu_s`]) / leads) * 1e6;
    const text = (chosen) =>
      `${perMillion(chosen, "client").toFixed(1)} + ${perMillion(chosen, "server").toFixed(1)} CPU-s/M`;
    bench.line({
      what: `${what}: CPU, client + PostgreSQL`,
      ours: text(run),
      than: `${than} ${text(thanRun)}`,
      ratio: middle((each) => run(each).cpu_s / thanRun(each).cpu_s),
      ...bound,
    });
  };
  const first = (program) => (each) => each[program].first;
  cpuLine("first backfill", first("leadsync"), "straight C++", first("reference"));
  cpuLine("first backfill", first("leadsync"), "Node, batched", first("node"));

  const unchanged = "sweep, nothing changed";
  const again = (program) => (each) => each[program].again;
  const rateAgain = (program) => (each) => leads / again(program)(each).seconds;
  line(`${unchanged}: leads/s`, rateAgain("leadsync"), perSecond, "straight C++", rateAgain("reference"));
  cpuLine(unchanged, again("leadsync"), "straight C++", again("reference"), { most: 2 });
  cpuLine(unchanged, again("leadsync"), "Node, batched", again("node"));
  const rows = (program) => (each) => each[program].again.rows;
  bench.line({
    what: `${unchanged}: rows of leads written`,
    ours: thousands(middle(rows("leadsync"))),
    than: `Node, batched ${thousands(middle(rows("node")))}`,
    ratio: middle(rows("leadsync")) / middle(rows("node")),
    most: 0,
  });
  const wal = (program) => (each) => (each[program].again.wal / leads) * 100_000;
  bench.line({
    what: `${unchanged}: WAL for 100,000 leads`,
    ours: megabytes(middle(wal("leadsync"))),
    than: `Node, batched ${megabytes(middle(wal("node")))}`,
    ratio: middle(wal("leadsync")) / middle(wal("node")),
    target: "< 4 MB",
    met: middle(wal("leadsync")) < 4e6,
  });
  const memory = (program) => (each) => each[program].first.memory_mb;
  bench.line({
    what: "first backfill: resident memory, peak",
    ours: `${middle(memory("leadsync")).toFixed(1)} MB`,
    than: `Node, batched ${middle(memory("node")).toFixed(1)} MB`,
    ratio: middle(memory("leadsync")) / middle(memory("node")),
    target: "< 48 MB",
    met: middle(memory("leadsync")) < 48,
  });
}
