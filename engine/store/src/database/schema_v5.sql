-- Format 5: which queue a computer's jobs go to, as its host says, and what its listings complain of.

-- By the address that it was asked at (`Computer::address`): computers with one address share a queue, and so do
-- addresses with one queue and user.
CREATE TABLE queue (
    address TEXT PRIMARY KEY,
    queue   TEXT NOT NULL, -- Slurm's ClusterName, or the id of the host's boot
    uid     INTEGER NOT NULL
) WITHOUT ROWID;

-- What the scheduler's commands complained of beside their last answer; NULL: nothing.
ALTER TABLE host ADD COLUMN notice TEXT;
