-- A number that no double holds is refused where somebody writes it. One that came from Instantly does not keep the lead's
-- other variables from being edited.

DROP FUNCTION sync.check_row(crm.leads);

-- `known`: the variables that the row had before. What is among them was not written now.
CREATE FUNCTION sync.check_row(lead crm.leads, known jsonb DEFAULT '{}') RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    variable record;
BEGIN
    IF NOT crm.is_flat(lead.custom_variables) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'custom_variables must be a flat JSON object',
            HINT = 'Instantly takes text, numbers, booleans and null as values: turn nested ones into text.';
    END IF;
    SELECT v.key, v.value INTO variable FROM jsonb_each(lead.custom_variables) v
    WHERE jsonb_typeof(v.value) = 'number' AND length(v.value::text) > 15 AND v.value IS DISTINCT FROM known->v.key
      AND NOT sync.is_double(v.value::numeric) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation',
            MESSAGE = format('custom_variables: "%s" is a number that Instantly can''t hold exactly: %s', variable.key,
                             left(variable.value::text, 40)),
            HINT = 'Numbers have some 16 digits there, as in JavaScript. Write it as text.';
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

CREATE OR REPLACE FUNCTION sync.mark_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.current_setting('leadsync.origin', true) IS NOT DISTINCT FROM 'sync'
       OR OLD.* OPERATOR(pg_catalog.*=) NEW.* THEN
        RETURN NEW;
    END IF;
    -- All else that a row must hold to, only a row that is still to be created has to.
    IF NEW.instantly_id IS NULL OR NEW.custom_variables IS DISTINCT FROM OLD.custom_variables THEN
        PERFORM sync.check_row(NEW, OLD.custom_variables);
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
