import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Installs what a folder's lock file names, unless `example` of it is there. */
export function installPackages(folder, example) {
  if (existsSync(`${folder}/node_modules/${example}`)) return;
  const { status, error } = spawnSync("npm", ["ci", "--ignore-scripts"], { cwd: folder, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`npm ci in ${folder} ended with ${status}`);
}
