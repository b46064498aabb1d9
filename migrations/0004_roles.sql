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
        GRANT UPDATE (resolution) ON crm.conflicts TO leadsync_writer;
        GRANT UPDATE (decision) ON crm.held TO leadsync_writer;
        GRANT EXECUTE ON FUNCTION crm.merge_leads(text, uuid, uuid) TO leadsync_writer;
    END IF;
END $$;
