-- A create that is sent again may go elsewhere than the first: the lead may stand in either place.
ALTER TABLE sync.creates
    ADD COLUMN last_campaign uuid,  -- where the last attempt made it
    ADD COLUMN last_list_id  uuid;
UPDATE sync.creates SET last_campaign = campaign, last_list_id = list_id;
