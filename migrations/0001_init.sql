-- The tables a user sees (crm) and the machine's own state (sync). Every key begins with `workspace`, so that the
-- tables can be distributed by it. Columns of crm.leads are named as the API names them.

CREATE SCHEMA IF NOT EXISTS crm;
CREATE SCHEMA IF NOT EXISTS sync;

CREATE TABLE crm.workspaces (
    name                   text PRIMARY KEY CHECK (name ~ '^[a-z0-9-]{1,63}$'),
    instantly_workspace_id text,
    instantly_name         text,
    state                  text NOT NULL DEFAULT 'starting'
                           CHECK (state IN ('starting', 'backfilling', 'following', 'paused', 'stopped')),
    state_reason           text,
    leads_on_instantly     bigint,       -- as the billing plan tells; null where it does not
    backfilled_at          timestamptz,  -- end of the first complete sweep; creates wait for it
    sweep_completed_at     timestamptz,
    fresh_as_of            timestamptz,  -- start of the last complete sweep: no lead is older than that
    new_leads_checked_at   timestamptz,
    requests_last_minute   integer NOT NULL DEFAULT 0,
    updated_at             timestamptz NOT NULL DEFAULT now()
);

-- A flat object: Instantly takes text, numbers, booleans and null as values of custom variables, nothing nested.
CREATE FUNCTION crm.is_flat(variables jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN jsonb_typeof(variables) = 'object'
           AND NOT jsonb_path_exists(variables, 'strict $.* ? (@.type() == "object" || @.type() == "array")');

CREATE TABLE crm.leads (
    workspace                      text NOT NULL,
    id                             uuid NOT NULL DEFAULT gen_random_uuid(),
    instantly_id                   uuid,

    -- set on INSERT, then fixed
    email                          text,

    -- both ways
    first_name                     text,
    last_name                      text,
    company_name                   text,
    job_title                      text,
    phone                          text,
    website                        text,
    personalization                text,
    pl_value_lead                  text,
    lt_interest_status             integer,
    assigned_to                    uuid,
    campaign                       uuid,
    list_id                        uuid,
    subsequence_id                 uuid,
    custom_variables               jsonb NOT NULL DEFAULT '{}'
                                   CONSTRAINT custom_variables_are_flat CHECK (crm.is_flat(custom_variables)),

    -- Instantly's
    status                         integer,
    verification_status            integer,
    enrichment_status              integer,
    esp_code                       integer,
    esg_code                       integer,
    email_open_count               integer,
    email_reply_count              integer,
    email_click_count              integer,
    email_opened_step              integer,
    email_opened_variant           integer,
    email_replied_step             integer,
    email_replied_variant          integer,
    email_clicked_step             integer,
    email_clicked_variant          integer,
    company_domain                 text,
    status_summary                 jsonb,
    status_summary_subseq          jsonb,
    last_step_from                 text,
    last_step_id                   uuid,
    last_step_timestamp_executed   timestamptz,
    timestamp_created              timestamptz,
    timestamp_updated              timestamptz,
    timestamp_added_subsequence    timestamptz,
    timestamp_last_contact         timestamptz,
    timestamp_last_open            timestamptz,
    timestamp_last_reply           timestamptz,
    timestamp_last_interest_change timestamptz,
    timestamp_last_click           timestamptz,
    timestamp_last_touch           timestamptz,
    last_contacted_from            text,
    uploaded_by_user               uuid,
    upload_method                  text,
    is_website_visitor             boolean,
    organization                   uuid,
    extra                          jsonb NOT NULL DEFAULT '{}',  -- what no column holds, as it came

    -- ours
    sync_status                    text NOT NULL DEFAULT 'pending'
                                   CHECK (sync_status IN ('synced', 'pending', 'verifying', 'conflict', 'held',
                                                          'error', 'deleted')),
    sync_error                     text,
    synced_at                      timestamptz,
    updated_at                     timestamptz NOT NULL DEFAULT now(),
    deleted_at                     timestamptz,

    PRIMARY KEY (workspace, id),
    CONSTRAINT leads_instantly_id_key UNIQUE (workspace, instantly_id)
);

-- Rows that wait to be created or adopted are found by email and target.
CREATE INDEX leads_to_adopt ON crm.leads (workspace, lower(email)) WHERE instantly_id IS NULL;
-- What an operator looks for. Synced rows are not in it.
CREATE INDEX leads_not_synced ON crm.leads (workspace, sync_status) WHERE sync_status <> 'synced';

CREATE TABLE crm.conflicts (
    workspace   text NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    lead_id     uuid NOT NULL,
    field       text NOT NULL,      -- a column of crm.leads, or custom_variables.<key>
    base        text,               -- as both sides held it last
    local       text,
    remote      text,
    rule        text NOT NULL CHECK (rule IN ('local', 'remote')),
    resolution  text NOT NULL CHECK (resolution IN ('local', 'remote')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id)
);
CREATE INDEX conflicts_by_lead ON crm.conflicts (workspace, lead_id);

CREATE TABLE crm.campaigns (
    workspace  text NOT NULL,
    id         uuid NOT NULL,
    name       text NOT NULL,
    status     integer,
    data       jsonb NOT NULL,      -- the campaign as Instantly answers it
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id)
);

