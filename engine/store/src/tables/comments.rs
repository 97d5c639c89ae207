//! Comments that people write on nodes. They may change at any time, whatever the node is.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    database::row::{time, uuid},
    error::{Error, ErrorKind, Result},
    records::NodeId,
};

/// A comment on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its number.
    pub id: i64,
    /// Its UUID.
    pub uuid: Uuid,
    /// The node that it is about.
    pub node: NodeId,
    /// Its author, for display.
    pub author: String,
    /// Its text.
    pub text: String,
    /// Time at which it was written.
    pub created: Timestamp,
    /// Time of its last change.
    pub modified: Timestamp,
}

/// The changes of comments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentChange {
    /// A new comment. Fails with `NotFound` if its node does not exist.
    Add {
        /// Id of the node.
        node: NodeId,
        /// Its author.
        author: String,
        /// Its text.
        text: String,
    },
    /// A new text. Fails with `NotFound` if the comment does not exist.
    Rewrite {
        /// Id of the comment.
        comment: i64,
        /// The new text.
        text: String,
    },
    /// A comment to remove. Fails with `NotFound` if it does not exist.
    Remove(i64),
}

pub(crate) const OF_NODE: &str =
    "SELECT id, uuid, node, author, text, created, modified FROM comment WHERE node = ?1 ORDER BY id";

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Comment> {
    Ok(Comment {
        id: row.get(0)?,
        uuid: uuid(row, 1)?,
        node: NodeId(row.get(2)?),
        author: row.get(3)?,
        text: row.get(4)?,
        created: time(row, 5)?,
        modified: time(row, 6)?,
    })
}

pub(crate) fn write(db: &Connection, change: &CommentChange, now: i64) -> Result<()> {
    let (changed, what) = match change {
        CommentChange::Add { node, author, text } => {
            let sql = "INSERT INTO comment (uuid, node, author, text, created, modified)
                       SELECT ?1, id, ?3, ?4, ?5, ?5 FROM node WHERE id = ?2";
            let uuid = ferry_engine_core::ids::fresh().to_string();
            (db.execute(sql, params![uuid, node.0, author, text, now])?, format!("node has the id {node}"))
        }
        CommentChange::Rewrite { comment, text } => {
            let sql = "UPDATE comment SET text = ?2, modified = ?3 WHERE id = ?1";
            (db.execute(sql, params![comment, text, now])?, format!("comment has the id {comment}"))
        }
        CommentChange::Remove(comment) => {
            let sql = "DELETE FROM comment WHERE id = ?1";
            (db.execute(sql, [comment])?, format!("comment has the id {comment}"))
        }
    };
    match changed {
        0 => Err(Error::new(ErrorKind::NotFound, "comment").message(format!("no {what}"))),
        _ => Ok(()),
    }
}
