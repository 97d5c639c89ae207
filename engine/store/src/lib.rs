//! The store of a profile: rows in a database, and the bytes of files in a content-addressed repository.
//!
//! An owner holds a [`Store`]; all others open a [`Reader`]. The embedded implementation is [`SqliteStore`]; the
//! suite in `ferry-conformance` defines what any other must do. One program owns a store at a time ([`Lock`]), and
//! an epoch voids the pending writes of earlier owners.

mod attempts;
mod change;
pub mod crash;
mod database;
mod error;
mod objects;
pub mod profile;
mod query;
mod records;
mod sqlite;
mod sqlite_store;
mod store;
mod tables;
#[cfg(feature = "testing")]
pub mod testing;
mod transition;
mod upkeep;

pub use attempts::Attempts;
pub use change::Change;
pub use error::{Error, ErrorKind, Result};
pub use objects::repository::{Content, INLINE_MAX, Objects};
pub use profile::{child, lock::Lock};
pub use query::{Reader, Reads, SET_UP};
pub use records::{
    Body, Child, ComputerRow, End, FlowRow, GateState, Group, JobRow, Level, Link, LinkType, Live, LogLine,
    Node, NodeFile, NodeId, NodeKind, Orphan, PluginRow, Process, Ticket, Wishes,
};
pub use sqlite::reader::SqliteReader;
pub use sqlite_store::SqliteStore;
pub use store::Store;
pub use tables::{
    cache::CacheEntry,
    cleaning::Cleaning,
    comments::{Comment, CommentChange},
    delete::{Deletion, Follow},
    groups::GroupChange,
    hosts::{BreakerState, Disabled, HostChange, HostRow, clock_words, proof_of},
    links::label_problem,
    lists::{NodeFilter, ProcessFilter},
    nodes::{FileContent, NewData},
    processes::NewProcess,
    queues::{QueueId, Sharing, queue_of},
    tree::Caller,
};
pub use transition::BY_USER;
pub use upkeep::{
    backup::Backup,
    check::Finding,
    info::{Count, Info},
    maintain::{Stage, Tidied},
};
