//! Call trees in the store: callers, the wake-up of callers, and commands that go down a tree.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    database::row::{json, optional_time, parse_kind, parse_state, uuid},
    error::{Error, ErrorKind, Result},
    records::{Child, Level, Live, NodeId, Orphan},
};
use ferry_engine_core::scheduler::Submission;

/// The caller of a process, and the name of the call. A second process under the same call is refused with
/// `Exists`, so that a repeated step can't launch its children twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The calling process.
    pub process: NodeId,
    /// The child's name among its calls.
    pub call: String,
}

/// Expands to the SQL condition that a process is live, in the form of the index of live processes. A list of
/// three constants would cost a temporary table in each statement.
macro_rules! lives {
    () => {
        "(state = 'created' OR state = 'running' OR state = 'waiting')"
    };
}
pub(crate) use lives;

/// The query for live processes. A workflow that no child has woken since its last step is at rest, whatever its
/// timer says.
pub(crate) const LIVE: &str = concat!(
    "SELECT id, root, wake, kind,
         kill_requested = 0 AND (paused OR (state = 'waiting' AND kind IN ('workchain', 'workfunction') AND woken = noticed)),
         since
     FROM process WHERE ",
    lives!(),
    " ORDER BY id"
);

pub(crate) fn live(row: &Row<'_>) -> rusqlite::Result<Live> {
    let id = NodeId(row.get(0)?);
    Ok(Live {
        id,
        root: row.get::<_, Option<i64>>(1)?.map_or(id, NodeId),
        wake: optional_time(row, 2)?,
        kind: parse_kind(&row.get::<_, String>(3)?),
        at_rest: row.get(4)?,
        since: optional_time(row, 5)?,
    })
}

pub(crate) const CHILDREN: &str = "SELECT p.id, n.uuid, p.call, p.state, p.exit_status, p.exit_message
     FROM process p JOIN node n ON n.id = p.id WHERE p.caller = ?1 ORDER BY p.id";

pub(crate) const CHILD: &str = "SELECT p.id, n.uuid, p.call, p.state, p.exit_status, p.exit_message
     FROM process p JOIN node n ON n.id = p.id WHERE p.caller = ?1 AND p.call = ?2";

pub(crate) fn child(row: &Row<'_>) -> rusqlite::Result<Child> {
    Ok(Child {
        id: NodeId(row.get(0)?),
        uuid: uuid(row, 1)?,
        call: row.get::<_, Option<String>>(2)?.unwrap_or_default(),
        state: parse_state(&row.get::<_, String>(3)?),
        exit_status: row.get(4)?,
        exit_message: row.get(5)?,
    })
}

/// The SQL of a call tree. It includes ended processes, since what they called may still be live.
const TREE: &str = "WITH RECURSIVE tree (id) AS (
         SELECT ?1 UNION ALL SELECT p.id FROM process p JOIN tree ON p.caller = tree.id
     )";

pub(crate) const LIVE_TREE: &str = concat!(
    "WITH RECURSIVE tree (id) AS (
         SELECT ?1 UNION ALL SELECT p.id FROM process p JOIN tree ON p.caller = tree.id
     )
     SELECT id FROM process WHERE id IN tree AND ",
    lives!(),
    " ORDER BY id"
);

pub(crate) const ORPHANS: &str =
    "SELECT process, computer, job_id, submission, error FROM orphan ORDER BY since, process";

pub(crate) fn orphan(row: &Row<'_>) -> rusqlite::Result<Orphan> {
    Ok(Orphan {
        process: NodeId(row.get(0)?),
        computer: row.get(1)?,
        job_id: row.get(2)?,
        submission: json(row, 3)?,
        error: row.get(4)?,
    })
}

/// Records the caller of a new process. Requests to the caller (kill, pause) apply to the new process too, since
/// their transaction could not see it.
pub(crate) fn called(db: &Connection, child: NodeId, caller: &Caller) -> Result<()> {
    let changed = db
        .prepare_cached(
            "UPDATE process SET caller = ?2, call = ?3, root = c.root, kill_requested = c.kill_requested,
                 paused = c.paused
             FROM (SELECT root, kill_requested, paused FROM process WHERE id = ?2) AS c WHERE process.id = ?1",
        )?
        .execute(params![child.0, caller.process.0, caller.call])
        .map_err(|error| match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => {
                Error::new(ErrorKind::Exists, "launch child")
                    .message("it has launched another process under this call")
                    .with("call", &caller.call)
            }
            _ => error.into(),
        })?;
    if changed == 0 {
        return Err(Error::new(ErrorKind::NotFound, "launch child").with("caller", caller.process));
    }
    Ok(())
}

/// Wakes the caller of a process that has ended, in the same transaction.
pub(crate) fn ended(db: &Connection, process: NodeId) -> Result<()> {
    db.prepare_cached(
        "UPDATE process SET woken = woken + 1 WHERE id = (SELECT caller FROM process WHERE id = ?1)",
    )?
    .execute([process.0])?;
    Ok(())
}

