-- Format 4: which processes live is asked in words that SQLite answers without a table of its own. For a list of
-- three or more constants it makes and drops one, in each change of a process.

DROP INDEX process_live;
CREATE INDEX process_live ON process (id) WHERE state = 'created' OR state = 'running' OR state = 'waiting';

-- The long manifest comes last: whatever stands behind it is read through all of its pages.
CREATE TABLE plugin_v4 (
    digest    TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    origin    TEXT NOT NULL, -- the path it was admitted from
    bundled   INTEGER NOT NULL,
    active    INTEGER NOT NULL,
    facts     TEXT NOT NULL,
    installed INTEGER NOT NULL,
    manifest  TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO plugin_v4 SELECT digest, name, version, origin, bundled, active, facts, installed, manifest FROM plugin;
DROP TABLE plugin;
ALTER TABLE plugin_v4 RENAME TO plugin;
