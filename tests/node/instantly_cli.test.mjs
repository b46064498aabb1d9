// A client that knows only the real API, written by others, must not notice that it talks to the sandbox.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { apiKey, startSandbox } from "./sandbox.mjs";

const preload = fileURLToPath(new URL("preload.mjs", import.meta.url));
const program = fileURLToPath(new URL("node_modules/instantly-cli/dist/index.js", import.meta.url));
const example = "01959272-5d2b-7a87-a5d7-199e472e6366";
const run = promisify(execFile);

let sandbox;
let home;

before(async () => {
  sandbox = await startSandbox("--leads", "230");
  // The client also looks for a key in its home and in .env: neither may be a developer's own.
  home = await mkdtemp(join(tmpdir(), "instantly-cli-"));
});

after(async () => {
  await sandbox?.stop();
  if (home) await rm(home, { recursive: true });
});

function node(...words) {
  const env = { PATH: process.env.PATH, HOME: home, INSTANTLY_API_KEY: apiKey, SANDBOX_URL: sandbox.url };
  return run(process.execPath, ["--import", preload, ...words], { cwd: home, env });
}

async function instantly(...words) {
  return JSON.parse((await node(program, ...words)).stdout);
}

async function campaigns() {
  return (await instantly("campaigns", "list")).items;
}

test("lists leads and pages through all of them", async () => {
  const page = await instantly("leads", "list", "--limit", "3");
  assert.equal(page.items.length, 3);
  const next = await instantly("leads", "list", "--limit", "3", "--starting-after", page.next_starting_after);
  assert.ok(next.items[0].id > page.items[2].id);
  assert.equal((await instantly("leads", "count")).count, 230);
});

test("lists the leads of one campaign", async () => {
  const [campaign] = await campaigns();
  const { items } = await instantly("leads", "list", "--campaign-id", campaign.id);
  assert.equal(items.length, 10);
  assert.ok(items.every((lead) => lead.campaign === campaign.id));
});

test("reads the documented lead", async () => {
  const lead = await instantly("leads", "get", example);
  assert.equal(lead.email, "example@example.com");
  assert.equal(lead.payload.companyName, "Acme Corp");
});

test("updates a lead", async () => {
  const lead = await instantly("leads", "update", example, "--first-name", "Grace", "--interest-status", "2");
  assert.equal(lead.first_name, "Grace");
  const truth = (await sandbox.control("GET", `/leads/${example}`)).json;
  assert.equal(truth.first_name, "Grace");
  assert.equal(truth.lt_interest_status, 2);
});

test("adds leads in bulk, moves one and deletes it", async () => {
  const [from, to] = await campaigns();
  const leads = JSON.stringify([{ email: "new@example.com" }, { email: "nonsense" }]);
  const added = await instantly("leads", "bulk-add", "--campaign-id", from.id, "--leads", leads);
  assert.equal(added.leads_uploaded, 1);
  const { id } = added.created_leads[0];

  const move = ["leads", "move", "--from-campaign-id", from.id, "--to-campaign-id", to.id, "--lead-ids", id];
  const job = await instantly(...move);
  assert.equal(job.type, "move-leads");
  const deadline = Date.now() + 10_000;
  const place = async () => (await sandbox.control("GET", `/leads/${id}`)).json.campaign;
  while ((await place()) !== to.id) assert.ok(Date.now() < deadline, "the job must end");

  assert.equal((await instantly("leads", "delete", id)).id, id);
  assert.equal((await sandbox.control("GET", `/leads/${id}`)).status, 404);
});

test("reports a refusal in the words of the API", async () => {
  await assert.rejects(node(program, "leads", "get", "01999999-0000-7000-8000-000000000000"), (error) => {
    assert.equal(JSON.parse(error.stderr).error, "Lead not found");
    return true;
  });
});

test("was served by the sandbox, request for request, under its own User-Agent", async () => {
  const { json } = await sandbox.control("GET", "/statistics");
  assert.ok(json.endpoints["POST /api/v2/leads/list"] >= 5);
  assert.ok(json.endpoints["PATCH /api/v2/leads/{id}"] >= 1);
});

test("cannot reach anything but the sandbox", async () => {
  // 192.0.2.1 is reserved for documentation: nobody is there even if the guard should fail.
  for (const attempt of [
    "fetch('https://example.com/')",
    "fetch('http://192.0.2.1/')",
    "import('node:net').then((net) => net.connect(80, '192.0.2.1'))",
    "import('node:https').then((https) => https.get('https://192.0.2.1/'))",
  ]) {
    const script = `try { await ${attempt}; console.log("reached"); } catch (error) { console.log(error.message); }`;
    const { stdout } = await node("--input-type=module", "--eval", script);
    assert.match(stdout, /^the client may not/, attempt);
  }
});
