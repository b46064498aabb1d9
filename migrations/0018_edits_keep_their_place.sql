-- A lead that is edited again while it waits keeps its place: with more edits waiting than an hour can push, one that is
-- touched every hour would never have its turn. What is in hand has had it, and what was given up on begins anew: those
-- stand behind what waits. For the rest these are the functions of 0006 and 0017.

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
                SET generation = q.generation + 1, attempts = 0, resends = 0, dead_at = NULL,
                    due_at = CASE WHEN q.lease_until > now() OR q.dead_at IS NOT NULL THEN now()
                                  ELSE least(q.due_at, now()) END,
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
                SET generation = q.generation + 1, attempts = 0, resends = 0, dead_at = NULL,
                    due_at = CASE WHEN q.lease_until > now() OR q.dead_at IS NOT NULL THEN now()
                                  ELSE least(q.due_at, now()) END,
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

CREATE OR REPLACE FUNCTION sync.capture_edits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF pg_catalog.current_setting('leadsync.origin', true) IS NOT DISTINCT FROM 'sync' THEN
        RETURN NULL;
    END IF;
    INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
    SELECT workspace, id, CASE WHEN instantly_id IS NULL THEN 'create' ELSE 'change' END,
           pg_catalog.clock_timestamp(), session_user
    FROM new_rows
    -- Set in this transaction, by mark_pending where something was edited.
    WHERE updated_at OPERATOR(pg_catalog.=) pg_catalog.now()
      AND (instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL)
    ORDER BY workspace, id
    ON CONFLICT (workspace, lead_id) DO UPDATE
        SET generation = q.generation OPERATOR(pg_catalog.+) 1, attempts = 0, resends = 0, dead_at = NULL,
            due_at = CASE WHEN q.lease_until OPERATOR(pg_catalog.>) pg_catalog.now() OR q.dead_at IS NOT NULL
                          THEN pg_catalog.now() ELSE least(q.due_at, pg_catalog.now()) END,
            decision = NULL, decided = NULL, kind = excluded.kind, edited_at = excluded.edited_at,
            edited_by = excluded.edited_by;
    -- Behind the queue's row, as in sync.capture(). Mostly nobody sleeps, which is quickly seen.
    IF pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.<>) 'read committed' THEN
        PERFORM pg_catalog.pg_notify('leadsync', '') FROM new_rows
        WHERE updated_at OPERATOR(pg_catalog.=) pg_catalog.now() LIMIT 1;
    ELSIF EXISTS (SELECT FROM sync.doorbell WHERE asleep) THEN
        PERFORM pg_catalog.pg_notify('leadsync', '')
        FROM new_rows n JOIN sync.doorbell d ON d.workspace OPERATOR(pg_catalog.=) n.workspace
        WHERE d.asleep AND n.updated_at OPERATOR(pg_catalog.=) pg_catalog.now() LIMIT 1;
    END IF;
    RETURN NULL;
END $$;
