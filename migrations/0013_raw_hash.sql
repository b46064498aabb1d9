-- A lead that comes in the bytes it came in before is not even read. Null: not known, or no longer to be relied upon.
ALTER TABLE sync.base ADD COLUMN raw_hash bigint;
