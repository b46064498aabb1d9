// Programs that run beside a benchmark and end with it, and what they cost.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync } from "node:fs";

const ticksPerSecond = 100; // of /proc, on every Linux that Node runs on

const running = new Set();

/** Starts a program that the kernel kills when we end, however we do. */
export function start(program, words, options = {}) {
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...words], options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** Ends what a measurement that failed has left running. */
export async function endAll() {
  await Promise.all(
    [...running].map((child) => {
      child.kill("SIGKILL");
      return once(child, "exit");
    }),
  );
}

/** utime, stime, cutime, cstime of /proc/PID/stat, and the parent; nothing when the process is gone. */
function statOf(process) {
  try {
    const text = readFileSync(`/proc/${process}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [own, ofChildren] = [11, 13].map((at) => (Number(fields[at]) + Number(fields[at + 1])) / ticksPerSecond);
    return { parent: Number(fields[1]), own, ofChildren };
  } catch {
    return undefined;
  }
}

/** CPU seconds of a process and its children, those that have ended included. */
export function cpuOfTree(root) {
  const children = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(statOf)
    .filter((stat) => stat?.parent === root);
  return [statOf(root), ...children].reduce((sum, { own, ofChildren }) => sum + own + ofChildren, 0);
}

function peakMemory(process) {
  try {
    return Number(readFileSync(`/proc/${process}/status`, "utf8").match(/VmHWM:\s+(\d+)/)[1]) / 1024;
  } catch {
    return 0;
  }
}

/** Runs a program to its end: how long it took, its CPU seconds, its peak of memory in MB, what it printed. */
export async function measure(program, words, { cluster } = {}) {
  // What our children have used is known once they have ended; nothing else of ours may end meanwhile.
  const spentBefore = statOf(process.pid).ofChildren;
  const serverBefore = cluster?.cpuSeconds();
  const started = performance.now();
  const child = start(program, words, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (output += text));
  let memory_mb = 0;
  const look = setInterval(() => (memory_mb = Math.max(memory_mb, peakMemory(child.pid))), 20);
  const [status, signal] = await once(child, "close");
  clearInterval(look);
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${status ?? signal}: ${output}`);
  const client_cpu_s = statOf(process.pid).ofChildren - spentBefore;
  const server_cpu_s = cluster ? cluster.cpuSeconds() - serverBefore : 0;
  return { seconds, client_cpu_s, server_cpu_s, cpu_s: client_cpu_s + server_cpu_s, memory_mb, output };
}