CREATE TABLE crm.lead_lists (
    workspace  text NOT NULL,
    id         uuid NOT NULL,
    name       text NOT NULL,
    data       jsonb NOT NULL,
    seen_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id)
);

CREATE TABLE crm.lead_labels (
    workspace       text NOT NULL,
    id              uuid NOT NULL,
    label           text NOT NULL,
    interest_status integer,        -- the value it has in crm.leads.lt_interest_status
    data            jsonb NOT NULL,
    seen_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, id)
);

-- What both sides agreed on last, one row for each lead Instantly has (or had, when deleted_at is set: a tombstone, so
-- that a lead deleted here is not brought back by the next page that shows it).
CREATE TABLE sync.base (
    workspace         text NOT NULL,
    lead_id           uuid NOT NULL,
    instantly_id      uuid NOT NULL,
    content           jsonb NOT NULL,       -- both-ways fields that are present, by name
    content_hash      bigint NOT NULL,      -- of all remote content; equal: nothing changed there
    remote_updated_at timestamptz,          -- the remote timestamp_updated; an older answer is stale
    expected          jsonb,                -- accepted writes not shown yet: {key: value}
    expected_until    timestamptz,
    written_at        timestamptz,          -- end of our last write; an answer asked for before it is stale
    deleted_at        timestamptz,
    PRIMARY KEY (workspace, lead_id),
    CONSTRAINT base_instantly_id_key UNIQUE (workspace, instantly_id)
);

-- One row for each lead that needs reconciling. It says which lead, never what to send: that is computed from row and
-- base when it is sent. `generation` grows with every local edit, so that finished work is not taken for newer work.
CREATE TABLE sync.queue (
    workspace   text NOT NULL,
    lead_id     uuid NOT NULL,
    generation  bigint NOT NULL DEFAULT 1,
    due_at      timestamptz NOT NULL DEFAULT now(),
    queued_at   timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0,
    resends     integer NOT NULL DEFAULT 0,     -- writes that were accepted or in doubt, and never showed
    lease_token bigint,
    lease_until timestamptz,
    last_error  text,
    dead_at     timestamptz,                -- given up on until the next edit; last_error says why
    PRIMARY KEY (workspace, lead_id)
);
CREATE INDEX queue_due ON sync.queue (workspace, due_at) WHERE dead_at IS NULL;
CREATE SEQUENCE sync.lease_tokens;

-- Where a sweep stands: saved with the rows of the page it belongs to.
CREATE TABLE sync.checkpoints (
    workspace   text NOT NULL,
    name        text NOT NULL,
    cursor      text,                       -- id of the last lead processed; null: at the start
    pages       bigint NOT NULL DEFAULT 0,
    leads       bigint NOT NULL DEFAULT 0,
    started_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, name)
);

-- lz4 is worth 30 to 50 % on inserts of wide rows, where the server has it.
DO $$
BEGIN
    ALTER TABLE crm.leads ALTER COLUMN custom_variables SET COMPRESSION lz4;
    ALTER TABLE crm.leads ALTER COLUMN personalization SET COMPRESSION lz4;
    ALTER TABLE crm.leads ALTER COLUMN status_summary SET COMPRESSION lz4;
    ALTER TABLE crm.leads ALTER COLUMN extra SET COMPRESSION lz4;
    ALTER TABLE sync.base ALTER COLUMN content SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'this server has no lz4: wide columns stay with pglz';
END $$;

-- Capture. leadsync's own transactions set leadsync.origin = 'sync' and are passed by.

