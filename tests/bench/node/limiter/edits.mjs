// A person edits leads while `leadsync run` reads a large workspace for the first time, as fast as its limit lets it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

import { apiKey, startSandbox } from "../../../node/sandbox.mjs";

const leads = 200_000; // at that limit more than can be read while the edits are made
const editsOfAKind = 75;
const readFirst = 5_000; // leads that are there before the first edit
// Half of 100/s: one chain of pages keeps up with that on two cores, so that the limit is what it waits for.
export const share = 0.5;

const kinds = {
  "UPDATE job_title (push)": (n) => `job_title = 'bench ${n}'`,
  "UPDATE lt_interest_status (safety)": () =>
    "lt_interest_status = CASE WHEN lt_interest_status = 1 THEN 2 ELSE 1 END",
};

// One session; an answer is a line.
function openSession(socket) {
  const words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", `postgresql:///crm?host=${socket}&user=leadsync`];
  const psql = spawn("psql", words, { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(psql, "exit");
  const lines = createInterface({ input: psql.stdout })[Symbol.asyncIterator]();
  psql.stdin.on("error", () => {}); // it has ended: the answer that never comes tells
  const ask = async (statements) => {
    psql.stdin.write(`${statements}\n`);
    return (await lines.next()).value;
  };
  const close = async () => {
    psql.stdin.end();
    await ended;
  };
  return { ask, close };
}

async function untilRead(socket) {
  for (;;) {
    const session = openSession(socket);
    const count = await session.ask("SELECT count(*) FROM crm.leads;");
    if (Number(count) >= readFirst) return session;
    await session.close();
    await pause(200);
  }
}

async function edit(session, kinds) {
  const ids = JSON.parse(
    await session.ask(`SELECT jsonb_agg(instantly_id) FROM (SELECT instantly_id FROM crm.leads
      WHERE campaign IS NOT NULL AND email IS NOT NULL LIMIT ${editsOfAKind * Object.keys(kinds).length}) l;`),
  );
  const edits = [];
  for (let n = 0; n < editsOfAKind; ++n) {
    for (const [kind, assignment] of Object.entries(kinds)) {
      const id = ids.pop();
      const committed = await session.ask(`UPDATE crm.leads SET ${assignment(n)} WHERE instantly_id = '${id}';
        SELECT extract(epoch FROM clock_timestamp()) * 1000;`);
      edits.push({ kind, id, committed: Number(committed) });
      await pause(50 + 150 * Math.random());
    }
  }
  return edits;
}

// By kind of edit, the milliseconds until the first request that names the lead (the log keeps whole milliseconds), and
// how many requests left in a second meanwhile.
export async function editsDuringBackfill(program) {
  const folder = await mkdtemp(join(tmpdir(), "leadsync-bench-"));
  await chmod(folder, 0o755); // started by root, PostgreSQL runs as another user, who has to come through here
  const sandbox = await startSandbox("--leads", `${leads}`, "--seed", "3");
  const config = `${folder}/leadsync.yaml`;
  await writeFile(
    config,
    `data_dir: data
log: { level: warn }
workspaces:
  - name: acme
    api_key: ${apiKey}
    base_url: ${sandbox.url}
    rate: { share: ${share} }
`,
  );
  const daemon = spawn(program, ["-c", config, "run"], { stdio: ["ignore", "inherit", "inherit"] });
  const ended = once(daemon, "exit");
  try {
    const session = await untilRead(`${folder}/data/postgres/socket`);
    const edits = await edit(session, kinds);
    await pause(2000);
    await session.close();
    const log = (await sandbox.control("GET", "/requests?limit=100000")).json;
    const seconds = (edits.at(-1).committed - edits[0].committed) / 1000;
    const meanwhile = log.filter(({ time }) => {
      const at = Date.parse(time);
      return at >= edits[0].committed && at < edits.at(-1).committed;
    });
    const waits = Object.fromEntries(Object.keys(kinds).map((kind) => [kind, []]));
    for (const { kind, id, committed } of edits) {
      // It may be there before the session has heard of its COMMIT. A sweep names leads as well, as where to go on.
      const first = log.find(({ path, body = "" }) => !body.includes("starting_after") && (path + body).includes(id));
      waits[kind].push(first ? Math.max(0, Date.parse(first.time) - committed) : Infinity);
    }
    return { waits, perSecond: meanwhile.length / seconds };
  } finally {
    daemon.kill("SIGTERM");
    await ended;
    await sandbox.stop();
    await rm(folder, { recursive: true });
  }
}
