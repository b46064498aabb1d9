-- Leads in which something happened lately: read again more often than the rest (freshness.active).
CREATE TABLE sync.active (
    workspace    text NOT NULL,
    instantly_id uuid NOT NULL,
    until        timestamptz NOT NULL,  -- by the daemon's clock
    PRIMARY KEY (workspace, instantly_id)
);

INSERT INTO sync.active (workspace, instantly_id, until)
SELECT workspace, instantly_id, last.activity + interval '7 days'
FROM crm.leads
CROSS JOIN LATERAL (SELECT greatest(timestamp_last_contact, timestamp_last_open, timestamp_last_reply,
                                    timestamp_last_click, timestamp_last_touch, timestamp_last_interest_change)
                           AS activity) last
WHERE instantly_id IS NOT NULL AND deleted_at IS NULL AND last.activity > now() - interval '7 days';

-- Noted as absent by a sweep, whose notes count when it is complete, or by a look at chosen leads.
ALTER TABLE sync.absent ADD COLUMN by_sweep boolean NOT NULL DEFAULT true;

ALTER TABLE crm.workspaces
    ADD COLUMN active_leads bigint,       -- how many are read again within freshness.active
    ADD COLUMN active_as_of timestamptz;  -- none of them was read before that

-- How old what is known of a lead can be, by class; null where nothing was read yet.
CREATE VIEW crm.freshness AS
SELECT w.name AS workspace, of.class, of.as_of, now() - of.as_of AS age
FROM crm.workspaces w
CROSS JOIN LATERAL (VALUES ('new', w.new_leads_checked_at), ('active', w.active_as_of), ('rest', w.fresh_as_of))
    AS of(class, as_of);

DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['leadsync_reader', 'leadsync_writer'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('GRANT SELECT ON crm.freshness TO %I', role_name);
        END IF;
    END LOOP;
END $$;
