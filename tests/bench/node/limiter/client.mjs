// client.mjs LIMITER URL KEY REQUESTS: so many requests at once through a limiter of others, set to 100 a second the way
// its documentation does it. fetch keeps its connections alive.
import Bottleneck from "bottleneck";
import pThrottle from "p-throttle";

const perSecond = { limit: 100, interval: 1000 };

function bottleneck(options) {
  const limiter = new Bottleneck(options);
  return (task) => limiter.schedule(task);
}

const limiters = {
  "bottleneck-reservoir": () =>
    bottleneck({ reservoir: 100, reservoirRefreshAmount: 100, reservoirRefreshInterval: 1000 }),
  "bottleneck-min-time": () => bottleneck({ minTime: 10 }),
  "p-throttle": () => pThrottle(perSecond)((task) => task()),
  "p-throttle-strict": () => pThrottle({ ...perSecond, strict: true })((task) => task()),
};

const [name, url, key, requests] = process.argv.slice(2);
const limited = limiters[name]();
const headers = { authorization: `Bearer ${key}`, "user-agent": "leadsync-bench" };
const statuses = await Promise.all(
  Array.from({ length: Number(requests) }, () =>
    limited(async () => {
      const answer = await fetch(`${url}/api/v2/workspaces/current`, { headers });
      await answer.arrayBuffer();
      return answer.status;
    }),
  ),
);
const unexpected = statuses.find((status) => status !== 200 && status !== 429);
if (unexpected) throw new Error(`the sandbox answers ${unexpected}`);
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ cpu_s: (user + system) / 1e6 }));
process.exit(0); // a limiter's timer would keep the process
