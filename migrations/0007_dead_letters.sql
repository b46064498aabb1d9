-- What an operator sees of the queue, and does with it.

-- What was tried for a lead and failed: the latest few of each lead, for as long as history is kept.
CREATE TABLE crm.attempts (
    workspace text NOT NULL,
    lead_id   uuid NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL DEFAULT now(),
    outcome   text NOT NULL CHECK (outcome IN ('retry', 'sent again', 'given up')),
    error     text NOT NULL,
    request   text,     -- method and path
    sent      text,     -- its body; both without secrets, and cut
    answer    text,
    PRIMARY KEY (workspace, lead_id, id)
);
CREATE INDEX attempts_by_age ON crm.attempts (workspace, at);

-- What waits, and what was given up on: UPDATE crm.queue SET decision = 'retry' | 'discard' WHERE …
CREATE VIEW crm.queue AS
SELECT q.workspace, q.lead_id, l.email, q.kind,
       CASE WHEN q.dead_at IS NOT NULL THEN 'given up'
            WHEN q.held_at IS NOT NULL THEN 'held'
            WHEN q.lease_until > now() THEN 'in hand'
            WHEN q.due_at > now() THEN 'waiting'
            ELSE 'due' END AS state,
       q.queued_at, q.due_at, q.attempts, q.resends, q.last_error, q.dead_at AS given_up_at, q.edited_at, q.edited_by,
       q.decision
FROM sync.queue q LEFT JOIN crm.leads l ON l.workspace = q.workspace AND l.id = q.lead_id;

-- A discarded edit goes the way of a rejected one: the row takes what Instantly has; a lead not created yet stays a row
-- of its own, a deleted one comes back.
CREATE FUNCTION sync.decide_queued() RETURNS trigger
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
    WHERE q.workspace = OLD.workspace AND q.lead_id = OLD.lead_id;
    UPDATE crm.leads l SET sync_status = 'pending', sync_error = NULL
    WHERE l.workspace = OLD.workspace AND l.id = OLD.lead_id AND l.sync_status = 'error';
    PERFORM pg_notify('leadsync', '');
    RETURN NEW;
END $$;
CREATE TRIGGER decide_queued INSTEAD OF UPDATE ON crm.queue FOR EACH ROW EXECUTE FUNCTION sync.decide_queued();

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadsync_reader') THEN
        GRANT SELECT ON crm.attempts, crm.queue TO leadsync_reader;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadsync_writer') THEN
        GRANT SELECT ON crm.attempts, crm.queue TO leadsync_writer;
        GRANT UPDATE (decision) ON crm.queue TO leadsync_writer;
    END IF;
END $$;
