-- What is looked for with each page of leads of which nothing is known yet. A page's ids lie close together, and mostly
-- no row has any of them, nor one between: that is told by one step down an index instead of a hundred. Always by index,
-- as in leads.cpp: planned while the table is small, and kept, these would read all of it; planned anew for each page
-- they cost more than the look. A function plans once a session, and with settings of its own.

CREATE FUNCTION sync.taken_ids(of_workspace text, ids uuid[], lowest uuid, highest uuid) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM crm.leads WHERE workspace = of_workspace AND id BETWEEN lowest AND highest) THEN
        RETURN QUERY SELECT u.id FROM unnest(ids) AS u(id)
        CROSS JOIN LATERAL (SELECT FROM crm.leads WHERE workspace = of_workspace AND id = u.id OFFSET 0) l;
    END IF;
    IF EXISTS (SELECT FROM sync.base WHERE workspace = of_workspace AND lead_id BETWEEN lowest AND highest) THEN
        RETURN QUERY SELECT u.id FROM unnest(ids) AS u(id)
        CROSS JOIN LATERAL (SELECT FROM sync.base WHERE workspace = of_workspace AND lead_id = u.id OFFSET 0) b;
    END IF;
END $$;

CREATE FUNCTION sync.leads_with_row(of_workspace text, ids uuid[], lowest uuid, highest uuid) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    IF EXISTS (SELECT FROM crm.leads WHERE workspace = of_workspace AND instantly_id BETWEEN lowest AND highest) THEN
        RETURN QUERY SELECT u.id FROM unnest(ids) AS u(id)
        CROSS JOIN LATERAL (SELECT FROM crm.leads WHERE workspace = of_workspace AND instantly_id = u.id OFFSET 0) l;
    END IF;
END $$;

-- Mostly there are none, which is told by the end of an index.
CREATE FUNCTION sync.has_rows_without_lead(of_workspace text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM crm.leads WHERE workspace = of_workspace AND instantly_id IS NULL);
END $$;

-- The same as before, but not STRICT: PostgreSQL then writes the condition into the plan of the statement instead of
-- calling a function for each row. Of null it says null, as it did.
CREATE OR REPLACE FUNCTION crm.is_flat(variables jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN jsonb_typeof(variables) = 'object'
           AND NOT jsonb_path_exists(variables, 'strict $.* ? (@.type() == "object" || @.type() == "array")');
