-- A row that is inserted under the id of one that was deleted is that lead again if it is of the same person and the lead
-- is still there. Otherwise it is a lead of its own, and what is still to happen to the old one goes on under an id of its
-- own: a CRM that uses its contacts' ids would otherwise turn one person's lead into another's.

-- Lower case; '' where it had none, null where that is not known any more: then it is taken for the same.
ALTER TABLE sync.base ADD COLUMN deleted_email text;

CREATE FUNCTION sync.put_aside(of_workspace text, of_lead uuid) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET leadsync.origin = 'sync' AS $$
DECLARE
    other uuid := gen_random_uuid();
BEGIN
    UPDATE sync.base SET lead_id = other WHERE workspace = of_workspace AND lead_id = of_lead;
    UPDATE sync.queue SET lead_id = other WHERE workspace = of_workspace AND lead_id = of_lead;
    UPDATE sync.creates SET lead_id = other WHERE workspace = of_workspace AND lead_id = of_lead;
    UPDATE crm.held SET lead_id = other WHERE workspace = of_workspace AND lead_id = of_lead;
    UPDATE crm.conflicts SET lead_id = other WHERE workspace = of_workspace AND lead_id = of_lead AND resolved_at IS NULL;
END $$;

CREATE OR REPLACE FUNCTION sync.guard_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row_as_json jsonb := to_jsonb(NEW);
    column_name text;
    tombstone record;
BEGIN
    FOREACH column_name IN ARRAY TG_ARGV LOOP
        IF row_as_json->column_name NOT IN ('null', '{}') THEN
            PERFORM sync.refuse(column_name, row_as_json);
        END IF;
    END LOOP;
    PERFORM sync.check_row(NEW);
    IF NOT EXISTS (SELECT FROM crm.workspaces WHERE name = NEW.workspace) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('there is no workspace "%s"', NEW.workspace),
            HINT = format('Known: %s. A workspace is known once leadsync has run with it in its config.',
                          coalesce((SELECT string_agg(name, ', ' ORDER BY name) FROM crm.workspaces), 'none yet'));
    END IF;
    SELECT b.instantly_id, coalesce(b.deleted_email = lower(coalesce(NEW.email, '')), true) AND b.gone_at IS NULL
                           AND NOT coalesce(b.expected ? '', false) AS is_it INTO tombstone
    FROM sync.base b WHERE b.workspace = NEW.workspace AND b.lead_id = NEW.id AND b.deleted_at IS NOT NULL;
    IF tombstone.is_it THEN
        NEW.instantly_id := tombstone.instantly_id;
    ELSIF FOUND
          -- Or it was deleted while it was not known whether its create had made a lead.
          OR EXISTS (SELECT FROM sync.creates c WHERE c.workspace = NEW.workspace AND c.lead_id = NEW.id
                     AND lower(c.email) IS DISTINCT FROM lower(NEW.email))
             AND NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = NEW.workspace AND l.id = NEW.id) THEN
        PERFORM sync.put_aside(NEW.workspace, NEW.id);
    END IF;
    NEW.sync_status := 'pending';
    NEW.updated_at := now();
    NEW.sync_error := CASE WHEN NEW.campaign IS NULL AND NEW.list_id IS NULL
                           THEN 'local only: set campaign or list_id to create it on Instantly' END;
    RETURN NEW;
END $$;

-- As before, and the deleted row's email is kept.
CREATE OR REPLACE FUNCTION sync.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    edited text[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        UPDATE sync.base b SET deleted_at = now(), deleted_email = lower(coalesce(o.email, '')) FROM old_rows o
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
