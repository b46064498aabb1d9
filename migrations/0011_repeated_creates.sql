-- A create that is sent again may say otherwise than the first: either may have made the lead.
ALTER TABLE sync.creates ADD COLUMN resent jsonb;  -- {key: value} of the last attempt, where it was not the first
