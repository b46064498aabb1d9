-- What people decide, and merges: plain SQL statements, which the commands use too.

-- The lead is to be looked at again, whatever it waits for.
CREATE FUNCTION sync.settle_conflicts() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO sync.queue AS q (workspace, lead_id)
    SELECT DISTINCT workspace, lead_id FROM new_rows
    WHERE resolution IS NOT NULL AND resolved_at IS NULL ORDER BY workspace, lead_id
    ON CONFLICT (workspace, lead_id) DO UPDATE
        SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL;
    IF FOUND THEN
        PERFORM pg_notify('leadsync', '');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION sync.guard_resolution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.resolution IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('conflict %s was resolved as %s already', OLD.id, OLD.resolution),
            HINT = 'To change the value, UPDATE crm.leads.';
    END IF;
    IF NEW.resolution IS NULL OR NEW.resolution NOT IN ('local', 'remote')
       OR to_jsonb(NEW) - 'resolution' IS DISTINCT FROM to_jsonb(OLD) - 'resolution' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = 'of a conflict only the resolution can be set, to local or remote';
    END IF;
    NEW.resolved_by := session_user;
    RETURN NEW;
END $$;

CREATE TRIGGER guard_resolution BEFORE UPDATE ON crm.conflicts
    FOR EACH ROW WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.guard_resolution();
CREATE TRIGGER settle_conflicts AFTER UPDATE ON crm.conflicts REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.settle_conflicts();

-- The decision travels on the queue's row until it is carried out.
CREATE FUNCTION sync.carry_decisions() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO sync.queue AS q (workspace, lead_id, decision, decided)
    SELECT DISTINCT ON (workspace, lead_id) workspace, lead_id, decision, side || ' ' || kind
    FROM new_rows WHERE decision IS NOT NULL ORDER BY workspace, lead_id, decision = 'reject' DESC, id
    ON CONFLICT (workspace, lead_id) DO UPDATE
        SET generation = q.generation + 1, due_at = now(), attempts = 0, dead_at = NULL,
            -- Something else of the lead may still wait for a decision.
            held_at = CASE WHEN EXISTS (SELECT FROM crm.held h WHERE h.workspace = q.workspace
                                        AND h.lead_id = q.lead_id AND h.decision IS NULL)
                           THEN q.held_at END,
            -- An approval is the way of all work that is not held: a rejection is what has to be carried out.
            decision = CASE WHEN q.decision = 'reject' THEN q.decision ELSE excluded.decision END,
            decided = CASE WHEN q.decision = 'reject' THEN q.decided ELSE excluded.decided END;
    IF FOUND THEN
        PERFORM pg_notify('leadsync', '');
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION sync.guard_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.decision IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('held change %s was decided already: %s', OLD.id, OLD.decision);
    END IF;
    IF NEW.decision IS NULL
       OR to_jsonb(NEW) - 'decision' IS DISTINCT FROM to_jsonb(OLD) - 'decision' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = 'of a held change only the decision can be set, to approve or reject';
    END IF;
    NEW.decided_at := now();
    NEW.decided_by := session_user;
    RETURN NEW;
END $$;

CREATE TRIGGER guard_decision BEFORE UPDATE ON crm.held
    FOR EACH ROW WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.guard_decision();
CREATE TRIGGER carry_decisions AFTER UPDATE ON crm.held REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.carry_decisions();

-- Merges one lead into another, on Instantly and here: `destination` keeps its id, email and campaign; the row of
-- `source` goes once Instantly has merged them. Both are ids of crm.leads.
CREATE FUNCTION crm.merge_leads(workspace text, source uuid, destination uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET leadsync.origin = 'sync' AS $$
DECLARE
    lead uuid;
    elsewhere text;
BEGIN
    IF source = destination THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a lead can''t be merged with itself';
    END IF;
    FOREACH lead IN ARRAY ARRAY[source, destination] LOOP
        IF NOT EXISTS (SELECT FROM crm.leads l WHERE l.workspace = merge_leads.workspace AND l.id = lead) THEN
            SELECT l.workspace INTO elsewhere FROM crm.leads l WHERE l.id = lead LIMIT 1;
            RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
                MESSAGE = format('workspace "%s" has no lead %s', merge_leads.workspace, lead),
                HINT = CASE WHEN elsewhere IS NULL THEN 'Give the ids of crm.leads.'
                            ELSE format('It is in workspace "%s"; leads are merged within one workspace.', elsewhere) END;
        END IF;
        IF EXISTS (SELECT FROM crm.leads l WHERE l.workspace = merge_leads.workspace AND l.id = lead
                   AND (l.instantly_id IS NULL OR l.deleted_at IS NOT NULL)) THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('lead %s is not on Instantly', lead),
                HINT = 'Only leads that Instantly has can be merged; wait until instantly_id is set.';
        END IF;
        IF EXISTS (SELECT FROM sync.merges m WHERE m.workspace = merge_leads.workspace
                   AND (m.source_id = lead OR m.destination_id = lead AND lead = source)) THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
                MESSAGE = format('lead %s is being merged already', lead), HINT = 'Wait until that merge is done.';
        END IF;
    END LOOP;
    INSERT INTO sync.merges (workspace, source_id, destination_id) VALUES (merge_leads.workspace, source, destination);
    UPDATE crm.leads l SET sync_status = CASE WHEN l.sync_status = 'held' THEN 'held' ELSE 'pending' END
    WHERE l.workspace = merge_leads.workspace AND l.id = source;
    -- By the key's name: `workspace` is a parameter here too.
    INSERT INTO sync.queue AS q (workspace, lead_id) VALUES (merge_leads.workspace, source)
    ON CONFLICT ON CONSTRAINT queue_pkey DO UPDATE
        SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL;
    PERFORM pg_notify('leadsync', '');
END $$;
REVOKE ALL ON FUNCTION crm.merge_leads(text, uuid, uuid) FROM PUBLIC;
