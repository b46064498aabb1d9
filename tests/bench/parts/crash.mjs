// What a kill -9 costs: pages that are asked for once more. Those whose answer was still on its way when it came are
// none that were read before: at 200 ms and 100 requests a second they are 20.
import { median, percent, thousands } from "../harness/format.mjs";
import { realLimits } from "../harness/leadsync.mjs";

const leads = 100_000; // a thousand pages
const latencies = [0, 200];

async function pagesAskedFor(bench, latency, killAfter) {
  const sandbox = await bench.startSandbox("--leads", leads, "--seed", 3, "--latency-ms", latency);
  const database = await bench.cluster.newDatabase();
  const leadsync = bench.leadsync({ database, sandbox, rate: realLimits });
  await leadsync.measure("migrate");
  const read = new Set(); // before the kill, to the end
  let askedBefore = 0;
  const log = () => sandbox.ask("GET", "/requests?path=leads/list&limit=20000");
  const count = async () => (await sandbox.ask("GET", "/statistics")).endpoints["POST /api/v2/leads/list"] ?? 0;
  if (killAfter) {
    const { child, ended } = leadsync.start("backfill");
    while ((await count()) < killAfter && child.exitCode === null) await bench.pause(5);
    child.kill("SIGKILL");
    const killed = Number(process.hrtime.bigint() / 1000n);
    await ended;
    await bench.pause(latency); // those on their way arrive yet
    const asked = await log();
    askedBefore = asked.length;
    for (const { monotonic_us: noted, body } of asked) // noted half-way, when the server has done its work
      if (noted + latency * 500 <= killed) read.add(body);
  }
  await leadsync.measure("backfill");
  const [{ rows }] = await bench.cluster.ask(database, "SELECT count(*)::int AS rows FROM crm.leads");
  if (rows < leads) throw new Error(`${rows} leads after the crash`);
  const pages = await count();
  const since = (await log()).slice(askedBefore).map(({ body }) => body);
  const twice = new Set(since.filter((body) => read.has(body))).size;
  await sandbox.stop();
  await bench.cluster.dropDatabase(database);
  return { pages, twice };
}

export async function measureCrash(bench) {
  for (const latency of latencies) {
    bench.tell(`a backfill of ${thousands(leads)} leads at ${latency} ms, undisturbed`);
    const { pages: undisturbed } = await pagesAskedFor(bench, latency);
    const crashed = [];
    const repeated = [];
    while (crashed.length < bench.rounds) {
      const killAfter = 50 + Math.floor(Math.random() * (leads / 100 - 100));
      bench.tell(`the same with a kill -9 after ${killAfter} pages`);
      const { pages, twice } = await pagesAskedFor(bench, latency, killAfter);
      crashed.push(pages);
      repeated.push(twice / (leads / 100));
    }
    const more = median(crashed) / undisturbed - 1;
    const again = Math.max(...repeated);
    bench.line({
      what: `backfill at ${latency} ms with a kill -9: pages asked for`,
      ours: `${thousands(median(crashed))}, ${percent(more)} more; read twice, at the most ${percent(again)}`,
      than: `undisturbed ${thousands(undisturbed)}; at the least ${thousands(leads / 100)}`,
      ratio: median(crashed) / undisturbed,
      target: "<= 1 % twice",
      met: again <= 0.01,
    });
  }
}
