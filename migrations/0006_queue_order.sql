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

-- Room on each page, so that a lease, a status or an expectation moves no index entry: most of the queue's page is free,
-- for its rows are small, few, and changed several times. A vacuum that comes while the garbage is small.
ALTER TABLE sync.queue SET (fillfactor = 35, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
                            autovacuum_vacuum_insert_scale_factor = 0.2, autovacuum_vacuum_cost_delay = 0);

ALTER TABLE crm.leads SET (fillfactor = 85);
ALTER TABLE sync.base SET (fillfactor = 85);
-- An index that names sync_status would be written with each of a lead's steps from pending to synced, and all the others
-- with it. What an operator looks for has a reason beside its status.
DROP INDEX crm.leads_not_synced;
CREATE INDEX leads_with_error ON crm.leads (workspace) WHERE sync_error IS NOT NULL;

-- Reads may lag behind the last attempt, while what was sent first is what a lead may have been made of.
ALTER TABLE sync.creates ADD COLUMN last_attempt_at timestamptz;
UPDATE sync.creates SET last_attempt_at = attempted_at;
ALTER TABLE sync.creates ALTER COLUMN last_attempt_at SET NOT NULL;

-- Who has to be rung. A NOTIFY takes a lock over all commits of the server: it is worth that only while the daemon sleeps.
-- Awake, it looks by itself every few milliseconds.
CREATE TABLE sync.doorbell (
    workspace  text PRIMARY KEY,
    asleep     boolean NOT NULL,
    heard_from xid8                 -- transactions before this one may not have seen that somebody sleeps
) WITH (fillfactor = 50);

-- What no call could carry is looked for where it can have changed.
CREATE OR REPLACE FUNCTION sync.mark_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.instantly_id IS NULL OR NEW.custom_variables IS DISTINCT FROM OLD.custom_variables THEN
        PERFORM sync.check_row(NEW);
    END IF;
    -- A lead that the guard holds stays held, whatever is edited on top.
    IF OLD.sync_status <> 'held' THEN
        NEW.sync_status := 'pending';
        NEW.sync_error := CASE WHEN NEW.instantly_id IS NULL AND NEW.campaign IS NULL AND NEW.list_id IS NULL
                               THEN 'local only: set campaign or list_id to create it on Instantly' END;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- As before, with the kind, and with a bell that only wakes who sleeps. It is rung behind the queue's row: by then the
-- transaction has a number, by which whoever falls asleep knows that it may not have been seen.
CREATE OR REPLACE FUNCTION sync.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    edited text[];
BEGIN
    IF TG_OP = 'DELETE' THEN
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
    ELSE
        IF TG_OP = 'INSERT' THEN
            UPDATE sync.base b SET deleted_at = NULL, content_hash = 0, expected = NULL, expected_until = NULL
            FROM new_rows n WHERE b.workspace = n.workspace AND b.lead_id = n.id AND b.deleted_at IS NOT NULL;
        END IF;
        WITH queued AS (
            INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
            SELECT workspace, id, CASE WHEN instantly_id IS NULL THEN 'create' ELSE 'change' END, clock_timestamp(),
                   session_user
            FROM new_rows
            -- Set in this transaction by guard_insert, or by mark_pending where something was edited.
            WHERE updated_at = now() AND (instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL)
            ORDER BY workspace, id
            ON CONFLICT (workspace, lead_id) DO UPDATE
                SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                    decision = NULL, decided = NULL, kind = excluded.kind, edited_at = excluded.edited_at,
                    edited_by = excluded.edited_by
            RETURNING workspace
        )
        SELECT array_agg(DISTINCT workspace) INTO edited FROM queued;
    END IF;
    -- A transaction that reads from an older snapshot can't tell who sleeps, and rings.
    IF edited IS NOT NULL
       AND (EXISTS (SELECT FROM sync.doorbell WHERE asleep AND workspace = ANY (edited))
            OR current_setting('transaction_isolation') <> 'read committed') THEN
        PERFORM pg_notify('leadsync', '');
    END IF;
    RETURN NULL;
END $$;

DROP TRIGGER capture_update ON crm.leads;
CREATE TRIGGER capture_update AFTER UPDATE ON crm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.capture();
