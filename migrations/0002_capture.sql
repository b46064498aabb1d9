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

-- What no call could carry to Instantly is refused where it is written.
CREATE FUNCTION sync.check_row(lead crm.leads) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT crm.is_flat(lead.custom_variables) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'custom_variables must be a flat JSON object',
            HINT = 'Instantly takes text, numbers, booleans and null as values: turn nested ones into text.';
    END IF;
    IF lead.instantly_id IS NOT NULL THEN
        RETURN;
    END IF;
    IF lead.email !~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = format('"%s" is no email address', lead.email),
            HINT = 'A new lead''s email is what Instantly writes to: name@domain, without spaces.';
    END IF;
    IF lead.campaign IS NOT NULL AND coalesce(lead.email, '') = '' THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'a lead in a campaign needs an email',
            HINT = 'A lead without an email can only be in a list: set list_id instead of campaign.';
    END IF;
    IF lead.campaign IS NOT NULL AND lead.list_id IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = 'a new lead goes to a campaign or to a list, not to both',
            HINT = 'Set one of campaign and list_id to NULL.';
    END IF;
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
    PERFORM sync.check_row(NEW);
    IF NOT EXISTS (SELECT FROM crm.workspaces WHERE name = NEW.workspace) THEN
        RAISE EXCEPTION USING ERRCODE = 'foreign_key_violation',
            MESSAGE = format('there is no workspace "%s"', NEW.workspace),
            HINT = format('Known: %s. A workspace is known once leadsync has run with it in its config.',
                          coalesce((SELECT string_agg(name, ', ' ORDER BY name) FROM crm.workspaces), 'none yet'));
    END IF;
    -- The row of a lead that was deleted here and is still there: it is that lead again.
    SELECT b.instantly_id INTO NEW.instantly_id FROM sync.base b
    WHERE b.workspace = NEW.workspace AND b.lead_id = NEW.id AND b.deleted_at IS NOT NULL;
    NEW.sync_status := 'pending';
    NEW.updated_at := now();
    NEW.sync_error := CASE WHEN NEW.campaign IS NULL AND NEW.list_id IS NULL
                           THEN 'local only: set campaign or list_id to create it on Instantly' END;
    RETURN NEW;
END $$;

-- A lead that the guard holds stays held, whatever is edited on top.
CREATE FUNCTION sync.mark_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM sync.check_row(NEW);
    IF OLD.sync_status <> 'held' THEN
        NEW.sync_status := 'pending';
        NEW.sync_error := CASE WHEN NEW.instantly_id IS NULL AND NEW.campaign IS NULL AND NEW.list_id IS NULL
                               THEN 'local only: set campaign or list_id to create it on Instantly' END;
    END IF;
    NEW.updated_at := now();
    RETURN NEW;
END $$;

-- Ordered by id, as leadsync locks rows, so that two writers of many leads never wait for each other in a circle.
CREATE FUNCTION sync.capture() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        UPDATE sync.base b SET deleted_at = NULL, content_hash = 0, expected = NULL, expected_until = NULL
        FROM new_rows n WHERE b.workspace = n.workspace AND b.lead_id = n.id AND b.deleted_at IS NOT NULL;
        INSERT INTO sync.queue AS q (workspace, lead_id, edited_at, edited_by)
        SELECT workspace, id, clock_timestamp(), session_user FROM new_rows
        WHERE campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                decision = NULL, decided = NULL, edited_at = excluded.edited_at, edited_by = excluded.edited_by;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO sync.queue AS q (workspace, lead_id, edited_at, edited_by)
        SELECT n.workspace, n.id, clock_timestamp(), session_user
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
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                decision = NULL, decided = NULL, edited_at = excluded.edited_at, edited_by = excluded.edited_by;
    ELSE
        UPDATE sync.base b SET deleted_at = now() FROM old_rows o
        WHERE b.workspace = o.workspace AND b.lead_id = o.id AND b.deleted_at IS NULL;
        DELETE FROM sync.merges m USING old_rows o
        WHERE m.workspace = o.workspace AND o.id IN (m.source_id, m.destination_id);
        DELETE FROM sync.absent a USING old_rows o WHERE a.workspace = o.workspace AND a.lead_id = o.id;
        -- What was held of these leads is no longer theirs to wait for: the deletion is a new wish.
        DELETE FROM crm.held h USING old_rows o
        WHERE h.workspace = o.workspace AND h.lead_id = o.id AND h.decision IS NULL;
        INSERT INTO sync.queue AS q (workspace, lead_id, edited_at, edited_by)
        SELECT workspace, id, clock_timestamp(), session_user FROM old_rows
        WHERE instantly_id IS NOT NULL OR campaign IS NOT NULL OR list_id IS NOT NULL ORDER BY workspace, id
        ON CONFLICT (workspace, lead_id) DO UPDATE
            SET generation = q.generation + 1, due_at = now(), attempts = 0, resends = 0, dead_at = NULL,
                held_at = NULL, decision = NULL, decided = NULL,
                edited_at = excluded.edited_at, edited_by = excluded.edited_by;
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
