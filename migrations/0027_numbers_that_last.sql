-- JSON has numbers of any length, Instantly, leadsync and most that read JSON keep them as doubles: longer ones would come
-- back as others. They are refused where they are written, like all else that no call could carry.

-- Whether a double holds the number, so that it comes back as it was.
CREATE FUNCTION sync.is_double(number numeric) RETURNS boolean LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN number = 0 THEN true
                WHEN abs(number) BETWEEN 1e-300 AND 1e300 THEN number::float8::text::numeric = number
                ELSE false END;

CREATE OR REPLACE FUNCTION sync.check_row(lead crm.leads) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    variable record;
BEGIN
    IF NOT crm.is_flat(lead.custom_variables) THEN
        RAISE EXCEPTION USING ERRCODE = 'check_violation', MESSAGE = 'custom_variables must be a flat JSON object',
            HINT = 'Instantly takes text, numbers, booleans and null as values: turn nested ones into text.';
    END IF;
    SELECT v.key, v.value INTO variable FROM jsonb_each(lead.custom_variables) v
    WHERE jsonb_typeof(v.value) = 'number' AND length(v.value::text) > 15 AND NOT sync.is_double(v.value::numeric) LIMIT 1;
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
