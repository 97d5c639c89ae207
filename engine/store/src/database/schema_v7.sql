-- Format 7: failed attempts, and the time since which a process waits, are columns and no part of its checkpoint.

-- Failed attempts at the present step, JSON. NULL: none.
ALTER TABLE process ADD COLUMN attempts TEXT;
-- Since when it waits for its timer, in microseconds.
ALTER TABLE process ADD COLUMN since INTEGER;

UPDATE process SET since = CAST(round(unixepoch(checkpoint ->> '$.waiting.since', 'subsec') * 1000000) AS INTEGER)
WHERE wake IS NOT NULL AND CASE WHEN json_valid(checkpoint) THEN checkpoint ->> '$.waiting.since' IS NOT NULL ELSE 0 END;

UPDATE process SET attempts = json_object(
    'attempt', coalesce(checkpoint ->> '$.attempt', 0),
    'next_try', checkpoint ->> '$.next_try',
    'planned', json(checkpoint -> '$.planned'),
    'last_error', checkpoint ->> '$.last_error',
    'deaths', coalesce(checkpoint ->> '$.deaths', 0),
    'host_failures', coalesce(checkpoint ->> '$.host_failures', 0)
)
WHERE CASE WHEN json_valid(checkpoint) THEN
    coalesce(checkpoint ->> '$.attempt', 0) > 0 OR checkpoint ->> '$.next_try' IS NOT NULL
        OR checkpoint ->> '$.last_error' IS NOT NULL OR coalesce(checkpoint ->> '$.deaths', 0) > 0
        OR coalesce(checkpoint ->> '$.host_failures', 0) > 0
    ELSE 0 END;

-- A function had a checkpoint for its attempts alone.
UPDATE process SET checkpoint = CASE kind WHEN 'calcfunction' THEN NULL ELSE json_remove(
    checkpoint, '$.attempt', '$.next_try', '$.planned', '$.last_error', '$.deaths', '$.host_failures', '$.waiting.since'
) END
WHERE CASE WHEN json_valid(checkpoint) THEN 1 ELSE 0 END;
