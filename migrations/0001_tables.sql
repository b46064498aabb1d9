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

-- One email can be several leads; rows that wait to be created or adopted are found by it too.
CREATE INDEX leads_by_email ON crm.leads (workspace, lower(email));
-- What an operator looks for. Synced rows are not in it.
CREATE INDEX leads_not_synced ON crm.leads (workspace, sync_status) WHERE sync_status <> 'synced';

-- Both sides changed a field. Every overruled value stays here; one without a resolution waits for a person:
-- UPDATE crm.conflicts SET resolution = 'local' | 'remote' WHERE id = …
CREATE TABLE crm.conflicts (
    workspace   text NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    lead_id     uuid NOT NULL,
    field       text NOT NULL,      -- a column of crm.leads, or custom_variables.<key>
    base        text,               -- as both sides held it last
    local       text,
    remote      text,
    rule        text NOT NULL CHECK (rule IN ('local', 'remote', 'newest', 'manual', 'keep_value', 'flip_flop')),
    resolution  text CHECK (resolution IN ('local', 'remote', 'agreed')),
    created_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,        -- when the resolution was carried out
    resolved_by text,               -- who gave it; null: the rule
    PRIMARY KEY (workspace, id)
);
CREATE INDEX conflicts_by_lead ON crm.conflicts (workspace, lead_id);
-- What a merge has to know of: open ones, and resolutions not carried out yet.
CREATE UNIQUE INDEX conflicts_to_settle ON crm.conflicts (workspace, lead_id, field) WHERE resolved_at IS NULL;

-- Who changed what when, by which rule, through which request. Append-only; kept as long as the config says.
CREATE TABLE crm.history (
    workspace text NOT NULL,
    id        bigint GENERATED ALWAYS AS IDENTITY,
    at        timestamptz NOT NULL DEFAULT now(),
    lead_id   uuid NOT NULL,
    field     text,                 -- null: the lead as a whole
    old       text,
    new       text,
    side      text NOT NULL CHECK (side IN ('local', 'remote')),  -- whose value came to stand
    rule      text NOT NULL,
    request   text,
    PRIMARY KEY (workspace, id)
);
CREATE INDEX history_by_lead ON crm.history (workspace, lead_id, id);

-- What the guard holds until a person decides: UPDATE crm.held SET decision = 'approve' | 'reject' WHERE …
CREATE TABLE crm.held (
    workspace   text NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    lead_id     uuid NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('create', 'change', 'delete')),
    side        text NOT NULL CHECK (side IN ('local', 'remote')),  -- who wants it
    reason      text NOT NULL,
    held_at     timestamptz NOT NULL DEFAULT now(),
    decision    text CHECK (decision IN ('approve', 'reject')),
    decided_at  timestamptz,
    decided_by  text,
    PRIMARY KEY (workspace, id)
);
CREATE UNIQUE INDEX held_undecided ON crm.held (workspace, lead_id, kind, side) WHERE decision IS NULL;

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
    observed_at       timestamptz,          -- when the answer that this rests on was asked for; both by the daemon's clock
    flips             jsonb,                -- how often a key changed sides lately: {key: [side, count, since]}
    deleted_at        timestamptz,          -- the row was deleted here
    gone_at           timestamptz,          -- Instantly no longer has the lead
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
    edited_at   timestamptz,                -- the last local edit; null: queued by leadsync itself
    edited_by   text,
    held_at     timestamptz,                -- waits for a decision in crm.held
    decision    text,                       -- that decision, until it is carried out
    decided     text,                       -- and what it was about: kind and side
    PRIMARY KEY (workspace, lead_id)
);
CREATE INDEX queue_due ON sync.queue (workspace, due_at) WHERE dead_at IS NULL AND held_at IS NULL;
CREATE SEQUENCE sync.lease_tokens;

-- Where a sweep stands: saved with the rows of the page it belongs to.
CREATE TABLE sync.checkpoints (
    workspace   text NOT NULL,
    name        text NOT NULL,
    cursor      text,                       -- id of the last lead processed; null: at the start
    pages       bigint NOT NULL DEFAULT 0,
    leads       bigint NOT NULL DEFAULT 0,
    changed     bigint NOT NULL DEFAULT 0,  -- leads whose both-ways values had changed on Instantly
    started_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (workspace, name)
);

-- Leads that a sweep did not find. Evidence is collected before a deletion is believed.
CREATE TABLE sync.absent (
    workspace    text NOT NULL,
    lead_id      uuid NOT NULL,
    instantly_id uuid NOT NULL,
    noticed_at   timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,               -- absent from a look-up by id too, and 404
    PRIMARY KEY (workspace, lead_id)
);

-- Creates that have left: noted before, forgotten when their outcome is known. A row that is sent elsewhere meanwhile
-- would become two leads.
CREATE TABLE sync.creates (
    workspace    text NOT NULL,
    lead_id      uuid NOT NULL,
    attempted_at timestamptz NOT NULL,      -- by the daemon's clock
    campaign     uuid,                      -- where it makes the lead
    list_id      uuid,
    sent         jsonb,                     -- {key: value}; where there is no email, what the lead is known by
    PRIMARY KEY (workspace, lead_id)
);

-- Leads to be merged into another: the one operation that is no difference between row and base.
CREATE TABLE sync.merges (
    workspace      text NOT NULL,
    source_id      uuid NOT NULL,
    destination_id uuid NOT NULL,
    requested_at   timestamptz NOT NULL DEFAULT now(),
    requested_by   text NOT NULL DEFAULT session_user,
    sent_at        timestamptz,             -- a request may have been carried out already
    PRIMARY KEY (workspace, source_id)
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
