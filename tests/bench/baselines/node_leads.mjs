// What the two Node baselines have in common: the table, one cursor, and the figures they end with.
import pg from "../node/pg.mjs";

const columns = ["email", "first_name", "last_name", "company_name", "campaign", "list_id", "timestamp_updated"];

export const onConflict = `ON CONFLICT (id) DO UPDATE SET raw = excluded.raw, ${columns
  .map((column) => `${column} = excluded.${column}`)
  .join(", ")}`;
export const insertInto = `INSERT INTO node.leads (id, raw, ${columns.join(", ")})`;
export const valuesOf = (lead) => [lead.id, lead, ...columns.map((column) => lead[column] ?? null)];

const schema = `CREATE SCHEMA IF NOT EXISTS node;
  CREATE TABLE IF NOT EXISTS node.leads (
    id uuid PRIMARY KEY, raw jsonb NOT NULL, email text, first_name text, last_name text, company_name text,
    campaign uuid, list_id uuid, timestamp_updated timestamptz)`;

async function* pages(url, key) {
  const headers = {
    authorization: `Bearer ${key}`,
    "content-type": "application/json",
    "user-agent": "leadsync-bench",
  };
  for (let after; ; ) {
    const body = JSON.stringify({ limit: 100, starting_after: after });
    const answer = await fetch(`${url}/api/v2/leads/list`, { method: "POST", headers, body });
    if (answer.status !== 200) throw new Error(`the server answers ${answer.status}`);
    const { items, next_starting_after: next } = await answer.json();
    yield items;
    if (!next || items.length === 0) return;
    after = next;
  }
}

/** Reads leads, all or about as many as wanted, and has each page stored; then prints the figures as JSON. */
export async function run(store) {
  const [url, key, connectionString, wanted = Infinity] = process.argv.slice(2);
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(schema);
  const started = performance.now();
  let leads = 0;
  for await (const page of pages(url, key)) {
    await store(client, page);
    leads += page.length;
    if (leads >= Number(wanted)) break;
  }
  console.log(JSON.stringify({ leads, seconds: (performance.now() - started) / 1000 }));
  await client.end();
  process.exit(0); // fetch's idle connections would keep the process for some seconds
}
