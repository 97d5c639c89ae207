//! Writing changes as rows, one batch at a time, inside a transaction that the caller begins and ends.

use ferry_plugin_proto::Value;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::{
    change::{Change, FileContent, NewData, NewProcess},
    error::{Error, ErrorKind, Result},
    objects::repository::{Content, Objects},
    records::{NodeId, NodeKind, PluginRow, Process},
    tables::{
        cache, cleaning, comments, delete, groups, hosts,
        links::{self, Batch, NewLink},
        queues,
        tickets::{self, Wish},
        tree,
    },
};
use ferry_engine_core::{computer::Computer, process::State};

/// Applies one batch inside a transaction. Returns the numbers of the nodes that it created, in order.
pub(crate) fn apply(db: &Connection, objects: &Objects, changes: &[Change]) -> Result<Vec<NodeId>> {
    let mut made = Vec::new();
    let mut batch = Batch::default();
    let now = ferry_engine_core::clock::now().as_microsecond();
    for change in changes {
        match change {
            Change::Data(data) => made.push(batch.made(insert_data(db, objects, data, now)?)),
            Change::Process(process) => made.push(batch.made(insert_process(db, process, now)?)),
            Change::Link { source, target, link_type, label } => {
                links::insert(db, &batch, &NewLink { source, target, link_type: *link_type, label })?;
            }
            Change::Update(process) => {
                update(db, process, now)?;
                if process.state.is_terminal() {
                    batch.ended(process.id);
                }
            }
            Change::Describe { node, label, description } => {
                describe(db, *node, label.as_deref(), description.as_deref(), now)?;
            }
            Change::Comment(change) => comments::write(db, change, now)?,
            Change::Delete(deletion) => delete::delete(db, deletion)?,
            Change::InGroup { group, change } => groups::write(db, group, change, now)?,
            Change::Observed { process, status, scheduler_state } => {
                db.prepare_cached(concat!(
                    "UPDATE process SET status = ?2, scheduler_state = ?3 WHERE id = ?1 AND ",
                    tree::lives!()
                ))?
                .execute(params![process.0, status, scheduler_state])?;
            }
            Change::CacheHash { process, hash } => cache::write_hash(db, node_id(db, process)?, hash)?,
            Change::TakenFrom { process, source } => cache::write_taken(db, *process, source)?,
            Change::Reusable { process, reusable } => cache::write_reusable(db, *process, *reusable)?,
            Change::Files { process, files } => process_files(db, objects, &batch, *process, files)?,
            Change::DropFiles { process, paths } => drop_files(db, &batch, *process, paths)?,
            Change::Log { process, level, message } => {
                db.prepare_cached("INSERT INTO log (process, time, level, message) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![process.0, now, level.as_str(), message])?;
            }
            Change::Crashed(process) => {
                db.prepare_cached("UPDATE process SET crashes = crashes + 1 WHERE id = ?1")?
                    .execute([process.0])?;
            }
            Change::RequestKill { process, force } => tree::kill(db, *process, *force, now)?,
            Change::Pause { process, paused } => tree::pause(db, *process, *paused, now)?,
            Change::Resume(process) => tree::resume(db, *process)?,
            Change::Orphan { process, computer, job_id, submission } => {
                tree::orphaned(db, *process, computer, job_id.as_deref(), submission, now)?;
            }
            Change::Reaped { process, error } => tree::reaped(db, *process, error.as_deref())?,
            Change::Clean { process, below: true } => cleaning::want_below(db, *process, now)?,
            Change::Clean { process, below: false } => cleaning::want(db, *process, now)?,
            Change::Unclean(process) => cleaning::forget(db, *process)?,
            Change::Cleaned { process, error } => cleaning::tried(db, *process, error.as_deref(), now)?,
            Change::TakeTicket { process, computer, token, bounds, demand } => {
                tickets::take(
                    db,
                    &Wish { process: *process, computer, token, bounds: *bounds, demand },
                    now,
                )?;
            }
            Change::TicketQueued { process, queued } => {
                db.prepare_cached("UPDATE ticket SET queued = ?2 WHERE process = ?1")?
                    .execute(params![process.0, queued])?;
            }
            Change::DropTicket(process) => {
                db.prepare_cached("DELETE FROM ticket WHERE process = ?1")?.execute([process.0])?;
            }
            Change::Gate { computer, state } => {
                let json = serde_json::to_string(state)
                    .map_err(|source| Error::new(ErrorKind::Rule, "store gate").source(source))?;
                db.execute(
                    "INSERT OR REPLACE INTO gate (computer, state) VALUES (?1, ?2)",
                    [computer, &json],
                )?;
            }
            Change::Host { computer, change } => hosts::write(db, computer, change)?,
            Change::Queue { address, key } => queues::write(db, address, key)?,
            Change::Machine { address, machine } => queues::write_machine(db, address, machine)?,
            Change::Computer { config, replace } => write_computer(db, config, *replace, now)?,
            Change::Group { label, description, if_missing } => {
                groups::make(db, label, description, *if_missing, now)?;
            }
            Change::Member { group, node } => insert_member(db, group, node)?,
            Change::Plugin(plugin) => insert_plugin(db, plugin)?,
            Change::DeactivatePlugin { name, bundled } => {
                db.execute(
                    "UPDATE plugin SET active = 0 WHERE name = ?1 AND bundled = ?2",
                    params![name, bundled],
                )?;
            }
            Change::Setting { key, value: Some(value) } => {
                db.execute("INSERT OR REPLACE INTO setting (key, value) VALUES (?1, ?2)", [key, value])?;
            }
            Change::Setting { key, value: None } => {
                db.execute("DELETE FROM setting WHERE key = ?1", [key])?;
            }
        }
    }
    Ok(made)
}

struct NodeRow<'a> {
    uuid: &'a Uuid,
    kind: NodeKind,
    node_type: &'a str,
    label: &'a str,
    description: &'a str,
    computer: Option<&'a str>,
    body: &'a Value,
}

