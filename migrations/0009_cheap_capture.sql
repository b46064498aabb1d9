-- What capture costs whoever writes crm.leads, taken down to what it needs. PostgreSQL reads the text of each WHEN and
-- CHECK anew for every statement, and plans an SQL function in them.

-- The same rule without the function.
ALTER TABLE crm.leads DROP CONSTRAINT custom_variables_are_flat,
    ADD CONSTRAINT custom_variables_are_flat CHECK (
        jsonb_typeof(custom_variables) = 'object'
        AND NOT jsonb_path_exists(custom_variables, 'strict $.* ? (@.type() == "object" || @.type() == "array")'));
-- Only the capture functions write it.
ALTER TABLE sync.queue DROP CONSTRAINT queue_kind;

-- Whatever a user can set is an edit, and guard_update, which comes first, has refused the rest: the rows' images tell,
-- without naming the columns. At worst another spelling of the same number is looked at for nothing.
DROP TRIGGER mark_pending ON crm.leads;
CREATE TRIGGER mark_pending BEFORE UPDATE ON crm.leads
    FOR EACH ROW WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync'
                       AND OLD.* OPERATOR(pg_catalog.*<>) NEW.*)
    EXECUTE FUNCTION sync.mark_pending();

-- sync.capture() for updates, by far the most. Setting and resetting the search path would be a tenth of it: every name
-- is qualified instead, for this runs with more rights than the writer has.
CREATE FUNCTION sync.capture_edits() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO sync.queue AS q (workspace, lead_id, kind, edited_at, edited_by)
    SELECT workspace, id, CASE WHEN instantly_id IS NULL THEN 'create' ELSE 'change' END,
           pg_catalog.clock_timestamp(), session_user
    FROM new_rows
    -- Set in this transaction, by mark_pending where something was edited.
    WHERE updated_at OPERATOR(pg_catalog.=) pg_catalog.now()
      AND (instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL)
    ORDER BY workspace, id
    ON CONFLICT (workspace, lead_id) DO UPDATE
        SET generation = q.generation OPERATOR(pg_catalog.+) 1, due_at = pg_catalog.now(), attempts = 0, resends = 0,
            dead_at = NULL, decision = NULL, decided = NULL, kind = excluded.kind, edited_at = excluded.edited_at,
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

DROP TRIGGER capture_update ON crm.leads;
CREATE TRIGGER capture_update AFTER UPDATE ON crm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.capture_edits();
