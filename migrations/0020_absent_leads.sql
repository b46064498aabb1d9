-- Every page looks whether one of its leads was taken for gone, and as many deletions as a workspace has leads may wait
-- for an operator.
CREATE INDEX absent_confirmed ON sync.absent (workspace, instantly_id) WHERE confirmed_at IS NOT NULL;
-- What is still to be looked into is not looked for among them.
CREATE INDEX absent_unconfirmed ON sync.absent (workspace, by_sweep, lead_id) WHERE confirmed_at IS NULL;
