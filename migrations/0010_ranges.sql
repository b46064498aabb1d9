-- A sweep reads ranges of ids side by side, each with a cursor of its own that is saved with the rows of its pages.
CREATE TABLE sync.sweeps (
    workspace  text PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE sync.ranges (
    workspace   text NOT NULL,
    number      bigint GENERATED ALWAYS AS IDENTITY,
    cursor      text,                       -- id behind which it goes on; null: from the first
    ends_at     text,                       -- the last id that is in it; null: to the last
    pages       bigint NOT NULL DEFAULT 0,
    leads       bigint NOT NULL DEFAULT 0,
    changed     bigint NOT NULL DEFAULT 0,  -- leads whose both-ways values had changed on Instantly
    is_complete boolean NOT NULL DEFAULT false,
    PRIMARY KEY (workspace, number)
) WITH (fillfactor = 50);

INSERT INTO sync.sweeps (workspace, started_at) SELECT workspace, started_at FROM sync.checkpoints WHERE name = 'sweep';
INSERT INTO sync.ranges (workspace, cursor, pages, leads, changed)
SELECT workspace, cursor, pages, leads, changed FROM sync.checkpoints WHERE name = 'sweep';
DROP TABLE sync.checkpoints;
