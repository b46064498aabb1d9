// leadsync as the benchmark runs it: on a database and a sandbox of the benchmark's.
import { once } from "node:events";
import { writeFileSync } from "node:fs";

import { measure, start } from "./processes.mjs";

// More than any machine does; leadsync remembers a minute of requests.
export const asFastAsItGoes = { per_second: 2000, per_minute: 120_000, share: 1 };
export const realLimits = { per_second: 100, per_minute: 6000, share: 1 };

let configs = 0;

export class Leadsync {
  #program;
  #config;

  /** `freshness`: nothing is read again by itself while something is measured. `guard`: as it is unless given. */
  constructor({ program, folder }, { database, sandbox, key, rate, guard = {} }) {
    this.#program = program;
    this.#config = `${folder}/leadsync-${++configs}.yaml`;
    const { per_second, per_minute, share } = rate;
    writeFileSync(
      this.#config,
      `database: { url: "${database}" }
log: { level: warn }
workspaces:
  - name: acme
    api_key: ${key}
    base_url: ${sandbox.url}
    rate: { per_second: ${per_second}, per_minute: ${per_minute}, share: ${share} }
    freshness: { new: 1h, rest: 1d }
    guard: ${JSON.stringify(guard)}
`,
      { mode: 0o600 },
    );
  }

  /** Runs a command to its end. */
  measure(command, options) {
    return measure(this.#program, ["-c", this.#config, command], options);
  }

  /** Starts one that goes on. `ended` resolves with its exit status; nothing when a signal ended it. */
  start(command) {
    const child = start(this.#program, ["-c", this.#config, command], { stdio: ["ignore", "ignore", "inherit"] });
    const ended = once(child, "exit").then(([status]) => status);
    const stop = async () => {
      child.kill("SIGTERM");
      await ended;
    };
    return { child, ended, stop };
  }
}
