// Everything that ./run bench queue measures, one after the other on one PostgreSQL of its own, and the table of it.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { settingsFrom } from "./harness/flags.mjs";
import { megabytes, rounded, thousands } from "./harness/format.mjs";
import { installPackages } from "./harness/npm.mjs";
import { startServer } from "./harness/server.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const program = `${here}../../build/release/tests/bench/leadsync-bench-queue`;
const options = {
  leads: { type: "string", default: "200000" },
  seconds: { type: "string", default: "5" },
  kept: { type: "string", default: "1000000" },
  transitions: { type: "string", default: "1000000" },
};
const settings = settingsFrom(options, (flags) =>
  Object.fromEntries(
    Object.entries(flags).map(([name, text]) => {
      if (!(Number(text) > 0)) throw new Error(`--${name} takes a number above 0, not ${text}`);
      return [name, Number(text)];
    }),
  ),
);
const { leads } = settings;
const sizes = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);

function run(command, words, cwd) {
  const stdio = ["ignore", "pipe", "inherit"];
  const { status, error, stdout } = spawnSync(command, words, { cwd, stdio, encoding: "utf8" });
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} ${words.join(" ")} ended with ${status}`);
  return stdout;
}

installPackages(`${here}node`, "pg-boss");
const server = await startServer(program);
const { url } = server;

const results = (text) => text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
const measure = (what, threads) => {
  process.stderr.write(`${what} …\n`);
  return results(run(program, [what, "--database", url, ...sizes, ...(threads ? ["--threads", String(threads)] : [])]));
};
const measureNode = (script, jobs, ...mode) => {
  process.stderr.write(`${[script, ...mode].join(" ")} …\n`);
  return results(run(process.execPath, [script, url, String(jobs), ...mode], `${here}node`))[0];
};

const fastest = (rates) => rates.reduce((best, rate) => (rate.per_second > best.per_second ? rate : best));
const of = (part, whole) => `${thousands(part)} of ${thousands(whole)}`;
const pad = (text) => text.padEnd(66);

function rateLine(name, rate) {
  console.log(`${pad(name)} ${rounded(rate.per_second).padStart(9)}/s  ${rounded(rate.rss_mb).padStart(5)} MB`);
}

function ratioLine(name, ratio, wanted) {
  const target = wanted ? `   target ${wanted}x${ratio < wanted ? ", missed" : ""}` : "";
  console.log(`${pad(name)} ${(ratio < 10 ? ratio.toFixed(2) : thousands(ratio)).padStart(9)}x${target}`);
}

function sizeLine(when, { rows, dead_rows, table_bytes, index_bytes }) {
  const relations = Object.entries({ table: table_bytes, ...index_bytes });
  const parts = relations.map(([name, bytes]) => `${name} ${megabytes(bytes)}`);
  console.log(`  ${when}: ${thousands(rows)} rows, ${thousands(dead_rows)} dead; ${parts.join(", ")}`);
}

/** How long it took, and what it did to the tables that grow. */
function* keyLines(plan) {
  let key = false;
  for (const line of plan.split("\n")) {
    if (line.includes("duration:")) yield line.slice(line.indexOf("duration:"));
    if (line.includes("(cost=")) {
      key = /Limit|LockRows|(Update|Scan).* on (queue|base|leads)/.test(line) && line.includes("(actual");
      if (key) yield line.replace(/\(cost=.*?\) /, "");
    } else if (key && /Index Cond:|Rows Removed|Buffers:/.test(line)) yield line;
  }
}

try {
  measure("fill");
  const ours = measure("queue");
  const best = fastest(ours);
  const bare = measure("bare", best.threads)[0];
  const graphile = measureNode("graphile_worker.mjs", 2000);
  const graphileBatched = measureNode("graphile_worker.mjs", leads, "batched");
  const boss = measureNode("pg_boss.mjs", 5);
  const bossBatched = measureNode("pg_boss.mjs", 20000, "batched");
  const [single, bulk] = measure("writers");
  const [growth] = measure("growth", best.threads);
  const [approved, counted] = measure("counted", best.threads);
  const [without, kept] = measure("kept", best.threads);
  const [plan] = measure("plan");

  console.log(`\n${thousands(leads)} leads, claimed by 100 and completed, fsync on; the process's peak of memory`);
  for (const rate of ours) {
    const connections = `${rate.threads} connection${rate.threads > 1 ? "s" : ""}`;
    rateLine(`leadsync, ${connections}${rate === best ? " (the fastest)" : ""}`, rate);
  }
  rateLine(`bare SQL lease loop, ${bare.threads} connections`, bare);
  rateLine("graphile-worker, default settings", graphile);
  rateLine("graphile-worker, its fastest (local queue, batched completion)", graphileBatched);
  rateLine("pg-boss, work() in default settings", boss);
  rateLine("pg-boss, 4 loops of fetch() by 100 and complete()", bossBatched);

  console.log("\nleadsync against");
  ratioLine("  graphile-worker, default", best.per_second / graphile.per_second, 5);
  ratioLine("  pg-boss, default", best.per_second / boss.per_second, 5);
  ratioLine("  graphile-worker, its fastest", best.per_second / graphileBatched.per_second, 0.8);
  ratioLine("  pg-boss, fetch() and complete()", best.per_second / bossBatched.per_second);
  ratioLine("  bare SQL lease loop", best.per_second / bare.per_second, 0.5);
  ratioLine(`  itself, ${thousands(settings.kept)} parked beside: ${of(kept.per_second, without.per_second)}/s`,
    kept.per_second / without.per_second, 0.9);
  ratioLine(`  itself, ${thousands(settings.kept)} leads more that are finished: ${of(without.per_second, best.per_second)}/s`,
    without.per_second / best.per_second);

  ratioLine(`  itself, ${thousands(counted.jobs)} edits that the guard counts each time: ${of(counted.per_second, approved.per_second)}/s`,
    counted.per_second / approved.per_second);

  console.log("\nWhat capture leaves to the writers of crm.leads");
  const transactions = of(single.with_triggers, single.without_triggers);
  ratioLine(`  ${single.connections} writers of single rows: ${transactions} transactions/s`,
    single.with_triggers / single.without_triggers, 0.75);
  ratioLine(`  UPDATE of ${thousands(bulk.rows)} rows: ${of(bulk.with_triggers, bulk.without_triggers)} rows/s`,
    bulk.with_triggers / bulk.without_triggers, 0.4);

  const { before, after } = growth;
  console.log(`\nsync.queue, ${thousands(growth.transitions)} transitions, queued ${thousands(leads)} at a time`);
  sizeLine("before", before);
  sizeLine("after", after);
  console.log(`  ${thousands(after.updates)} updates, ${thousands(after.hot_updates)} of them HOT; ` +
    `${after.autovacuums} autovacuums; ${thousands(growth.per_second)} transitions/s`);

  console.log(`\nA claim of 100 with ${thousands(plan.pending)} pending`);
  for (const line of keyLines(plan.plan)) console.log(`  ${line.slice(0, 150)}`);

  console.log(`\nAgain: ./run bench queue ${sizes.join(" ")}`);
} finally {
  await server.stop();
}
