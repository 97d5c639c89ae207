//! The rules of links, which are AiiDA's. Indexes enforce the degrees; this module checks what a link may join,
//! and when:
//!
//! | link | from | to | when |
//! |---|---|---|---|
//! | `input_calc`, `input_work` | data | calculation, workflow | with its process |
//! | `create` | calculation | data | with its data |
//! | `return` | workflow | data that is there already | until its process ends |
//! | `call_calc`, `call_work` | workflow | calculation, workflow | with the called process |
//!
//! So no node can lead to its own origin: except for `return` links the graph has no cycles. A process that ended
//! in an earlier commit is *sealed*: no link may begin or end there any more.

use std::collections::BTreeSet;

use ferry_plugin_proto::Kind;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use uuid::Uuid;

use crate::{
    database::row::{parse_kind, unreadable},
    error::{Error, ErrorKind, Result},
    records::{Link, LinkType, NodeId},
};
use ferry_engine_core::process::State;

/// The nodes and ends of the current batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    made: BTreeSet<i64>,
    ended: BTreeSet<i64>,
}

impl Batch {
    /// Records a new node, and returns its number.
    pub(crate) fn made(&mut self, node: NodeId) -> NodeId {
        self.made.insert(node.0);
        node
    }

    /// Records that a process ends in this batch; it is sealed once the batch is committed.
    pub(crate) fn ended(&mut self, process: NodeId) {
        self.ended.insert(process.0);
    }

    /// Returns whether a process ended before this batch.
    ///
    /// # Errors
    /// Returns an error of the store.
    pub(crate) fn is_sealed(&self, db: &Connection, process: NodeId) -> Result<bool> {
        let state: Option<String> = db
            .prepare_cached("SELECT state FROM process WHERE id = ?1")?
            .query_row([process.0], |row| row.get(0))
            .optional()?;
        Ok(!self.ended.contains(&process.0) && state.is_some_and(|state| is_end(&state)))
    }
}

fn is_end(state: &str) -> bool {
    State::read(state).is_none_or(State::is_terminal)
}

/// The kind of node at one end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Data,
    Calculation,
    Workflow,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Side::Data => "data",
            Side::Calculation => "a calculation",
            Side::Workflow => "a workflow",
        }
    }
}

fn sides(link: LinkType) -> (Side, Side) {
    match link {
        LinkType::InputCalc => (Side::Data, Side::Calculation),
        LinkType::InputWork => (Side::Data, Side::Workflow),
        LinkType::Create => (Side::Calculation, Side::Data),
        LinkType::Return => (Side::Workflow, Side::Data),
        LinkType::CallCalc => (Side::Workflow, Side::Calculation),
        LinkType::CallWork => (Side::Workflow, Side::Workflow),
    }
}

struct Endpoint {
    id: i64,
    side: Side,
    sealed: bool,
    is_new: bool,
}

/// A link to be added.
pub(crate) struct NewLink<'a> {
    pub(crate) source: &'a Uuid,
    pub(crate) target: &'a Uuid,
    pub(crate) link_type: LinkType,
    pub(crate) label: &'a str,
}

/// Adds a link.
///
/// # Errors
/// Fails with `NotFound` for a node that does not exist, and with `Rule`, naming the rule.
pub(crate) fn insert(db: &Connection, batch: &Batch, link: &NewLink<'_>) -> Result<()> {
    let (source, target) = (end(db, batch, link.source)?, end(db, batch, link.target)?);
    let refused = |message: String| {
        Error::new(ErrorKind::Rule, "store link")
            .message(message)
            .with("type", link.link_type.as_str())
            .with("label", link.label)
            .with("source", source.id)
            .with("target", target.id)
    };
    judge(link, &source, &target).map_err(refused)?;
    db.prepare_cached("INSERT INTO link (source, target, type, label) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![source.id, target.id, link.link_type.as_str(), link.label])
        .map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => refused(taken(link, &source, &target)),
            _ => error.into(),
        })?;
    Ok(())
}

