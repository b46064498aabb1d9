// run.mjs: leadsync's request limiter beside those of others, at one sandbox. Prints one table; a time is never a
// failure. Called by ./run bench limiter.
import { execFile } from "node:child_process";
import { loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startSandbox } from "../../../node/sandbox.mjs";
import { ms, percent, spreadOf } from "../../harness/format.mjs";
import { installPackages } from "../../harness/npm.mjs";
import { editsDuringBackfill, share } from "./edits.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const build = fileURLToPath(new URL("../../../../build/release/", import.meta.url));
process.env.SANDBOX_PROGRAM = `${build}tests/sandbox/leadsync-sandbox`;
const ours = `${build}tests/bench/leadsync-bench-limiter`;
const perSecond = 100;
const requests = 3000;

installPackages(here, "p-throttle");

const run = promisify(execFile);
const sandbox = await startSandbox("--leads", "0");

async function json(program, ...words) {
  return JSON.parse((await run(program, words.map(String))).stdout);
}

async function control(method, path, body) {
  const answer = await sandbox.control(method, path, body);
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(answer.json)}`);
  return answer.json;
}

let workspaces = 0;
// Each measurement has a workspace of its own: what an earlier one sent is in the windows of another.
async function workspace(switches = {}) {
  const name = `bench-${++workspaces}`;
  await control("POST", "/workspaces", { name, api_key: `${name}-key`, leads: 0 });
  await control("POST", `/switches?workspace=${name}`, switches);
  return { name, key: `${name}-key` };
}

// Which of the arrivals a server would refuse that does not count what it refuses. The sandbox does: it is hardest on a
// client that goes on regardless.
function refusedLeniently(arrivals, limit) {
  const accepted = [];
  return arrivals.map((at) => {
    const refused = accepted.length >= limit && at - accepted.at(-limit) < 1000;
    if (!refused) accepted.push(at);
    return refused;
  });
}

// The part of `limit` that was used from when the first second's worth had arrived until the end. The first second's
// worth may come at once: counted with the rest it would flatter those who send in bursts.
async function atTheServer(name, limit = perSecond) {
  const log = await control("GET", `/requests?workspace=${name}&limit=100000`);
  const counts = (await control("GET", "/statistics")).workspaces[name];
  const arrivals = log.map(({ time }) => Date.parse(time));
  const allowed = ((arrivals.at(-1) - arrivals[limit - 1]) / 1000) * limit;
  const lenient = refusedLeniently(arrivals, perSecond);
  const used = (isRefused) => isRefused.slice(limit).filter((refused) => !refused).length / allowed;
  return {
    used: used(log.map(({ status }) => status === 429)),
    lenientUsed: used(lenient),
    lenientRefused: lenient.filter(Boolean).length,
    refused: counts.refused,
    second: counts.max_per_second,
    minute: counts.max_per_minute,
  };
}

const rows = [];
const loads = [];
function row(what, columns, target = "") {
  rows.push({ what, ...columns, target });
}

function heading(what) {
  loads.push(loadavg()[0]);
  console.error(`${what} …`);
  rows.push({ what });
}

function spread(figures) {
  return figures ? { count: figures.count, p50: ms(figures.p50), p99: ms(figures.p99), max: ms(figures.max) } : {};
}

function served(server, cpu) {
  const lenientUsed = cpu && percent(server.lenientUsed);
  const lenientRefused = cpu && server.lenientRefused;
  return { ...server, used: percent(server.used), lenientUsed, lenientRefused, cpu: cpu?.toFixed(2) };
}

// The same client at both latencies at once, so that the whole fits into five minutes; nothing else runs beside them.
async function windows(client, program) {
  const latencies = [0, 200];
  const spaces = await Promise.all(latencies.map((latency_ms) => workspace({ latency_ms })));
  const reports = await Promise.all(spaces.map(({ key }) => program(key)));
  for (const [i, latency] of latencies.entries()) {
    const server = await atTheServer(spaces[i].name);
    const target = client === "leadsync" ? ">= 97 %, 0 refused" : "";
    row(`${client}, ${latency} ms`, served(server, reports[i].cpu_s), target);
  }
  return reports;
}

const npm = (name) => (key) => json(process.execPath, `${here}client.mjs`, name, sandbox.url, key, requests);
const load = (keys, ...words) => json(ours, ...keys.flatMap((key) => ["--key", key]), ...words);
const overHttp = (keys, ...words) => load(keys, "--url", sandbox.url, ...words);

async function comparison() {
  heading(`${requests.toLocaleString("en")} requests, ${perSecond}/s, by latency of the server`);
  const [atOnce] = await windows("leadsync", (key) => overHttp([key], "--requests", requests));
  await windows("bottleneck, reservoir", npm("bottleneck-reservoir"));
  await windows("p-throttle", npm("p-throttle"));
  // These two send evenly or wait for a window, and leave the machine idle enough to be measured side by side.
  await Promise.all([
    windows("bottleneck, minTime", npm("bottleneck-min-time")),
    windows("p-throttle, strict", npm("p-throttle-strict")),
  ]);
  return atOnce.workspaces[0].wake_ms;
}

async function minute() {
  heading("66 s, which fill a minute's window");
  await control("DELETE", "/requests"); // the log holds 20,000
  const [whole, part, bound] = await Promise.all([workspace(), workspace(), workspace({ per_second: 200 })]);
  await Promise.all([
    overHttp([whole.key], "--seconds", 66),
    overHttp([part.key], "--seconds", 66, "--share", 0.8),
    overHttp([bound.key], "--seconds", 66, "--per-second", 200),
  ]);
  row("leadsync, share 1.0, of 100/s", served(await atTheServer(whole.name)), ">= 97 %, <= 6000");
  row("leadsync, share 0.8, of 80/s", served(await atTheServer(part.name, perSecond * 0.8)), ">= 97 %, <= 4800");
  const full = await atTheServer(bound.name);
  row("leadsync, 200/s and 6,000/min, of 6,000", served({ ...full, used: full.minute / 6000 }), ">= 97 %, <= 6000");
}

async function latencies(wakesOverHttp) {
  const [space, slow] = await Promise.all([workspace(), workspace({ latency_ms: 200 })]);
  heading("A push beside a sweep that is always waiting, 100/s: due to departure, ms");
  const [alone, http, far] = await Promise.all([
    load(["alone"], "--seconds", 25, "--urgent"),
    overHttp([space.key], "--seconds", 25, "--urgent"),
    overHttp([slow.key], "--seconds", 25, "--urgent"),
  ]);
  const places = { "limiter alone": alone, "over HTTP, 0 ms": http, "over HTTP, 200 ms": far };
  for (const [place, report] of Object.entries(places))
    for (const lane of ["push", "safety"])
      row(`${place}, ${lane}`, spread(report.workspaces[0][`${lane}_ms`]), "p99 <= 50");
  heading("Waking: slot to turn, ms");
  row("limiter alone", spread(alone.workspaces[0].wake_ms), "p99 <= 2");
  row("over HTTP, 0 ms", spread(wakesOverHttp), "p99 <= 2");
}

async function endToEnd() {
  heading("An edit in PostgreSQL during a backfill of 200,000 leads: COMMIT to its first request at the server, ms");
  const { waits, perSecond: rate } = await editsDuringBackfill(`${build}daemon/leadsync`);
  const used = percent(rate / (perSecond * share));
  for (const [kind, figures] of Object.entries(waits))
    row(`${kind}, of ${perSecond * share}/s`, { used, ...spread(spreadOf(figures)) }, "p99 <= 50");
}

async function fairness() {
  heading("Workspaces in one process: requests/s of the least and the most served");
  const fast = { per_second: 20_000, per_minute: 1_200_000 };
  const asFast = ["--per-second", fast.per_second, "--per-minute", fast.per_minute];
  for (const [count, seconds, name, switches, words] of [
    [2, 8, "100/s each", {}, []],
    [4, 8, "100/s each", {}, []],
    [4, 4, "as fast as it goes", fast, asFast],
  ]) {
    const spaces = await Promise.all(Array.from({ length: count }, () => workspace(switches)));
    const keys = spaces.map(({ key }) => key);
    const sent = (await overHttp(keys, "--seconds", seconds, ...words)).workspaces.map((each) => each.sent / seconds);
    const [least, most] = [Math.min(...sent), Math.max(...sent)];
    row(`${count} workspaces, ${name}: ${least.toFixed(0)} to ${most.toFixed(0)}`, { used: (least / most).toFixed(3) });
  }
}

function print() {
  const titles = {
    what: "",
    used: "used",
    refused: "refused",
    lenientUsed: "used*",
    lenientRefused: "refused*",
    second: "most/1 s",
    minute: "most/60 s",
    cpu: "CPU s",
    count: "n",
    p50: "p50",
    p99: "p99",
    max: "max",
    target: "target",
  };
  const columns = Object.keys(titles);
  const table = [titles, ...rows];
  const isHeading = (each) => Object.keys(each).length === 1;
  const widths = columns.map((column) =>
    Math.max(...table.filter((each) => !isHeading(each)).map((each) => String(each[column] ?? "").length)),
  );
  for (const each of table) {
    if (isHeading(each)) console.log();
    const cells = columns.map((column, i) => {
      const text = String(each[column] ?? "");
      return i === 0 || column === "target" ? text.padEnd(widths[i]) : text.padStart(widths[i]);
    });
    console.log((isHeading(each) ? each.what : cells.join("  ")).trimEnd());
  }
}

try {
  const wakes = await comparison();
  await minute();
  await latencies(wakes);
  await endToEnd();
  await fairness();
} finally {
  await sandbox.stop();
}
print();
console.log(`
* by a server that does not count what it refuses, reckoned from the same arrivals
load of the machine meanwhile: ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`);