CREATE FUNCTION sync.refuse(column_name text, table_row jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    what text := format('column "%s" of crm.leads can''t be set here', column_name);
    hint text := 'It is Instantly''s: leadsync reads it from there.';
BEGIN
    CASE
        WHEN column_name = 'email' THEN
            hint := 'A lead''s email is fixed once it exists: insert a lead with the other address, and delete this one.';
        WHEN column_name IN ('workspace', 'id') THEN
            hint := 'It is the lead''s key and never changes.';
        WHEN column_name = 'instantly_id' THEN
            hint := 'leadsync fills it in when Instantly has the lead; leave it out.';
        WHEN column_name IN ('sync_status', 'sync_error', 'synced_at', 'updated_at', 'deleted_at') THEN
            hint := 'leadsync keeps it. To have a lead sent again, edit it; to delete it, DELETE the row.';
        WHEN column_name = 'status' THEN
            hint := 'Pausing, resuming and unsubscribing are done in Instantly; leadsync then shows it here. '
                    || 'The outcome of a conversation is lt_interest_status, which can be set.';
        WHEN column_name = 'extra' THEN
            hint := 'It holds what Instantly sent beyond the known columns. Own data belongs in custom_variables.';
        ELSE NULL;
    END CASE;
    RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = what, HINT = hint,
        DETAIL = format('Lead %s, %s in workspace %s.', table_row->>'id', coalesce(table_row->>'email', 'no email'),
                        table_row->>'workspace');
END $$;

CREATE FUNCTION sync.guard_update() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb := to_jsonb(NEW);
    column_name text;
BEGIN
    FOREACH column_name IN ARRAY TG_ARGV LOOP
        IF before->column_name IS DISTINCT FROM after->column_name THEN
            PERFORM sync.refuse(column_name, before);
        END IF;
    END LOOP;
    RETURN NEW;
END $$;

CREATE FUNCTION sync.guard_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    row_as_json jsonb := to_jsonb(NEW);
    column_name text;
BEGIN
    FOREACH column_name IN ARRAY TG_ARGV LOOP
        IF row_as_json->column_name NOT IN ('null', '{}') THEN
            PERFORM sync.refuse(column_name, row_as_json);
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM crm.workspaces WHERE name = NEW.workspace) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('there is no workspace "%s"', NEW.workspace),
            HINT = format('Known: %s. A workspace is known once leadsync has run with it in its config.',
                          coalesce((SELECT string_agg(name, ', ' ORDER BY name) FROM crm.workspaces), 'none yet'));
    END IF;
    NEW.sync_status := 'pending';
    NEW.updated_at := now();
    NEW.sync_error := CASE WHEN NEW.campaign IS NULL AND NEW.list_id IS NULL
                           THEN 'local only: set campaign or list_id to create it on Instantly' END;
    RETURN NEW;
END $$;

CREATE FUNCTION sync.mark_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.sync_status := 'pending';
    NEW.sync_error := CASE WHEN NEW.instantly_id IS NULL AND NEW.campaign IS NULL AND NEW.list_id IS NULL
                           THEN 'local only: set campaign or list_id to create it on Instantly' END;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Ordered by id, as leadsync locks rows, so that two writers of many leads never wait for each other in a circle.
CREATE FUNCTION sync.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO sync.queue AS q (workspace, lead_id)
        SELECT workspace, id FROM new_rows WHERE campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO sync.queue AS q (workspace, lead_id)
        SELECT n.workspace, n.id
        FROM new_rows n JOIN old_rows o ON o.workspace = n.workspace AND o.id = n.id
        WHERE (n.instantly_id IS NOT NULL OR n.campaign IS NOT NULL OR n.list_id IS NOT NULL)
          AND (n.first_name, n.last_name, n.company_name, n.job_title, n.phone, n.website, n.personalization,
               n.pl_value_lead, n.lt_interest_status, n.assigned_to, n.campaign, n.list_id, n.subsequence_id,
               n.custom_variables)
              IS DISTINCT FROM
              (o.first_name, o.last_name, o.company_name, o.job_title, o.phone, o.website, o.personalization,
               o.pl_value_lead, o.lt_interest_status, o.assigned_to, o.campaign, o.list_id, o.subsequence_id,
               o.custom_variables)
        ORDER BY n.workspace, n.id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL;
    ELSE
        UPDATE sync.base b SET deleted_at = now() FROM old_rows o
        WHERE b.workspace = o.workspace AND b.lead_id = o.id AND b.deleted_at IS NULL;
        INSERT INTO sync.queue AS q (workspace, lead_id)
        SELECT workspace, id FROM old_rows
        WHERE instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL;
    END IF;
    IF FOUND THEN
        PERFORM pg_notify('leadsync', '');
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER guard_insert BEFORE INSERT ON crm.leads
    FOR EACH ROW WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.guard_insert(
        'instantly_id', 'status', 'verification_status', 'enrichment_status', 'esp_code', 'esg_code',
        'email_open_count', 'email_reply_count', 'email_click_count', 'email_opened_step', 'email_opened_variant',
        'email_replied_step', 'email_replied_variant', 'email_clicked_step', 'email_clicked_variant',
        'company_domain', 'status_summary', 'status_summary_subseq', 'last_step_from', 'last_step_id',
        'last_step_timestamp_executed', 'timestamp_created', 'timestamp_updated', 'timestamp_added_subsequence',
        'timestamp_last_contact', 'timestamp_last_open', 'timestamp_last_reply', 'timestamp_last_interest_change',
        'timestamp_last_click', 'timestamp_last_touch', 'last_contacted_from', 'uploaded_by_user', 'upload_method',
        'is_website_visitor', 'organization', 'extra', 'synced_at', 'deleted_at');

