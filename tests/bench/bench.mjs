// ./run bench: leadsync beside what else can be had, as one table of ratios. Each line says how to repeat it. What is
// measured is in parts/, what it is measured against in baselines/.
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { apiKey, startSandbox } from "../node/sandbox.mjs";
import { settingsFrom } from "./harness/flags.mjs";
import { aligned, thousands } from "./harness/format.mjs";
import { installPackages } from "./harness/npm.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const build = fileURLToPath(new URL("../../build/release/", import.meta.url));
const programs = {
  leadsync: `${build}daemon/leadsync`,
  reference: `${build}tests/bench/baselines/leadsync-bench-reference`,
  latency: `${build}tests/bench/leadsync-bench-latency`,
  cluster: `${build}tests/bench/leadsync-bench-queue`,
};
process.env.SANDBOX_PROGRAM = `${build}tests/sandbox/leadsync-sandbox`;

installPackages(`${here}node`, "pg");
const { Cluster } = await import("./harness/cluster.mjs");
const { Leadsync } = await import("./harness/leadsync.mjs");
const { endAll, measure } = await import("./harness/processes.mjs");
const parts = {
  limit: (await import("./parts/limit.mjs")).measureLimit,
  throughput: (await import("./parts/throughput.mjs")).measureThroughput,
  scaling: (await import("./parts/scaling.mjs")).measureScaling,
  latency: (await import("./parts/latency.mjs")).measureLatency,
  edits: (await import("./parts/edits.mjs")).measureEdits,
  crash: (await import("./parts/crash.mjs")).measureCrash,
};

/** What a part measures with, and where it puts its lines. */
class Bench {
  lines = [];
  notes = [];
  pause = pause;
  programs = programs;
  #part;
  #sandboxes = [];

  constructor(settings) {
    Object.assign(this, settings);
  }

  async run(part) {
    this.#part = part;
    try {
      await parts[part](this);
    } catch (error) {
      // The other parts are worth having all the same.
      this.note(`${part} failed: ${error.message}`);
      process.exitCode = 1;
    } finally {
      await endAll();
      for (const sandbox of this.#sandboxes.splice(0)) await sandbox.stop();
    }
  }

  tell(what) {
    process.stderr.write(`${Math.round(performance.now() / 1000)} s, ${this.#part}: ${what} …\n`);
  }

  /**
   * One line of the table: `ours` beside `than`, and the ratio of the two. What the ratio has to be is `least` or
   * `most`; what something else has to be is `target`, and whether it is is `met`. Neither: it is only told.
   */
  line({ what, ours, than, ratio, least, most, target, met }) {
    if (least !== undefined) [target, met] = [`>= ${least}x`, ratio >= least];
    if (most !== undefined) [target, met] = [`<= ${most}x`, ratio <= most];
    const verdict = target === undefined ? "" : met ? "met" : "MISSED";
    const times = `${ratio < 10 ? ratio.toFixed(2) : thousands(ratio)}x`;
    const again = `./run bench --only ${this.#part} --leads ${this.leads} --rounds ${this.rounds}`;
    this.lines.push([what, ours, than, times, target ?? "", verdict, again]);
  }

  note(text) {
    this.notes.push(text);
  }

  async startSandbox(...options) {
    const sandbox = await startSandbox(...options.map(String));
    this.#sandboxes.push(sandbox);
    const ask = async (method, path, body) => {
      const { status, json } = await sandbox.control(method, path, body);
      if (status !== 200) throw new Error(`${method} ${path}: ${JSON.stringify(json)}`);
      return json;
    };
    return { ...sandbox, ask, key: apiKey };
  }

  leadsync(settings) {
    return new Leadsync({ program: programs.leadsync, folder: this.folder }, { key: apiKey, ...settings });
  }

  /** Runs one of the Node baselines; `leads`: no more than about so many. */
  baseline(script, sandbox, { key = sandbox.key, database, leads = Infinity }) {
    const words = [`${here}baselines/${script}`, sandbox.url, key, database, String(leads)];
    return measure(process.execPath, words, { cluster: this.cluster });
  }

  print() {
    const titles = ["", "leadsync", "beside", "ratio", "target", "", "again"];
    console.log();
    for (const line of aligned([titles, ...this.lines], 3)) console.log(line);
    if (this.notes.length > 0) console.log();
    for (const note of this.notes) console.log(note);
  }
}

function settingsOf(flags) {
  const number = (name) => {
    const value = Number(flags[name]);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name} takes a number above 0, not ${flags[name]}`);
    return value;
  };
  if (flags.only && !parts[flags.only]) throw new Error(`--only takes one of ${Object.keys(parts).join(", ")}`);
  const leads = number("leads");
  return { leads, only: flags.only, rounds: flags.rounds ? number("rounds") : leads >= 500_000 ? 1 : 3 };
}

const options = {
  leads: { type: "string", default: "200000" },
  rounds: { type: "string" },
  only: { type: "string" },
};
const settings = settingsFrom(options, settingsOf);
const folder = mkdtempSync(join(tmpdir(), "leadsync-bench-"));
chmodSync(folder, 0o700);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const cluster = await Cluster.start(programs.cluster);
const bench = new Bench({ ...settings, folder, cluster });
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    bench.print(); // what there is of it
    process.exit(130);
  });
}
const loads = [loadavg()[0]];
for (const part of settings.only ? [settings.only] : Object.keys(parts)) {
  await bench.run(part);
  loads.push(loadavg()[0]);
}
await cluster.stop();
bench.print();
const load = `${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`;
console.log(`\n${thousands(settings.leads)} leads, medians of ${settings.rounds}; load meanwhile ${load}`);
