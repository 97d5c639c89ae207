//! Processes: their rows, their changes of state, and the files that they upload.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    database::row::{optional_json, optional_time, parse_kind, parse_state, time, uuid},
    error::{Error, ErrorKind, Result},
    objects::repository::Objects,
    records::{Body, End, FlowRow, JobRow, NodeId, NodeKind, Process, Wishes},
    tables::{
        links::Batch,
        nodes::{self, FileContent, NodeRow},
        tree::{self, Caller},
    },
};
use ferry_engine_core::process::State;
use ferry_plugin_proto::{Kind, Value};

use uuid::Uuid;

/// A process to be stored, in state *created*.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProcess {
    /// Its UUID, chosen by the caller.
    pub uuid: Uuid,
    /// Full name of its type.
    pub process_type: String,
    /// Kind of its type.
    pub kind: Kind,
    /// Its label, for people.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Digest of its plugin.
    pub plugin: String,
    /// Label of its computer.
    pub computer: Option<String>,
    /// Its metadata (options).
    pub body: Value,
    /// The call that created it, if there is one.
    pub caller: Option<Caller>,
}

pub(crate) const SELECT: &str = "SELECT p.id, n.uuid, n.type, p.kind, n.label, n.description, p.state, p.paused,
         p.kill_requested, p.plugin, p.status, p.exit_status, p.exit_message, p.job_id, p.scheduler_state,
         p.work_dir, c.label, p.checkpoint, p.version, n.created, n.modified, p.caller, p.call, p.root, p.wake,
         p.woken, p.crashes, p.since, p.attempts
     FROM process p JOIN node n ON n.id = p.id LEFT JOIN computer c ON c.id = n.computer";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Process> {
    let kind = parse_kind(&row.get::<_, String>(3)?);
    let kill: i64 = row.get(8)?;
    Ok(Process {
        id: NodeId(row.get(0)?),
        uuid: uuid(row, 1)?,
        process_type: row.get(2)?,
        kind,
        label: row.get(4)?,
        description: row.get(5)?,
        state: parse_state(&row.get::<_, String>(6)?),
        wishes: Wishes { paused: row.get(7)?, kill: kill > 0, kill_forced: kill > 1 },
        plugin: row.get(9)?,
        status: row.get(10)?,
        end: End { status: row.get(11)?, message: row.get(12)? },
        version: row.get(18)?,
        created: time(row, 19)?,
        modified: time(row, 20)?,
        caller: row.get::<_, Option<i64>>(21)?.map(NodeId),
        call: row.get(22)?,
        root: NodeId(row.get::<_, Option<i64>>(23)?.map_or_else(|| row.get(0), Ok)?),
        crashes: row.get(26)?,
        attempts: optional_json(row, 28)?.unwrap_or_default(),
        body: body(row, kind)?,
    })
}

fn body(row: &Row<'_>, kind: Kind) -> rusqlite::Result<Body> {
    Ok(match Body::of(kind) {
        Body::Calcjob(new) => Body::Calcjob(JobRow {
            computer: row.get::<_, Option<_>>(16)?.unwrap_or(new.computer),
            job_id: row.get(13)?,
            scheduler_state: row.get(14)?,
            work_dir: row.get(15)?,
            checkpoint: row.get(17)?,
        }),
        Body::Workflow(_) => Body::Workflow(FlowRow {
            wake: optional_time(row, 24)?,
            since: optional_time(row, 27)?,
            woken: row.get(25)?,
            checkpoint: row.get(17)?,
        }),
        Body::Function => Body::Function,
    })
}

