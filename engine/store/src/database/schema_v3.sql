-- Format 3: work directories that are removed from their computers.

-- Work directories of calculations that are to be removed from their computers, or were.
CREATE TABLE cleaning (
    process   INTEGER PRIMARY KEY REFERENCES process (id) ON DELETE CASCADE,
    requested INTEGER NOT NULL,
    cleaned   INTEGER, -- NULL: not yet
    error     TEXT     -- why the last try failed
) WITHOUT ROWID;
CREATE INDEX cleaning_pending ON cleaning (requested) WHERE cleaned IS NULL;
