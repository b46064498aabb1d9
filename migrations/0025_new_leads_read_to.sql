-- How far new leads have been looked for: the newest known id says nothing of that, for leads created from here are
-- known without a look, and may be newer than many that were added on Instantly meanwhile.
CREATE TABLE sync.new_leads (
    workspace text PRIMARY KEY,
    read_to   uuid NOT NULL  -- the last lead that the last complete look has shown
);
