import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/**
 * Starts a PostgreSQL of the benchmark's own, durable like any, by leadsync-bench-queue, which ends it when its input
 * ends: also when we are killed.
 */
export async function startServer(program) {
  const server = spawn(program, ["serve"], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const first = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
  if (first.done) throw new Error("no PostgreSQL to measure on");
  const stop = async () => {
    server.stdin.end();
    await ended;
  };
  return { url: first.value, stop };
}