fn insert_node(db: &Connection, row: &NodeRow<'_>, now: i64) -> Result<NodeId> {
    let computer = row.computer.map(|label| computer_id(db, label)).transpose()?;
    let kind = if row.kind == NodeKind::Data { "data" } else { "process" };
    let body = serde_json::to_string(row.body)
        .map_err(|source| Error::new(ErrorKind::Rule, "store node").source(source))?;
    db.prepare_cached(
        "INSERT INTO node (uuid, kind, type, label, description, computer, body, created, modified)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
    )?
    .execute(params![
        row.uuid.to_string(),
        kind,
        row.node_type,
        row.label,
        row.description,
        computer,
        body,
        now
    ])?;
    Ok(NodeId(db.last_insert_rowid()))
}

fn insert_data(db: &Connection, objects: &Objects, data: &NewData, now: i64) -> Result<NodeId> {
    let row = NodeRow {
        uuid: &data.uuid,
        kind: NodeKind::Data,
        node_type: &data.data_type,
        label: &data.label,
        description: &data.description,
        computer: data.computer.as_deref(),
        body: &data.body,
    };
    let id = insert_node(db, &row, now)?;
    insert_files(db, objects, id, &data.files)?;
    Ok(id)
}

fn insert_process(db: &Connection, process: &NewProcess, now: i64) -> Result<NodeId> {
    let row = NodeRow {
        uuid: &process.uuid,
        kind: NodeKind::Process,
        node_type: &process.process_type,
        label: &process.label,
        description: &process.description,
        computer: process.computer.as_deref(),
        body: &process.body,
    };
    let id = insert_node(db, &row, now)?;
    db.prepare_cached(
        "INSERT INTO process (id, kind, state, plugin, root) VALUES (?1, ?2, 'created', ?3, ?1)",
    )?
    .execute(params![id.0, process.kind.as_str(), process.plugin])?;
    if let Some(caller) = &process.caller {
        tree::called(db, id, caller)?;
    }
    Ok(id)
}

