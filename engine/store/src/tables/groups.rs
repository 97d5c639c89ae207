//! The changes of groups.

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, ErrorKind, Result},
    records::NodeId,
    tables::nodes,
};

use uuid::Uuid;

/// A change of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupChange {
    /// A new group. Fails with `Exists`, unless `if_missing`.
    Make {
        /// Its description, for people.
        description: String,
        /// True if it may exist already.
        if_missing: bool,
    },
    /// Nodes to add; those that are in it stay. Fails with `NotFound` for a node that does not exist.
    Add(Vec<NodeId>),
    /// Nodes to remove; those that are not in it are left alone.
    Remove(Vec<NodeId>),
    /// A new label. Fails with `Exists` if another group has it.
    Relabel(String),
    /// A new description.
    Describe(String),
    /// Deletion of the group. Its nodes stay.
    Delete,
}

/// Changes the group of this label.
///
/// # Errors
/// Fails with `NotFound` if the group does not exist, or as each change does.
pub(crate) fn write(db: &Connection, label: &str, change: &GroupChange, now: i64) -> Result<()> {
    if let GroupChange::Make { description, if_missing } = change {
        return make(db, label, description, *if_missing, now);
    }
    let group = id(db, label)?;
    match change {
        GroupChange::Make { .. } => {}
        GroupChange::Add(nodes) => nodes.iter().try_for_each(|node| add(db, group, *node))?,
        GroupChange::Remove(nodes) => {
            let mut statement =
                db.prepare_cached("DELETE FROM group_member WHERE node_group = ?1 AND node = ?2")?;
            nodes.iter().try_for_each(|node| statement.execute([group, node.0]).map(drop))?;
        }
        GroupChange::Relabel(new) => {
            let taken = id(db, new).is_ok_and(|other| other != group);
            if taken {
                return Err(Error::new(ErrorKind::Exists, "group relabel")
                    .message(format!("a group called `{new}` already exists")));
            }
            db.execute("UPDATE node_group SET label = ?2 WHERE id = ?1", params![group, new])?;
        }
        GroupChange::Describe(text) => {
            db.execute("UPDATE node_group SET description = ?2 WHERE id = ?1", params![group, text])?;
        }
        GroupChange::Delete => {
            db.execute("DELETE FROM group_member WHERE node_group = ?1", [group])?;
            db.execute("DELETE FROM node_group WHERE id = ?1", [group])?;
        }
    }
    Ok(())
}

/// Creates a group.
///
/// # Errors
/// Fails with `Exists`, unless `if_missing`.
pub(crate) fn make(
    db: &Connection,
    label: &str,
    description: &str,
    if_missing: bool,
    now: i64,
) -> Result<()> {
    let made = db.execute(
        "INSERT OR IGNORE INTO node_group (uuid, label, description, created) VALUES (?1, ?2, ?3, ?4)",
        params![ferry_engine_core::ids::fresh().to_string(), label, description, now],
    )?;
    if made == 0 && !if_missing {
        return Err(Error::new(ErrorKind::Exists, "group create")
            .message(format!("a group called `{label}` already exists")));
    }
    Ok(())
}

/// Returns the number of the group of this label.
///
/// # Errors
/// Fails with `NotFound` if it does not exist.
pub(crate) fn id(db: &Connection, label: &str) -> Result<i64> {
    db.prepare_cached("SELECT id FROM node_group WHERE label = ?1")?
        .query_row([label], |row| row.get(0))
        .optional()?
        .ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "group").message(format!("no group is called `{label}`"))
        })
}

fn add(db: &Connection, group: i64, node: NodeId) -> Result<()> {
    let there = db.prepare_cached("SELECT 1 FROM node WHERE id = ?1")?.exists([node.0])?;
    if !there {
        return Err(
            Error::new(ErrorKind::NotFound, "group add").message(format!("no node has the id {node}"))
        );
    }
    db.prepare_cached("INSERT OR IGNORE INTO group_member (node_group, node) VALUES (?1, ?2)")?
        .execute([group, node.0])?;
    Ok(())
}

pub(crate) fn insert_member(db: &Connection, group: &str, node: &Uuid) -> Result<()> {
    let (node, group) = (nodes::id_of(db, node)?, id(db, group)?);
    db.execute("INSERT OR IGNORE INTO group_member (node_group, node) VALUES (?1, ?2)", [group, node])?;
    Ok(())
}
