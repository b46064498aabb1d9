-- `decision` of crm.queue is what an operator says, retry or discard, and is carried out at once: there is nothing of it
-- to read. What the guard was told stands in crm.held.
CREATE OR REPLACE VIEW crm.queue AS
SELECT q.workspace, q.lead_id, l.email, q.kind,
       CASE WHEN q.dead_at IS NOT NULL THEN 'given up'
            WHEN q.held_at IS NOT NULL THEN 'held'
            WHEN q.lease_until > now() THEN 'in hand'
            WHEN q.due_at > now() THEN 'waiting'
            ELSE 'due' END AS state,
       q.queued_at, q.due_at, q.attempts, q.resends, q.last_error, q.dead_at AS given_up_at, q.edited_at, q.edited_by,
       NULL::text AS decision
FROM sync.queue q LEFT JOIN crm.leads l ON l.workspace = q.workspace AND l.id = q.lead_id;

-- As before, but an edit that is on its way is not discarded: it may be there already, and the row would take it back
-- from there.
CREATE OR REPLACE FUNCTION sync.decide_queued() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET leadsync.origin = 'sync' AS $$
BEGIN
    IF NEW.decision IS NULL OR NEW.decision NOT IN ('retry', 'discard')
       OR to_jsonb(NEW) - 'decision' IS DISTINCT FROM to_jsonb(OLD) - 'decision' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = 'of a queued lead only the decision can be set, to retry or discard';
    END IF;
    IF OLD.state = 'held' THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = format('lead %s is held by the guard', OLD.lead_id),
            HINT = 'Decide it there: UPDATE crm.held SET decision = …, or leadsync held approve|reject.';
    END IF;
    UPDATE sync.queue q
    SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
        -- What the guard let through stays let through; what was rejected is wanted after all.
        decision = CASE WHEN NEW.decision = 'discard' THEN 'reject' WHEN q.decision = 'approve' THEN 'approve' END,
        decided = CASE WHEN NEW.decision = 'discard' THEN 'local ' || q.kind
                       WHEN q.decision = 'approve' THEN q.decided END
    WHERE q.workspace = OLD.workspace AND q.lead_id = OLD.lead_id
      AND (NEW.decision = 'retry' OR q.lease_until IS NULL OR q.lease_until <= clock_timestamp());
    IF NOT FOUND THEN
        -- Finished meanwhile: there is nothing left to decide.
        IF NOT EXISTS (SELECT FROM sync.queue q WHERE q.workspace = OLD.workspace AND q.lead_id = OLD.lead_id) THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'object_in_use',
            MESSAGE = format('lead %s is being sent right now', OLD.lead_id),
            HINT = 'Look again in a moment: SELECT state, last_error FROM crm.queue, or leadsync queue show.';
    END IF;
    UPDATE crm.leads l SET sync_status = 'pending', sync_error = NULL
    WHERE l.workspace = OLD.workspace AND l.id = OLD.lead_id AND l.sync_status = 'error';
    PERFORM pg_notify('leadsync', '');
    RETURN NEW;
END $$;
