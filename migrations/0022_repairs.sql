-- When all rows were last compared with their bases. A repair that is under way has no time yet.
CREATE TABLE sync.repairs (
    workspace text PRIMARY KEY,
    done_at   timestamptz
);

-- What TRUNCATE took is not waited for: the next sweep begins with a repair.
CREATE FUNCTION sync.repair_anew() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM sync.repairs;
    RETURN NULL;
END $$;

CREATE TRIGGER repair_anew AFTER TRUNCATE ON crm.leads FOR EACH STATEMENT EXECUTE FUNCTION sync.repair_anew();
