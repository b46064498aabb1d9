-- IS NOT DISTINCT FROM looks for its operator along the caller's search_path, where a writer of crm.leads could have one
-- of their own, which ran with the rights of the schema's owner. Setting a search_path instead would cost each edit more
-- than the names do. Nothing else has changed since 0018.

CREATE OR REPLACE FUNCTION sync.capture_edits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF pg_catalog.current_setting('leadsync.origin', true) OPERATOR(pg_catalog.=) 'sync' THEN
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
