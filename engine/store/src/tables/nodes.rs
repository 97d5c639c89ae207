//! Nodes: their rows, and the files of data.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::{
    database::row::{json, time, uuid},
    error::{Error, ErrorKind, Result},
    objects::repository::{Content, Objects},
    records::{Node, NodeId, NodeKind},
    tables::computers,
};
use ferry_plugin_proto::Value;
use uuid::Uuid;

use serde::{Deserialize, Serialize};

/// One file to be stored in a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileContent {
    /// Relative path inside the node.
    pub path: String,
    /// Its bytes.
    pub content: Content,
    /// True if it is executable.
    #[serde(default)]
    pub executable: bool,
}

/// A data node to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewData {
    /// Its UUID, chosen by the caller.
    pub uuid: Uuid,
    /// Its data type.
    pub data_type: String,
    /// Its label, for people.
    pub label: String,
    /// Its description, for people.
    pub description: String,
    /// Its value.
    pub body: Value,
    /// Its files.
    pub files: Vec<FileContent>,
    /// Label of its computer.
    pub computer: Option<String>,
}

pub(crate) const SELECT: &str =
    "SELECT n.id, n.uuid, n.kind, n.type, n.label, n.description, c.label, n.body, n.created, n.modified
     FROM node n LEFT JOIN computer c ON c.id = n.computer";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Node> {
    let kind: String = row.get(2)?;
    Ok(Node {
        id: NodeId(row.get(0)?),
        uuid: uuid(row, 1)?,
        kind: if kind == "data" { NodeKind::Data } else { NodeKind::Process },
        node_type: row.get(3)?,
        label: row.get(4)?,
        description: row.get(5)?,
        computer: row.get(6)?,
        body: json(row, 7)?,
        created: time(row, 8)?,
        modified: time(row, 9)?,
    })
}

pub(crate) struct NodeRow<'a> {
    pub(crate) uuid: &'a Uuid,
    pub(crate) kind: NodeKind,
    pub(crate) node_type: &'a str,
    pub(crate) label: &'a str,
    pub(crate) description: &'a str,
    pub(crate) computer: Option<&'a str>,
    pub(crate) body: &'a Value,
}

pub(crate) fn insert(db: &Connection, row: &NodeRow<'_>, now: i64) -> Result<NodeId> {
    let computer = row.computer.map(|label| computers::id(db, label)).transpose()?;
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

pub(crate) fn insert_data(db: &Connection, objects: &Objects, data: &NewData, now: i64) -> Result<NodeId> {
    let row = NodeRow {
        uuid: &data.uuid,
        kind: NodeKind::Data,
        node_type: &data.data_type,
        label: &data.label,
        description: &data.description,
        computer: data.computer.as_deref(),
        body: &data.body,
    };
    let id = insert(db, &row, now)?;
    insert_files(db, objects, id, &data.files)?;
    Ok(id)
}

pub(crate) fn insert_files(
    db: &Connection,
    objects: &Objects,
    node: NodeId,
    files: &[FileContent],
) -> Result<()> {
    for file in files {
        let (digest, size) = file.content.digest_and_size();
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

pub(crate) fn id_of(db: &Connection, uuid: &Uuid) -> Result<i64> {
    db.prepare_cached("SELECT id FROM node WHERE uuid = ?1")?
        .query_row([uuid.to_string()], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "store node").message(format!("no node {uuid}")))
}

pub(crate) fn describe(
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
