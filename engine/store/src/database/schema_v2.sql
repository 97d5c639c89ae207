-- From v1: owners with epochs, call trees, and what a process waits for.

-- Raised by each owner when it opens the store; one that finds a higher number than its own writes no more.
CREATE TABLE owner (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    epoch INTEGER NOT NULL
);
INSERT INTO owner (id, epoch) VALUES (1, 0);

-- The call tree. A child's identity is (caller, call), so that a step that is run again can't launch it twice.
ALTER TABLE process ADD COLUMN caller INTEGER REFERENCES process (id);
ALTER TABLE process ADD COLUMN call TEXT;
-- The top of the tree; a process without caller is its own.
ALTER TABLE process ADD COLUMN root INTEGER;
ALTER TABLE process ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
-- When a timer wakes it, in microseconds.
ALTER TABLE process ADD COLUMN wake INTEGER;
-- Owners that died while they were stepping it, since it last got on.
ALTER TABLE process ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
UPDATE process SET root = id;
CREATE UNIQUE INDEX process_call ON process (caller, call) WHERE caller IS NOT NULL;
CREATE INDEX process_wake ON process (wake) WHERE wake IS NOT NULL;
-- How many of its children have ended, and of how many it has taken notice.
ALTER TABLE process ADD COLUMN woken INTEGER NOT NULL DEFAULT 0;
ALTER TABLE process ADD COLUMN noticed INTEGER NOT NULL DEFAULT 0;

-- Jobs of processes whose user gave up on them: still to be cancelled when their computer answers.
CREATE TABLE orphan (
    process  INTEGER PRIMARY KEY REFERENCES process (id),
    computer TEXT NOT NULL,
    token    TEXT NOT NULL,
    job_id   TEXT,          -- NULL: to be found by its token
    submission TEXT NOT NULL, -- JSON: what recovery needs
    since    INTEGER NOT NULL,
    error    TEXT           -- why the last try failed
) WITHOUT ROWID;

-- Large objects that lie together in one file; the others are a file each.
CREATE TABLE pack (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE, -- of the file, in objects/packs
    size INTEGER NOT NULL,
    made INTEGER NOT NULL
);
ALTER TABLE object ADD COLUMN pack INTEGER REFERENCES pack (id);
ALTER TABLE object ADD COLUMN offset INTEGER; -- of its bytes in the pack
CREATE INDEX object_pack ON object (pack) WHERE pack IS NOT NULL;
CREATE INDEX object_loose ON object (digest) WHERE bytes IS NULL AND pack IS NULL;
CREATE INDEX node_file_digest ON node_file (digest);

-- For lists by state, newest first, and for counts.
CREATE INDEX process_state ON process (state);

-- What is known about a computer's host, by label: its circuit breaker (NULL: closed), whether the user has
-- disabled it, and the settings under which a test job has shown that recovery may rely on listings. JSON.
CREATE TABLE host (
    computer TEXT PRIMARY KEY,
    breaker  TEXT,
    disabled TEXT,
    proof    TEXT
) WITHOUT ROWID;

-- Calculations by all that their results depend on: whose results may be taken over, and who has taken some.
CREATE TABLE cache (
    process    INTEGER PRIMARY KEY REFERENCES process (id) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    reusable   INTEGER NOT NULL DEFAULT 1, -- 0: by the user's wish
    taken_from TEXT                        -- uuid; NULL: it ran itself
) WITHOUT ROWID;
CREATE INDEX cache_hash ON cache (hash);

-- What people say about nodes.
CREATE TABLE comment (
    id       INTEGER PRIMARY KEY,
    uuid     TEXT NOT NULL UNIQUE,
    node     INTEGER NOT NULL REFERENCES node (id),
    author   TEXT NOT NULL,
    text     TEXT NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL
);
CREATE INDEX comment_node ON comment (node);
-- Which groups a node is in, for its deletion.
CREATE INDEX group_member_node ON group_member (node);
