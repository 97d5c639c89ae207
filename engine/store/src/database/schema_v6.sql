-- Format 6: what jobs take of a machine that they share, and what that machine has.

-- A ticket of before is that of one core: so much each job takes at least.
ALTER TABLE ticket ADD COLUMN cores INTEGER NOT NULL DEFAULT 1;
ALTER TABLE ticket ADD COLUMN memory_kb INTEGER NOT NULL DEFAULT 0; -- 0: it did not ask
ALTER TABLE ticket ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
-- Which GPUs it was given: their names, comma-separated.
ALTER TABLE ticket ADD COLUMN devices TEXT NOT NULL DEFAULT '';

-- What a host says of its machine, by the address that it was asked at. JSON: cores, memory_kb, devices. Without a
-- row nothing bounds its jobs: a scheduler counts them itself, or nobody was asked yet.
CREATE TABLE machine (
    address TEXT PRIMARY KEY,
    machine TEXT NOT NULL
) WITHOUT ROWID;
