// Starts the sandbox for a test file and stops it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export const apiKey = "third-party-client-key";

export async function startSandbox(...options) {
  const program = process.env.SANDBOX_PROGRAM;
  if (!program) throw new Error("SANDBOX_PROGRAM must name the leadsync-sandbox executable");
  const child = spawn(program, ["--exit-with-parent", "--api-key", apiKey, ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  const announced = once(createInterface({ input: child.stdout }), "line");
  const first = await Promise.race([announced, ended.then(() => [])]);
  const url = first[0]?.match(/^listening on (http:\/\/127\.0\.0\.1:\d+)$/)?.[1];
  if (!url) throw new Error(`${program} did not start`);
  const control = async (method, path, body) => {
    const answer = await fetch(`${url}/control${path}`, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, json: text ? JSON.parse(text) : undefined };
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return { url, control, stop };
}