pub(crate) fn insert(db: &Connection, process: &NewProcess, now: i64) -> Result<NodeId> {
    let row = NodeRow {
        uuid: &process.uuid,
        kind: NodeKind::Process,
        node_type: &process.process_type,
        label: &process.label,
        description: &process.description,
        computer: process.computer.as_deref(),
        body: &process.body,
    };
    let id = nodes::insert(db, &row, now)?;
    db.prepare_cached(
        "INSERT INTO process (id, kind, state, plugin, root) VALUES (?1, ?2, 'created', ?3, ?1)",
    )?
    .execute(params![id.0, process.kind.as_str(), process.plugin])?;
    if let Some(caller) = &process.caller {
        tree::called(db, id, caller)?;
    }
    Ok(id)
}

pub(crate) fn update(db: &Connection, process: &Process, now: i64) -> Result<()> {
    let old: Option<String> = db
        .prepare_cached("SELECT state FROM process WHERE id = ?1 AND version = ?2")?
        .query_row(params![process.id.0, process.version], |row| row.get(0))
        .optional()?;
    let old = old.as_deref().and_then(State::read);
    if let Some(old) = old.filter(|old| *old != process.state && !old.may_become(process.state)) {
        return Err(Error::new(ErrorKind::Rule, "update process")
            .message(format!("a process that is {} can't become {}", old.as_str(), process.state.as_str()))
            .with("process", process.id));
    }
    let flow = process.flow();
    let is_over = process.state.is_terminal();
    let timer = |time: Option<Timestamp>| time.filter(|_| !is_over).map(Timestamp::as_microsecond);
    let changed = db
        .prepare_cached(concat!(
            "UPDATE process SET state = ?3, paused = iif(?14, 0, max(paused, ?4)), status = ?5,
                 exit_status = ?6, exit_message = ?7, job_id = ?8, scheduler_state = ?9, work_dir = ?10, checkpoint = ?11, version = ?2 + 1,
                 wake = ?12, noticed = ?13, crashes = ?15, since = ?16, attempts = ?17
             WHERE id = ?1 AND version = ?2 AND ",
            tree::lives!()
        ))?
        .execute(params![
            process.id.0,
            process.version,
            process.state.as_str(),
            process.wishes.paused,
            process.status,
            process.end.status,
            process.end.message,
            process.job_id(),
            process.scheduler_state(),
            process.work_dir(),
            process.checkpoint(),
            timer(flow.and_then(|flow| flow.wake)),
            flow.map_or(0, |flow| flow.woken),
            is_over,
            process.crashes,
            timer(flow.and_then(|flow| flow.since)),
            process.attempts.column()?,
        ])?;
    if changed == 0 {
        return Err(Error::new(ErrorKind::Conflict, "update process").with("process", process.id));
    }
    if process.state.is_terminal() {
        tree::ended(db, process.id)?;
    }
    db.prepare_cached("UPDATE node SET modified = ?2 WHERE id = ?1")?.execute(params![process.id.0, now])?;
    Ok(())
}

/// Stores files uploaded for a process that has not ended; a data node gets all its files when it is stored.
pub(crate) fn add_files(
    db: &Connection,
    objects: &Objects,
    batch: &Batch,
    process: NodeId,
    files: &[FileContent],
) -> Result<()> {
    check_open(db, batch, process)?;
    nodes::insert_files(db, objects, process, files)
}

/// Fails unless the node is a process that has not ended: only such a process may change its files.
fn check_open(db: &Connection, batch: &Batch, process: NodeId) -> Result<()> {
    let is_process = db.prepare_cached("SELECT 1 FROM process WHERE id = ?1")?.exists([process.0])?;
    if !is_process || batch.is_sealed(db, process)? {
        return Err(Error::new(ErrorKind::Rule, "store files").message(format!(
            "the files of node {process} can't change any more: it is a data node, or a process \
             that has ended"
        )));
    }
    Ok(())
}

pub(crate) fn drop_files(db: &Connection, batch: &Batch, process: NodeId, paths: &[String]) -> Result<()> {
    check_open(db, batch, process)?;
    for path in paths {
        db.prepare_cached(
            "DELETE FROM node_file
             WHERE node = ?1 AND (path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/')",
        )?
        .execute(params![process.0, path])?;
    }
    Ok(())
}
