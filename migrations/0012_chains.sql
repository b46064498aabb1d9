-- A first backfill knows no ids that ranges could begin at. Where the server takes no made-up ones, each campaign and each
-- list is read as a range of its own, beside the others, before the sweep of the workspace: a chain.
ALTER TABLE sync.ranges
    ADD COLUMN campaign text,  -- both null: a range of the sweep
    ADD COLUMN list_id  text,
    ADD CHECK (campaign IS NULL OR list_id IS NULL);