fn insert_files(db: &Connection, objects: &Objects, node: NodeId, files: &[FileContent]) -> Result<()> {
    for file in files {
        let (digest, size) = file.content.identity();
        let bytes = match &file.content {
            Content::Inline(bytes) => Some(bytes),
            Content::Object { .. } if objects.has(&digest, size) || is_packed(db, &digest)? => None,
            Content::Object { .. } => {
                return Err(Error::new(ErrorKind::Rule, "store node")
                    .message("a file is not in the object repository")
                    .with("file", &file.path)
                    .with("digest", digest));
            }
        };
        db.prepare_cached("INSERT OR IGNORE INTO object (digest, size, bytes) VALUES (?1, ?2, ?3)")?
            .execute(params![digest, size as i64, bytes])?;
        db.prepare_cached(
            "INSERT OR REPLACE INTO node_file (node, path, digest, size, executable) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![node.0, file.path, digest, size as i64, file.executable])?;
    }
    Ok(())
}

fn is_packed(db: &Connection, digest: &str) -> Result<bool> {
    Ok(db.prepare_cached("SELECT 1 FROM object WHERE digest = ?1 AND pack IS NOT NULL")?.exists([digest])?)
}

fn node_id(db: &Connection, uuid: &Uuid) -> Result<i64> {
    db.prepare_cached("SELECT id FROM node WHERE uuid = ?1")?
        .query_row([uuid.to_string()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "store node").message(format!("no node {uuid}")))
}

fn update(db: &Connection, process: &Process, now: i64) -> Result<()> {
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
            process.paused,
            process.status,
            process.exit_status,
            process.exit_message,
            process.job_id,
            process.scheduler_state,
            process.work_dir,
            process.checkpoint,
            process.wake.filter(|_| !process.state.is_terminal()).map(|wake| wake.as_microsecond()),
            process.woken,
            process.state.is_terminal(),
            process.crashes,
            process.since.map(|since| since.as_microsecond()),
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

fn computer_id(db: &Connection, label: &str) -> Result<i64> {
    db.prepare_cached("SELECT id FROM computer WHERE label = ?1")?
        .query_row([label], |row| row.get(0))
        .optional()?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "computer").message(format!("no computer is called `{label}`"))
        })
}

fn write_computer(db: &Connection, config: &Computer, replace: bool, now: i64) -> Result<()> {
    let existing = computer_id(db, &config.label).ok();
    let json = serde_json::to_string(config)
        .map_err(|source| Error::new(ErrorKind::Rule, "store computer").source(source))?;
    match (existing, replace) {
        (Some(_), false) => Err(Error::new(ErrorKind::Exists, "computer setup")
            .message(format!("a computer called `{}` already exists", config.label))
            .help("choose another label, or change it with `ferry computer configure`")),
        (None, true) => Err(Error::new(ErrorKind::NotFound, "computer configure")
            .message(format!("no computer is called `{}`", config.label))),
        (Some(id), true) => {
            db.execute(
                "UPDATE computer SET config = ?2, modified = ?3 WHERE id = ?1",
                params![id, json, now],
            )?;
            Ok(())
        }
        (None, false) => {
            db.execute(
                "INSERT INTO computer (uuid, label, config, created, modified) VALUES (?1, ?2, ?3, ?4, ?4)",
                params![ferry_engine_core::ids::fresh().to_string(), config.label, json, now],
            )?;
            Ok(())
        }
    }
}

fn insert_member(db: &Connection, group: &str, node: &Uuid) -> Result<()> {
    let (node, group) = (node_id(db, node)?, groups::id(db, group)?);
    db.execute("INSERT OR IGNORE INTO group_member (node_group, node) VALUES (?1, ?2)", [group, node])?;
    Ok(())
}

fn describe(
    db: &Connection,
    node: NodeId,
    label: Option<&str>,
    description: Option<&str>,
    now: i64,
) -> Result<()> {
    let sql =
        "UPDATE node SET label = coalesce(?2, label), description = coalesce(?3, description), modified = ?4
               WHERE id = ?1";
    match db.execute(sql, params![node.0, label, description, now])? {
        0 => {
            Err(Error::new(ErrorKind::NotFound, "describe node")
                .message(format!("no node has the id {node}")))
        }
        _ => Ok(()),
    }
}

/// Stores files uploaded for a process that has not ended; a data node gets all its files when it is stored.
fn process_files(
    db: &Connection,
    objects: &Objects,
    batch: &Batch,
    process: NodeId,
    files: &[FileContent],
) -> Result<()> {
    check_open(db, batch, process)?;
    insert_files(db, objects, process, files)
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

fn drop_files(db: &Connection, batch: &Batch, process: NodeId, paths: &[String]) -> Result<()> {
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

fn insert_plugin(db: &Connection, plugin: &PluginRow) -> Result<()> {
    let manifest = serde_json::to_string(&*plugin.manifest)
        .map_err(|source| Error::new(ErrorKind::Rule, "store plugin").source(source))?;
    if plugin.active {
        db.execute(
            "UPDATE plugin SET active = 0 WHERE name = ?1 AND bundled = ?2 AND digest <> ?3",
            params![plugin.name, plugin.bundled, plugin.digest],
        )?;
    }
    db.execute(
        "INSERT OR REPLACE INTO plugin
             (digest, name, version, origin, bundled, active, manifest, facts, installed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            plugin.digest,
            plugin.name,
            plugin.version,
            plugin.origin,
            plugin.bundled,
            plugin.active,
            manifest,
            plugin.facts.to_string(),
            plugin.installed.as_microsecond()
        ],
    )?;
    Ok(())
}
