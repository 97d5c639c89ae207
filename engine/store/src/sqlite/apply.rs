//! Writing changes as rows, one batch at a time, inside a transaction that the caller begins and ends.

use rusqlite::{Connection, params};

use crate::{
    change::Change,
    error::{Error, ErrorKind, Result},
    objects::repository::Objects,
    records::NodeId,
    tables::{
        cache, cleaning, comments, computers, delete, groups, hosts,
        links::{self, Batch, NewLink},
        nodes, plugins, processes, queues,
        tickets::{self, Wish},
        tree,
    },
};

/// Applies one batch inside a transaction. Returns the numbers of the nodes that it created, in order.
pub(crate) fn apply(db: &Connection, objects: &Objects, changes: &[Change]) -> Result<Vec<NodeId>> {
    let mut made = Vec::new();
    let mut batch = Batch::default();
    let now = ferry_engine_core::clock::now().as_microsecond();
    for change in changes {
        match change {
            Change::Data(data) => made.push(batch.made(nodes::insert_data(db, objects, data, now)?)),
            Change::Process(process) => made.push(batch.made(processes::insert(db, process, now)?)),
            Change::Link { source, target, link_type, label } => {
                links::insert(db, &batch, &NewLink { source, target, link_type: *link_type, label })?;
            }
            Change::Update(process) => {
                processes::update(db, process, now)?;
                if process.state.is_terminal() {
                    batch.ended(process.id);
                }
            }
            Change::Describe { node, label, description } => {
                nodes::describe(db, *node, label.as_deref(), description.as_deref(), now)?;
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
            Change::CacheHash { process, hash } => cache::write_hash(db, nodes::id_of(db, process)?, hash)?,
            Change::TakenFrom { process, source } => cache::write_taken(db, *process, source)?,
            Change::Reusable { process, reusable } => cache::write_reusable(db, *process, *reusable)?,
            Change::Files { process, files } => processes::add_files(db, objects, &batch, *process, files)?,
            Change::DropFiles { process, paths } => processes::drop_files(db, &batch, *process, paths)?,
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
            Change::Computer { config, replace } => computers::write(db, config, *replace, now)?,
            Change::Group { label, description, if_missing } => {
                groups::make(db, label, description, *if_missing, now)?;
            }
            Change::Member { group, node } => groups::insert_member(db, group, node)?,
            Change::Plugin(plugin) => plugins::insert(db, plugin)?,
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
