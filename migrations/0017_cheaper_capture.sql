-- What capture costs whoever writes crm.leads, once more: the text of a WHEN is read and planned for every statement,
-- while a function's conditions are planned once a session. So the functions ask themselves whether the write is
-- leadsync's own, or changes nothing.

DROP TRIGGER mark_pending ON crm.leads;
CREATE OR REPLACE FUNCTION sync.mark_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.current_setting('leadsync.origin', true) IS NOT DISTINCT FROM 'sync'
       OR OLD.* OPERATOR(pg_catalog.*=) NEW.* THEN
        RETURN NEW;
    END IF;
    -- All else that a row must hold to, only a row that is still to be created has to.
    IF NEW.instantly_id IS NULL OR NEW.custom_variables IS DISTINCT FROM OLD.custom_variables THEN
        PERFORM sync.check_row(NEW);
    END IF;
    NEW.updated_at := now();
    -- A lead that the guard holds stays held, whatever is edited on top.
    IF OLD.sync_status <> 'held' THEN
        NEW.sync_status := 'pending';
        IF NEW.instantly_id IS NULL AND NEW.campaign IS NULL AND NEW.list_id IS NULL THEN
            NEW.sync_error := 'local only: set campaign or list_id to create it on Instantly';
        ELSIF NEW.sync_error IS NOT NULL THEN
            NEW.sync_error := NULL;
        END IF;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER mark_pending BEFORE UPDATE ON crm.leads FOR EACH ROW EXECUTE FUNCTION sync.mark_pending();

DROP TRIGGER capture_update ON crm.leads;
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
CREATE TRIGGER capture_update AFTER UPDATE ON crm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION sync.capture_edits();
