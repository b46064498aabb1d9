-- How many requests were let through in each of the last seconds, written before they left: the limits at Instantly hold
-- across a crash of leadsync too. Both arrays go by position; a row each workspace, rewritten in place.
CREATE TABLE sync.request_budget (
    workspace text PRIMARY KEY,
    seconds   int8[] NOT NULL,          -- by the daemon's clock, since 1970
    requests  int8[] NOT NULL
) WITH (fillfactor = 50);
