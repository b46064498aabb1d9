-- New leads that were never looked for are as old as the first complete sweep, not of no age: they get too old as well.
CREATE OR REPLACE VIEW crm.freshness AS
SELECT w.name AS workspace, of.class, of.as_of, now() - of.as_of AS age
FROM crm.workspaces w
CROSS JOIN LATERAL (VALUES ('new', coalesce(w.new_leads_checked_at, w.backfilled_at)), ('active', w.active_as_of),
                           ('rest', w.fresh_as_of))
    AS of(class, as_of);