CREATE TRIGGER guard_update BEFORE UPDATE OF
        workspace, id, instantly_id, email, status, verification_status, enrichment_status, esp_code, esg_code,
        email_open_count, email_reply_count, email_click_count, email_opened_step, email_opened_variant,
        email_replied_step, email_replied_variant, email_clicked_step, email_clicked_variant, company_domain,
        status_summary, status_summary_subseq, last_step_from, last_step_id, last_step_timestamp_executed,
        timestamp_created, timestamp_updated, timestamp_added_subsequence, timestamp_last_contact,
        timestamp_last_open, timestamp_last_reply, timestamp_last_interest_change, timestamp_last_click,
        timestamp_last_touch, last_contacted_from, uploaded_by_user, upload_method, is_website_visitor, organization,
        extra, sync_status, sync_error, synced_at, updated_at, deleted_at
    ON crm.leads
    FOR EACH ROW WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.guard_update(
        'workspace', 'id', 'instantly_id', 'email', 'status', 'verification_status', 'enrichment_status', 'esp_code',
        'esg_code', 'email_open_count', 'email_reply_count', 'email_click_count', 'email_opened_step',
        'email_opened_variant', 'email_replied_step', 'email_replied_variant', 'email_clicked_step',
        'email_clicked_variant', 'company_domain', 'status_summary', 'status_summary_subseq', 'last_step_from',
        'last_step_id', 'last_step_timestamp_executed', 'timestamp_created', 'timestamp_updated',
        'timestamp_added_subsequence', 'timestamp_last_contact', 'timestamp_last_open', 'timestamp_last_reply',
        'timestamp_last_interest_change', 'timestamp_last_click', 'timestamp_last_touch', 'last_contacted_from',
        'uploaded_by_user', 'upload_method', 'is_website_visitor', 'organization', 'extra', 'sync_status',
        'sync_error', 'synced_at', 'updated_at', 'deleted_at');

CREATE TRIGGER mark_pending BEFORE UPDATE ON crm.leads
    FOR EACH ROW WHEN (
        current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync'
        AND (OLD.first_name, OLD.last_name, OLD.company_name, OLD.job_title, OLD.phone, OLD.website,
             OLD.personalization, OLD.pl_value_lead, OLD.lt_interest_status, OLD.assigned_to, OLD.campaign,
             OLD.list_id, OLD.subsequence_id, OLD.custom_variables)
            IS DISTINCT FROM
            (NEW.first_name, NEW.last_name, NEW.company_name, NEW.job_title, NEW.phone, NEW.website,
             NEW.personalization, NEW.pl_value_lead, NEW.lt_interest_status, NEW.assigned_to, NEW.campaign,
             NEW.list_id, NEW.subsequence_id, NEW.custom_variables))
    EXECUTE FUNCTION sync.mark_pending();

CREATE TRIGGER capture_insert AFTER INSERT ON crm.leads REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.capture();
CREATE TRIGGER capture_update AFTER UPDATE ON crm.leads REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.capture();
CREATE TRIGGER capture_delete AFTER DELETE ON crm.leads REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT WHEN (current_setting('leadsync.origin', true) IS DISTINCT FROM 'sync')
    EXECUTE FUNCTION sync.capture();

-- Roles for people and tools. They belong to the server, not to this database, so they may be there already, and
-- making them takes a right that a managed database may withhold.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['leadsync_reader', 'leadsync_writer'] LOOP
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN
                RAISE WARNING 'role % is missing and this user may not create it: ask a database administrator', role_name;
        END;
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('GRANT USAGE ON SCHEMA crm TO %I', role_name);
            EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA crm TO %I', role_name);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'leadsync_writer') THEN
        GRANT USAGE ON SCHEMA sync TO leadsync_writer;  -- the triggers' functions live there, no table is granted
        GRANT DELETE ON crm.leads TO leadsync_writer;
        GRANT INSERT (workspace, id, email, first_name, last_name, company_name, job_title, phone, website,
                      personalization, pl_value_lead, lt_interest_status, assigned_to, campaign, list_id,
                      subsequence_id, custom_variables) ON crm.leads TO leadsync_writer;
        GRANT UPDATE (first_name, last_name, company_name, job_title, phone, website, personalization, pl_value_lead,
                      lt_interest_status, assigned_to, campaign, list_id, subsequence_id, custom_variables)
            ON crm.leads TO leadsync_writer;
    END IF;
END $$;
