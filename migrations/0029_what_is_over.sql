-- What is over goes: holds that were decided, with the history; and tombstones of leads that Instantly has deleted at
-- our request, once no sweep has shown them for a while. Both by an index of their own, for what stays may be many, and
-- older: holds that wait for a person, and the tombstones of leads that are only no longer synced.

CREATE INDEX held_decided ON crm.held (workspace, decided_at) WHERE decision IS NOT NULL;

-- When a DELETE of ours was accepted last. A column of its own: an index that named `expected`, were it only in its
-- condition, would be written with every push.
ALTER TABLE sync.base ADD COLUMN buried_at timestamptz;
UPDATE sync.base SET buried_at = coalesce(expected_until, now()) WHERE deleted_at IS NOT NULL AND expected ? '';
CREATE INDEX base_buried ON sync.base (workspace, buried_at) WHERE buried_at IS NOT NULL;
