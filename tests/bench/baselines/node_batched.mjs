// node_batched.mjs URL KEY DATABASE [LEADS]: one statement a page, which PostgreSQL takes apart by itself.
import { insertInto, onConflict, run } from "./node_leads.mjs";

const text = `${insertInto}
  SELECT (lead->>'id')::uuid, lead, lead->>'email', lead->>'first_name', lead->>'last_name', lead->>'company_name',
         (lead->>'campaign')::uuid, (lead->>'list_id')::uuid, (lead->>'timestamp_updated')::timestamptz
  FROM jsonb_array_elements($1::jsonb) AS page(lead) ${onConflict}`;
await run(async (client, leads) => {
  if (leads.length > 0) await client.query(text, [JSON.stringify(leads)]);
});