pub(crate) fn kill(db: &Connection, top: NodeId, force: bool, now: i64) -> Result<()> {
    touch(db, top, "kill_requested = 0", now)?;
    db.prepare_cached(&format!(
        "{TREE} UPDATE process SET kill_requested = max(kill_requested, ?2) WHERE id IN tree AND {}",
        lives!()
    ))?
    .execute(params![top.0, if force { 2 } else { 1 }])?;
    take_down(db, top, if force { "kill requested, by force" } else { "kill requested" }, "1", now)
}

/// Adds a log line for a request to a process, if it is live and the request changes anything. Each further kill
/// request counts as a change, since it is a further try.
fn take_down(db: &Connection, top: NodeId, what: &str, is_new: &str, now: i64) -> Result<()> {
    db.prepare_cached(&format!(
        "INSERT INTO log (process, time, level, message) SELECT id, ?2, ?3, ?4 FROM process WHERE id = ?1 AND {} AND {is_new}",
        lives!()
    ))?
    .execute(params![top.0, now, Level::Report.as_str(), what])?;
    Ok(())
}

/// Updates the modification time of the live processes of a tree that a request changes.
fn touch(db: &Connection, top: NodeId, whose: &str, now: i64) -> Result<()> {
    db.prepare_cached(&format!(
        "{TREE} UPDATE node SET modified = ?2 WHERE id IN (SELECT id FROM process WHERE id IN tree AND {} AND {whose})",
        lives!()
    ))?
    .execute(params![top.0, now])?;
    Ok(())
}

/// Pauses a tree or lets it continue. Like a kill, this is a request beside the row: a step that is running is
/// committed, and the process then pauses.
pub(crate) fn pause(db: &Connection, top: NodeId, paused: bool, now: i64) -> Result<()> {
    let (what, is_new) =
        if paused { ("pause requested", "paused = 0") } else { ("play requested", "paused = 1") };
    touch(db, top, is_new, now)?;
    take_down(db, top, what, is_new, now)?;
    db.prepare_cached(&format!(
        "{TREE} UPDATE process SET paused = ?2,
             attempts = CASE WHEN ?2 OR attempts IS NULL THEN attempts
                 ELSE json_set(attempts, '$.attempt', 0, '$.next_try', NULL) END
         WHERE id IN tree AND {} AND paused <> ?2",
        lives!()
    ))?
    .execute(params![top.0, paused])?;
    Ok(())
}

/// Outputs that the engine itself makes in an earlier step; they stay. Data returned by a workflow stays too,
/// since a step that excepts returns nothing.
const KEPT_OUTPUTS: &str = "('remote_folder', 'remote_stash', 'retrieved')";

pub(crate) fn resume(db: &Connection, process: NodeId) -> Result<()> {
    let rule = |message: &str, help: &str| {
        Err(Error::new(ErrorKind::Rule, "resume").message(message).with("process", process).help(help))
    };
    let row: Option<(String, Option<String>)> = db
        .prepare_cached(
            "SELECT p.state, c.state FROM process p LEFT JOIN process c ON c.id = p.caller WHERE p.id = ?1",
        )?
        .query_row([process.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match row {
        None => return Err(Error::new(ErrorKind::NotFound, "resume").with("process", process)),
        Some((state, _)) if state != "excepted" => {
            return rule(
                &format!("it is {state}; only an excepted process can be resumed"),
                "submit a failed one again; `ferry process play` continues a paused one",
            );
        }
        Some((_, Some(caller))) if caller != "excepted" => {
            return rule(
                &format!("the process that called it is {caller} and has already handled its end"),
                "resume its caller, if that is excepted, or submit it again on its own",
            );
        }
        Some(_) => {}
    }
    db.prepare_cached(&format!(
        "DELETE FROM link WHERE source = ?1 AND type = 'create' AND label NOT IN {KEPT_OUTPUTS}"
    ))?
    .execute([process.0])?;
    db.prepare_cached(
        "UPDATE process SET state = CASE WHEN checkpoint IS NULL THEN 'created' ELSE 'running' END,
             paused = 0, kill_requested = 0, status = NULL, exit_status = NULL, exit_message = NULL, crashes = 0,
             version = version + 1,
             attempts = CASE WHEN attempts IS NULL THEN NULL
                 ELSE json_set(attempts, '$.attempt', 0, '$.next_try', NULL, '$.deaths', 0) END
         WHERE id = ?1",
    )?
    .execute([process.0])?;
    Ok(())
}

pub(crate) fn orphaned(
    db: &Connection,
    process: NodeId,
    computer: &str,
    job_id: Option<&str>,
    submission: &Submission,
    now: i64,
) -> Result<()> {
    let json = serde_json::to_string(submission)
        .map_err(|source| Error::new(ErrorKind::Rule, "store orphan").source(source))?;
    db.prepare_cached(
        "INSERT OR REPLACE INTO orphan (process, computer, token, job_id, submission, since)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![process.0, computer, submission.token, job_id, json, now])?;
    Ok(())
}

pub(crate) fn reaped(db: &Connection, process: NodeId, error: Option<&str>) -> Result<()> {
    match error {
        None => db.prepare_cached("DELETE FROM orphan WHERE process = ?1")?.execute([process.0])?,
        Some(error) => db
            .prepare_cached("UPDATE orphan SET error = ?2 WHERE process = ?1")?
            .execute(params![process.0, error])?,
    };
    Ok(())
}
