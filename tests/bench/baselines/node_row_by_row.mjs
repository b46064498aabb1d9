// node_row_by_row.mjs URL KEY DATABASE [LEADS]: an upsert is awaited for each lead, as most scripts do it.
import { insertInto, onConflict, run, valuesOf } from "./node_leads.mjs";

const text = `${insertInto} VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ${onConflict}`;
await run(async (client, leads) => {
  for (const lead of leads) await client.query(text, valuesOf(lead));
});
