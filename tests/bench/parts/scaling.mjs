// Whether a lead costs the same in a large workspace as in a small one.
import { median, thousands } from "../harness/format.mjs";
import { asFastAsItGoes } from "../harness/leadsync.mjs";

const measuredLeads = 100_000; // a small workspace is measured several times: a clock tick is much of it
const roundsMax = 5;

async function cpuPerLead(bench, leads) {
  const sandbox = await bench.startSandbox("--leads", leads, "--seed", 3, "--no-rate-limit");
  const spent = [];
  const rounds = Math.min(roundsMax, Math.ceil(measuredLeads / leads));
  for (let i = 0; i < rounds; ++i) {
    bench.tell(`CPU of a backfill of ${thousands(leads)} leads`);
    const database = await bench.cluster.newDatabase();
    const leadsync = bench.leadsync({ database, sandbox, rate: asFastAsItGoes });
    await leadsync.measure("migrate");
    await bench.cluster.settle(database);
    const { client_cpu_s, server_cpu_s } = await leadsync.measure("backfill", { cluster: bench.cluster });
    // What a small one leaves in memory, to be written and vacuumed later, a large one has had done meanwhile.
    const before = bench.cluster.cpuSeconds();
    await bench.cluster.settle(database);
    const left_cpu_s = bench.cluster.cpuSeconds() - before;
    spent.push({ client: (client_cpu_s / leads) * 1e6, server: ((server_cpu_s + left_cpu_s) / leads) * 1e6 });
    await bench.cluster.dropDatabase(database);
  }
  await sandbox.stop();
  const client = median(spent.map((each) => each.client));
  const server = median(spent.map((each) => each.server));
  return { leads, client, server, both: client + server };
}

export async function measureScaling(bench) {
  const sizes = [...new Set([10_000, Math.min(100_000, bench.leads), bench.leads])].sort((a, b) => a - b);
  const costs = [];
  for (const leads of sizes) costs.push(await cpuPerLead(bench, leads));
  const [smallest, ...larger] = costs;
  const text = ({ client, server }) => `${client.toFixed(1)} + ${server.toFixed(1)} CPU-s/M`;
  for (const cost of larger) {
    bench.line({
      what: `CPU of a backfill and what it leaves to VACUUM and CHECKPOINT, client + PostgreSQL: ${thousands(cost.leads)} leads`,
      ours: text(cost),
      than: `${thousands(smallest.leads)} leads ${text(smallest)}`,
      ratio: cost.both / smallest.both,
      target: "within 20 %",
      met: Math.abs(cost.both / smallest.both - 1) <= 0.2,
    });
  }
}
