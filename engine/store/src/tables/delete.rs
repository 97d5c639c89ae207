//! Deletion. It leaves no node with a false provenance: it also deletes the data made from a deleted node, and the
//! process that made, returned or called one. AiiDA's rules (`graph_traversal_rules.py`):
//!
//! | link | forward | backward |
//! |---|---|---|
//! | `input_calc`, `input_work` | always | never |
//! | `create` | unless told otherwise | always |
//! | `return` | never | always |
//! | `call_calc`, `call_work` | unless told otherwise | always |
//!
//! The nodes to delete are found twice: first for the user to examine, then in the transaction that deletes them.
//! The latter fails if more would be deleted than was examined.

use std::collections::BTreeSet;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::{
    database::row::query_all,
    error::{Error, ErrorKind, Result},
    records::{LinkType, NodeId},
};

/// The links that deletion follows, where there is a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// True to follow links from a calculation to its outputs.
    pub create_forward: bool,
    /// True to follow links from a workflow to the calculations that it called.
    pub call_calc_forward: bool,
    /// True to follow links from a workflow to the workflows that it called.
    pub call_work_forward: bool,
}

impl Default for Follow {
    fn default() -> Self {
        Follow { create_forward: true, call_calc_forward: true, call_work_forward: true }
    }
}

impl Follow {
    fn forward(self, link: LinkType) -> bool {
        match link {
            LinkType::InputCalc | LinkType::InputWork => true,
            LinkType::Create => self.create_forward,
            LinkType::Return => false,
            LinkType::CallCalc => self.call_calc_forward,
            LinkType::CallWork => self.call_work_forward,
        }
    }

    fn backward(link: LinkType) -> bool {
        !matches!(link, LinkType::InputCalc | LinkType::InputWork)
    }
}

/// The nodes to delete.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Deletion {
    /// Nodes where it begins.
    pub roots: Vec<NodeId>,
    /// Links that it follows.
    pub follow: Follow,
    /// All nodes to be deleted, as they were examined.
    pub seen: Vec<NodeId>,
}

/// Returns everything that is deleted with these nodes, by number.
pub(crate) fn closure(db: &Connection, roots: &[NodeId], follow: Follow) -> rusqlite::Result<Vec<NodeId>> {
    let mut found: BTreeSet<i64> = roots.iter().map(|root| root.0).collect();
    let mut open: Vec<i64> = found.iter().copied().collect();
    while let Some(node) = open.pop() {
        let next = |wanted: &dyn Fn(LinkType) -> bool, sql: &str| {
            let ends = query_all(db, sql, [node], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
            let passes = |word: &str| word.parse().is_ok_and(wanted);
            Ok::<Vec<i64>, rusqlite::Error>(
                ends.into_iter().filter(|(_, word)| passes(word)).map(|(end, _)| end).collect(),
            )
        };
        let forward = next(&|link| follow.forward(link), "SELECT target, type FROM link WHERE source = ?1")?;
        let backward = next(&Follow::backward, "SELECT source, type FROM link WHERE target = ?1")?;
        open.extend(forward.into_iter().chain(backward).filter(|end| found.insert(*end)));
    }
    Ok(found.into_iter().map(NodeId).collect())
}

/// Deletes nodes. Objects that no node names any more are collected by maintenance.
///
/// # Errors
/// Fails with `NotFound` for a node that does not exist, and with `Conflict` if more would be deleted than was
/// examined. Fails with `Rule` for processes that have not ended, or whose jobs are still to be cancelled.
pub(crate) fn delete(db: &Connection, deletion: &Deletion) -> Result<()> {
    for root in &deletion.roots {
        if !db.prepare_cached("SELECT 1 FROM node WHERE id = ?1")?.exists([root.0])? {
            return Err(
                Error::new(ErrorKind::NotFound, "delete").message(format!("no node has the id {root}"))
            );
        }
    }
    let nodes = closure(db, &deletion.roots, deletion.follow)?;
    let seen: BTreeSet<NodeId> = deletion.seen.iter().copied().collect();
    let more = nodes.iter().filter(|node| !seen.contains(node)).count();
    if more > 0 {
        return Err(Error::new(ErrorKind::Conflict, "delete")
            .message(format!("the graph has grown: {more} more nodes would be deleted"))
            .help("check again with `--dry-run` what would be deleted"));
    }
    let ids = serde_json::to_string(&nodes)
        .map_err(|source| Error::new(ErrorKind::Other, "delete").source(source))?;
    refuse(db, &ids, LIVE, "has not ended", "wait for its end, or `ferry process kill` it first")?;
    refuse(db, &ids, ORPHANS, "has a job that is yet to be cancelled", "wait until its computer answers")?;
    STATEMENTS.iter().try_for_each(|sql| db.execute(sql, [&ids]).map(drop))?;
    Ok(())
}

const LIVE: &str = "SELECT id, state FROM process
     WHERE id IN (SELECT value FROM json_each(?1)) AND state IN ('created', 'running', 'waiting') ORDER BY id";
const ORPHANS: &str = "SELECT process, computer FROM orphan WHERE process IN (SELECT value FROM json_each(?1)) ORDER BY process";

/// Fails if a query finds a process.
fn refuse(db: &Connection, ids: &str, sql: &str, why: &str, help: &str) -> Result<()> {
    let found = query_all(db, sql, [ids], |row| {
        Ok(format!("{} ({})", row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
    })?;
    if found.is_empty() {
        return Ok(());
    }
    let some: Vec<_> = found.iter().take(10).map(String::as_str).collect();
    let rest = if found.len() > some.len() { ", ..." } else { "" };
    Err(Error::new(ErrorKind::Rule, "delete")
        .message(format!(
            "nothing was deleted: a process that would be deleted {why}: {}{rest}",
            some.join(", ")
        ))
        .help(help))
}

/// The statements of a deletion, in an order that keeps all references valid. A called process that stays has no
/// caller any more: it becomes the top of its own call tree.
const STATEMENTS: &[&str] = &[
    "WITH RECURSIVE
         gone (id) AS (SELECT value FROM json_each(?1)),
         tree (id, top) AS (
             SELECT p.id, p.id FROM process p WHERE p.caller IN gone AND p.id NOT IN gone
             UNION
             SELECT p.id, tree.top FROM process p JOIN tree ON p.caller = tree.id WHERE p.id NOT IN gone
         )
     UPDATE process SET root = (SELECT top FROM tree WHERE tree.id = process.id)
     WHERE id IN (SELECT id FROM tree)",
    "UPDATE process SET caller = NULL, call = NULL WHERE caller IN (SELECT value FROM json_each(?1))",
    "DELETE FROM link WHERE source IN (SELECT value FROM json_each(?1))",
    "DELETE FROM link WHERE target IN (SELECT value FROM json_each(?1))",
    "DELETE FROM comment WHERE node IN (SELECT value FROM json_each(?1))",
    "DELETE FROM group_member WHERE node IN (SELECT value FROM json_each(?1))",
    "DELETE FROM node_file WHERE node IN (SELECT value FROM json_each(?1))",
    "DELETE FROM log WHERE process IN (SELECT value FROM json_each(?1))",
    "DELETE FROM ticket WHERE process IN (SELECT value FROM json_each(?1))",
    "DELETE FROM process WHERE id IN (SELECT value FROM json_each(?1))",
    "DELETE FROM node WHERE id IN (SELECT value FROM json_each(?1))",
];
