// How much of Instantly's limit a backfill uses at 200 ms an answer, beside one chain of cursors.
import { percent, thousands } from "../harness/format.mjs";
import { realLimits } from "../harness/leadsync.mjs";

const latency = 200;
const firstSeconds = 2; // connections are opened, and the ranges are cut
const chainKey = "one-chain-key"; // another workspace, so that neither counts for the other's windows
const chainLeads = 5000;

const workspaces = {
  "20 campaigns and lists": ["--campaigns", "14", "--lists", "6"],
  "one campaign": ["--campaigns", "1", "--lists", "0", "--list-share", "0"],
};

/** The part of the limit that pages took, from the third second to the last page. */
async function used(sandbox, workspace) {
  const log = await sandbox.ask("GET", `/requests?workspace=${workspace}&path=/leads/list&limit=20000`);
  const served = log.filter(({ status }) => status === 200).map(({ monotonic_us: at }) => at / 1e6);
  const since = served[0] + firstSeconds;
  const until = served.at(-1);
  const counted = served.filter((at) => at >= since).length;
  const part = counted / ((until - since) * realLimits.per_second);
  return { part, pages: served.length, refused: log.length - served.length };
}

export async function measureLimit(bench) {
  for (const [what, options] of Object.entries(workspaces)) {
    const sandbox = await bench.startSandbox(
      ...["--leads", bench.leads, "--seed", 3, "--latency-ms", latency, "--api-key", chainKey, ...options],
    );
    const database = await bench.cluster.newDatabase();
    const leadsync = bench.leadsync({ database, sandbox, rate: realLimits });
    await leadsync.measure("migrate");
    await bench.baseline("node_batched.mjs", sandbox, { key: chainKey, database, leads: chainLeads });
    const chain = await used(sandbox, "acme-2");
    for (const sweep of ["first backfill", "second sweep"]) {
      bench.tell(`${sweep} of ${thousands(bench.leads)} leads at ${latency} ms, ${what}`);
      await sandbox.ask("DELETE", "/requests");
      await leadsync.measure("backfill");
      const ours = await used(sandbox, "acme");
      bench.line({
        what: `${sweep}, ${what}: part of the limit used`,
        ours: `${percent(ours.part)}, ${thousands(ours.pages)} pages, ${ours.refused} refused`,
        than: `one chain ${percent(chain.part)}`,
        ratio: ours.part / chain.part,
        target: ">= 95 % of it",
        met: ours.part >= 0.95,
      });
    }
    await sandbox.stop();
    await bench.cluster.dropDatabase(database);
  }
}