fn end(db: &Connection, batch: &Batch, uuid: &Uuid) -> Result<Endpoint> {
    let sql = "SELECT n.id, p.kind, p.state FROM node n LEFT JOIN process p ON p.id = n.id WHERE n.uuid = ?1";
    let found = db
        .prepare_cached(sql)?
        .query_row([uuid.to_string()], |row| {
            let (id, kind, state): (i64, Option<String>, Option<String>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            let side = match kind.as_deref().map(parse_kind) {
                None => Side::Data,
                Some(Kind::WorkChain | Kind::WorkFunction) => Side::Workflow,
                Some(_) => Side::Calculation,
            };
            let sealed = state.is_some_and(|state| is_end(&state)) && !batch.ended.contains(&id);
            Ok(Endpoint { id, side, sealed, is_new: batch.made.contains(&id) })
        })
        .optional()?;
    found.ok_or_else(|| Error::new(ErrorKind::NotFound, "store link").message(format!("no node {uuid}")))
}

fn judge(link: &NewLink<'_>, source: &Endpoint, target: &Endpoint) -> Result<(), String> {
    if let Some(problem) = label_problem(link.label) {
        return Err(problem);
    }
    if source.id == target.id {
        return Err("a node can't be linked to itself".into());
    }
    let (from, to) = sides(link.link_type);
    if (source.side, target.side) != (from, to) {
        let found = format!("{} to {}", source.side.as_str(), target.side.as_str());
        let wanted = format!("{} to {}", from.as_str(), to.as_str());
        return Err(format!("it would join {found}, but must lead from {wanted}"));
    }
    if let Some(sealed) = [source, target].into_iter().find(|end| end.sealed) {
        return Err(format!("process {} has ended and takes no more links", sealed.id));
    }
    match (link.link_type, target.is_new) {
        (LinkType::Return, true) => Err("a workflow creates no data: it returns existing nodes".into()),
        (LinkType::Return, false) | (_, true) => Ok(()),
        (LinkType::Create, false) => {
            Err("a node that exists already can't become an output of a calculation".into())
        }
        (LinkType::InputCalc | LinkType::InputWork, false) => {
            Err("a process gets its inputs when it is created, not later".into())
        }
        (LinkType::CallCalc | LinkType::CallWork, false) => {
            Err("a process that exists already can't be called".into())
        }
    }
}

/// Returns the message for a violated degree rule.
fn taken(link: &NewLink<'_>, source: &Endpoint, target: &Endpoint) -> String {
    match link.link_type {
        LinkType::InputCalc | LinkType::InputWork => {
            format!("process {} already has an input with this label", target.id)
        }
        LinkType::Create => {
            format!(
                "node {} already has a creator, or process {} an output with this label",
                target.id, source.id
            )
        }
        LinkType::Return => format!("process {} already has an output with this label", source.id),
        LinkType::CallCalc | LinkType::CallWork => format!("process {} already has a caller", target.id),
    }
}

/// Returns the problem with the label of a link, if there is one. A label consists of letters, digits, `_` and
/// `-`, in parts joined by dots.
///
/// ```
/// use ferry_engine_store::label_problem;
/// assert_eq!(label_problem("pw.k-points_2"), None);
/// assert!(label_problem("a..b").is_some_and(|told| told.contains("`a..b`")));
/// ```
pub fn label_problem(label: &str) -> Option<String> {
    let is_word =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    (!label.split('.').all(is_word)).then(|| {
        format!(
            "`{label}` is not a valid link label: use letters, digits, `_` and `-`, in parts separated by dots"
        )
    })
}

pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Link> {
    let word: String = row.get(2)?;
    Ok(Link {
        source: NodeId(row.get(0)?),
        target: NodeId(row.get(1)?),
        link_type: word.parse().map_err(|error: String| unreadable(2, error))?,
        label: row.get(3)?,
    })
}
