// What ctest runs: installs the client when it is not there yet, then runs the tests.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL(".", import.meta.url));

function step(command, ...words) {
  const { status, error } = spawnSync(command, words, { cwd, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(`${cwd}node_modules/instantly-cli`)) step("npm", "ci");
step(process.execPath, "--test", "instantly_cli.test.mjs");
