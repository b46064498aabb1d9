-- A queue that stays as quick with a million leads in it, and that rings only for somebody who sleeps.

-- What the last local edit wishes for, so that neither the claim nor the guard's count has to look it up elsewhere. A
-- row whose lead is created or adopted meanwhile becomes a change.
ALTER TABLE sync.queue ADD COLUMN kind text NOT NULL DEFAULT 'change'
    CONSTRAINT queue_kind CHECK (kind IN ('create', 'change', 'delete'));
UPDATE sync.queue q SET kind = 'create'
WHERE NOT EXISTS (SELECT FROM sync.base b WHERE b.workspace = q.workspace AND b.lead_id = q.lead_id)
  AND EXISTS (SELECT FROM crm.leads l WHERE l.workspace = q.workspace AND l.id = q.lead_id);
UPDATE sync.queue q SET kind = 'delete'
FROM sync.base b WHERE b.workspace = q.workspace AND b.lead_id = q.lead_id AND b.deleted_at IS NOT NULL;

-- Creates wait for the first sweep and for room in the plan: a million of them must not stand in the way of the rest.
DROP INDEX sync.queue_due;
CREATE INDEX queue_due ON sync.queue (workspace, due_at)
    WHERE dead_at IS NULL AND held_at IS NULL AND kind <> 'create';
CREATE INDEX queue_due_creates ON sync.queue (workspace, due_at)
    WHERE dead_at IS NULL AND held_at IS NULL AND kind = 'create';
-- What the guard counts.
CREATE INDEX queue_undecided ON sync.queue (workspace, kind)
    WHERE edited_at IS NOT NULL AND decision IS NULL AND dead_at IS NULL AND held_at IS NULL;

-- Room on each page, so that taking a lease moves no index entry; and a vacuum that comes while the garbage is small.
ALTER TABLE sync.queue SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                            autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0);

-- Who has to be rung. A NOTIFY takes a lock over all commits of the server: it is worth that only while the daemon sleeps.
-- Awake, it looks by itself every few milliseconds.
CREATE TABLE sync.doorbell (
    workspace  text PRIMARY KEY,
    asleep     boolean NOT NULL,
    heard_from xid8                 -- transactions before this one may not have seen that somebody sleeps
) WITH (fillfactor = 50);

-- Rings for a statement's workspaces, where somebody sleeps. A transaction that reads from an older snapshot can't tell,
-- and rings.
CREATE FUNCTION sync.ring(edited text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed'
       OR EXISTS (SELECT FROM sync.doorbell WHERE asleep AND workspace = ANY (edited)) THEN
        PERFORM pg_notify('leadsync', '');
    END IF;
END $$;

-- As before, with the kind, and with a bell that only wakes who sleeps. It is rung behind the queue's row: by then the
-- transaction has a number, by which whoever falls asleep knows that it may not have been seen.
CREATE OR REPLACE FUNCTION sync.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    edited text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE sync.base b SET deleted_at = NULL, content_hash = 0, expected = NULL, expected_until = NULL
        FROM new_rows n WHERE b.workspace = n.workspace AND b.lead_id = n.id AND b.deleted_at IS NOT NULL;
        WITH queued AS (
            INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
            SELECT workspace, id, CASE WHEN instantly_id IS NULL THEN 'create' ELSE 'change' END, clock_timestamp(),
                   session_user
            FROM new_rows WHERE campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
            ON CONFLICT (workspace, lead_id) DO UPDATE
                SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                    decision = NULL, decided = NULL, kind = excluded.kind, edited_at = excluded.edited_at,
                    edited_by = excluded.edited_by
            RETURNING workspace
        )
        SELECT array_agg(DISTINCT workspace) INTO edited FROM queued;
    ELSIF TG_OP = 'UPDATE' THEN
        WITH queued AS (
            INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
            SELECT n.workspace, n.id, CASE WHEN n.instantly_id IS NULL THEN 'create' ELSE 'change' END,
                   clock_timestamp(), session_user
            FROM new_rows n JOIN old_rows o ON o.workspace = n.workspace AND o.id = n.id
            WHERE (n.instantly_id IS NOT NULL OR n.campaign IS NOT NULL OR n.list_id IS NOT NULL)
              AND (n.first_name, n.last_name, n.company_name, n.job_title, n.phone, n.website, n.personalization,
                   n.pl_value_lead, n.lt_interest_status, n.assigned_to, n.campaign, n.list_id, n.subsequence_id,
                   n.custom_variables)
                  IS DISTINCT FROM
                  (o.first_name, o.last_name, o.company_name, o.job_title, o.phone, o.website, o.personalization,
                   o.pl_value_lead, o.lt_interest_status, o.assigned_to, o.campaign, o.list_id, o.subsequence_id,
                   o.custom_variables)
            ORDER BY n.workspace, n.id
            ON CONFLICT (workspace, lead_id) DO UPDATE
                SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                    decision = NULL, decided = NULL, kind = excluded.kind, edited_at = excluded.edited_at,
                    edited_by = excluded.edited_by
            RETURNING workspace
        )
        SELECT array_agg(DISTINCT workspace) INTO edited FROM queued;
    ELSE
        UPDATE sync.base b SET deleted_at = now() FROM old_rows o
        WHERE b.workspace = o.workspace AND b.lead_id = o.id AND b.deleted_at IS NULL;
        DELETE FROM sync.merges m USING old_rows o
        WHERE m.workspace = o.workspace AND o.id IN (m.source_id, m.destination_id);
        DELETE FROM sync.absent a USING old_rows o WHERE a.workspace = o.workspace AND a.lead_id = o.id;
        -- What was held of these leads is no longer theirs to wait for: the deletion is a new wish.
        DELETE FROM crm.held h USING old_rows o
        WHERE h.workspace = o.workspace AND h.lead_id = o.id AND h.decision IS NULL;
        WITH queued AS (
            INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
            SELECT workspace, id, 'delete', clock_timestamp(), session_user FROM old_rows
            WHERE instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
            ON CONFLICT (workspace, lead_id) DO UPDATE
                SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                    held_at = NULL, decision = NULL, decided = NULL, kind = excluded.kind,
                    edited_at = excluded.edited_at, edited_by = excluded.edited_by
            RETURNING workspace
        )
        SELECT array_agg(DISTINCT workspace) INTO edited FROM queued;
    END IF;
    IF edited IS NOT NULL THEN
        PERFORM sync.ring(edited);
    END IF;
    RETURN NULL;
END $$;
