-- Times are microseconds since 1970, UTC. Uuids are text. Bodies and checkpoints are JSON.

CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE computer (
    id       INTEGER PRIMARY KEY,
    uuid     TEXT NOT NULL UNIQUE,
    label    TEXT NOT NULL UNIQUE,
    config   TEXT NOT NULL,
    created  INTEGER NOT NULL,
    modified INTEGER NOT NULL
);

CREATE TABLE node (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid        TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('data', 'process')),
    type        TEXT NOT NULL,
    label       TEXT NOT NULL,
    description TEXT NOT NULL,
    computer    INTEGER REFERENCES computer (id),
    body        TEXT NOT NULL,
    created     INTEGER NOT NULL,
    modified    INTEGER NOT NULL
);
CREATE INDEX node_label ON node (label) WHERE label <> '';
CREATE INDEX node_type ON node (type);

CREATE TABLE process (
    id              INTEGER PRIMARY KEY REFERENCES node (id),
    kind            TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('created', 'running', 'waiting', 'finished', 'excepted', 'killed')),
    paused          INTEGER NOT NULL DEFAULT 0,
    kill_requested  INTEGER NOT NULL DEFAULT 0,
    plugin          TEXT NOT NULL,
    status          TEXT,
    exit_status     INTEGER,
    exit_message    TEXT,
    job_id          TEXT,
    scheduler_state TEXT,
    work_dir        TEXT,
    checkpoint      TEXT,
    version         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX process_live ON process (id) WHERE state IN ('created', 'running', 'waiting');

CREATE TABLE object (
    digest TEXT PRIMARY KEY,
    size   INTEGER NOT NULL,
    bytes  BLOB -- NULL: a file in the object directory
) WITHOUT ROWID;

CREATE TABLE node_file (
    node       INTEGER NOT NULL REFERENCES node (id),
    path       TEXT NOT NULL,
    digest     TEXT NOT NULL REFERENCES object (digest),
    size       INTEGER NOT NULL,
    executable INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (node, path)
) WITHOUT ROWID;

CREATE TABLE link (
    source INTEGER NOT NULL REFERENCES node (id),
    target INTEGER NOT NULL REFERENCES node (id),
    type   TEXT NOT NULL CHECK (type IN ('input_calc', 'input_work', 'create', 'return', 'call_calc', 'call_work')),
    label  TEXT NOT NULL,
    PRIMARY KEY (source, target, type, label)
) WITHOUT ROWID;
CREATE INDEX link_target ON link (target);
-- The degree rules of AiiDA's links: labels are unique among a process's inputs and among its outputs,
-- a node has one creator, a process one caller.
CREATE UNIQUE INDEX link_input ON link (target, label) WHERE type IN ('input_calc', 'input_work');
CREATE UNIQUE INDEX link_output ON link (source, label) WHERE type IN ('create', 'return');
CREATE UNIQUE INDEX link_creator ON link (target) WHERE type = 'create';
CREATE UNIQUE INDEX link_caller ON link (target) WHERE type IN ('call_calc', 'call_work');

CREATE TABLE log (
    id      INTEGER PRIMARY KEY,
    process INTEGER NOT NULL REFERENCES process (id),
    time    INTEGER NOT NULL,
    level   TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX log_process ON log (process);

CREATE TABLE node_group (
    id          INTEGER PRIMARY KEY,
    uuid        TEXT NOT NULL UNIQUE,
    label       TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created     INTEGER NOT NULL
);
CREATE TABLE group_member (
    node_group INTEGER NOT NULL REFERENCES node_group (id),
    node       INTEGER NOT NULL REFERENCES node (id),
    PRIMARY KEY (node_group, node)
) WITHOUT ROWID;

-- A job's place under its computer's limits: taken with the intent to submit, given back with the observation
-- that frees it.
CREATE TABLE ticket (
    process  INTEGER PRIMARY KEY REFERENCES process (id),
    computer TEXT NOT NULL,
    token    TEXT NOT NULL,
    queued   INTEGER NOT NULL, -- whether it counts as pending
    taken    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX ticket_computer ON ticket (computer, queued);

-- What the gate of a computer saw last, JSON, for `limit show`.
CREATE TABLE gate (
    computer TEXT PRIMARY KEY,
    state    TEXT NOT NULL
) WITHOUT ROWID;

-- Every plugin file that was ever admitted; `active` ones offer their types for new processes.
CREATE TABLE plugin (
    digest    TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    origin    TEXT NOT NULL, -- the path it was admitted from
    bundled   INTEGER NOT NULL,
    active    INTEGER NOT NULL,
    manifest  TEXT NOT NULL,
    facts     TEXT NOT NULL,
    installed INTEGER NOT NULL
) WITHOUT ROWID;
