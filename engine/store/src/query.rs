//! The queries of a store, whatever its implementation.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Deref,
    path::PathBuf,
    sync::Arc,
};

use ferry_plugin_proto::Kind;

use crate::{
    error::{Error, ErrorKind, Result},
    objects::repository::{Content, Objects},
    records::{
        Child, ComputerRow, GateState, Group, Link, Live, LogLine, Node, NodeFile, NodeId, Orphan, PluginRow,
        Process, Ticket,
    },
    tables::{
        cache::CacheEntry,
        cleaning::Cleaning,
        comments::Comment,
        delete::Follow,
        hosts::HostRow,
        lists::{NodeFilter, ProcessFilter},
        queues::{self, Sharing},
    },
};
use ferry_engine_core::{
    process::State,
    scheduler::{Machine, QueueKey},
};

/// The setting that records that a profile's first owner has set it up.
pub const SET_UP: &str = "profile.set_up";

/// The queries of a store. Each is answered from one snapshot, never waits for a writer, and sees every commit
/// that was acknowledged before it began.
///
/// The methods block, for microseconds. They are point look-ups and short lists on a local file, called between
/// two awaits, where a hop to another thread would cost more than the answer. A store behind a network answers
/// with `tokio::task::block_in_place`.
///
/// # Errors
/// Beside the errors named below, a method fails with `Corrupt` if its data is in a damaged part. Other parts can
/// still be read.
pub trait Reads: std::fmt::Debug + Send + Sync + 'static {
    /// Returns the node with this number.
    ///
    /// # Errors
    /// Fails with `NotFound` if it does not exist.
    fn node(&self, id: NodeId) -> Result<Node>;

    /// Finds a node by id, UUID, unique UUID prefix (4 characters or more), or label.
    ///
    /// # Errors
    /// Fails with `NotFound`, or with `Ambiguous`, naming the candidates.
    fn find_node(&self, name: &str) -> Result<Node>;

    /// Returns all codes, by number.
    fn codes(&self) -> Result<Vec<Node>>;

    /// Returns the process with this number.
    ///
    /// # Errors
    /// Fails with `NotFound` if it does not exist.
    fn process(&self, id: NodeId) -> Result<Process>;

    /// Returns processes, oldest first.
    fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>>;

    /// Returns nodes, oldest first.
    fn nodes(&self, filter: &NodeFilter) -> Result<Vec<Node>>;

    /// Returns the processes that have not ended, oldest first.
    fn live_processes(&self) -> Result<Vec<Live>>;

    /// Returns the top of a process's call tree, and the kind of the process.
    fn place(&self, process: NodeId) -> Result<Option<(NodeId, Kind)>>;

    /// Returns the children of a process, in order of their launch.
    fn children(&self, caller: NodeId) -> Result<Vec<Child>>;

    /// Returns the child of a process under one of its calls.
    fn child(&self, caller: NodeId, call: &str) -> Result<Option<Child>>;

    /// Returns a process and all that it called, directly or not, as far as they have not ended; callers first.
    fn live_tree(&self, top: NodeId) -> Result<Vec<NodeId>>;

    /// Returns the jobs that are still to be cancelled, oldest first.
    fn orphans(&self) -> Result<Vec<Orphan>>;

    /// Returns the work directories that are still to be removed, in the order of the requests.
    fn cleanings(&self) -> Result<Vec<Cleaning>>;

    /// Returns the request to remove a calculation's work directory, if there is one, and its result.
    fn cleaning(&self, process: NodeId) -> Result<Option<Cleaning>>;

    /// Returns the live processes that were being stepped when an owner crashed, and the number of crashes since
    /// their last progress.
    fn suspects(&self) -> Result<Vec<(NodeId, u32)>>;

    /// Counts the processes in each state.
    fn count_processes(&self) -> Result<Vec<(State, u64)>>;

    /// Counts the paused processes that have not ended.
    fn count_paused(&self) -> Result<u64>;

    /// Counts all processes.
    fn process_total(&self) -> Result<u64>;

    /// Returns the links that end at a node.
    fn incoming(&self, node: NodeId) -> Result<Vec<Link>>;

    /// Returns the links that begin at a node.
    fn outgoing(&self, node: NodeId) -> Result<Vec<Link>>;

    /// Returns a process's report, oldest line first.
    fn logs(&self, process: NodeId) -> Result<Vec<LogLine>>;

    /// Returns the files of a node, by path.
    fn files(&self, node: NodeId) -> Result<Vec<NodeFile>>;

    /// Returns an object: its bytes if it is small, else its size.
    ///
    /// # Errors
    /// Fails with `NotFound` if it does not exist.
    fn object(&self, digest: &str) -> Result<Content>;

    /// Opens an object for reading.
    ///
    /// # Errors
    /// Fails with `NotFound`, or with `Corrupt` if the row names a file that is missing.
    fn open_object(&self, digest: &str) -> Result<Box<dyn std::io::Read + Send>>;

    /// Returns the path of a plain file with an object's bytes, which stays for at least a day. An object in a
    /// pack is written to a file again.
    ///
    /// # Errors
    /// Fails as [`Reads::open_object`] does, or with an I/O error.
    fn object_file(&self, digest: &str) -> Result<PathBuf>;

    /// Returns the directory of large objects.
    fn objects(&self) -> &Objects;

    /// Returns all computers, by label.
    fn computers(&self) -> Result<Vec<ComputerRow>>;

    /// Returns the properties of a calculation as a source of results.
    fn cache_entry(&self, process: NodeId) -> Result<Option<CacheEntry>>;

    /// Returns at most 20 calculations with this digest: first those that ran themselves, and newer ones before
    /// older ones.
    fn cache_candidates(&self, hash: &str) -> Result<Vec<NodeId>>;

    /// Returns the tickets of a computer, by process.
    fn tickets(&self, computer: &str) -> Result<Vec<Ticket>>;

    /// Returns the tokens of all tickets, whatever their computers. A job that bears one of them is ours.
    fn tokens(&self) -> Result<HashSet<String>>;

    /// Returns the latest state of a computer's gate.
    fn gate(&self, computer: &str) -> Result<Option<GateState>>;

    /// Returns the state of the hosts of computers, by label; those without an entry are well.
    fn hosts(&self) -> Result<BTreeMap<String, HostRow>>;

    /// Returns the state of the host of one computer.
    fn host(&self, computer: &str) -> Result<HostRow> {
        Ok(self.hosts()?.remove(computer).unwrap_or_default())
    }

    /// Returns the hosts' queues, by the address at which they were asked
    /// ([`ferry_engine_core::computer::Computer::address`]).
    fn queues(&self) -> Result<BTreeMap<String, QueueKey>>;

    /// Returns the hosts' reports of their machines, by address, for those whose jobs share one.
    fn machines(&self) -> Result<BTreeMap<String, Machine>>;

    /// Returns the computers that reach the same queue as the same user as this one, as far as that is known.
    /// Their limits hold for their jobs together.
    ///
    /// # Errors
    /// Fails with `NotFound`, listing the existing computers.
    fn sharing(&self, computer: &str) -> Result<Sharing> {
        match queues::sharing(self.computers()?, &self.queues()?, &self.machines()?, computer) {
            Some(sharing) => Ok(sharing),
            None => Err(no_computer(&self.computers()?, computer)),
        }
    }

    /// Returns all groups, by label.
    fn groups(&self) -> Result<Vec<Group>>;

    /// Returns the nodes of a group, by number.
    fn members(&self, group: &str) -> Result<Vec<Node>>;

    /// Returns the comments on a node, oldest first.
    fn comments(&self, node: NodeId) -> Result<Vec<Comment>>;

    /// Returns everything that is deleted with these nodes, themselves included, by number.
    fn deleted_with(&self, roots: &[NodeId], follow: Follow) -> Result<Vec<NodeId>>;

    /// Returns all plugin files, active ones first.
    fn plugins(&self) -> Result<Vec<PluginRow>>;

    /// Returns the plugin file with this digest.
    fn plugin(&self, digest: &str) -> Result<PluginRow>;

    /// Returns all settings of the profile.
    fn settings(&self) -> Result<Vec<(String, String)>>;

    /// Returns one setting of the profile.
    fn setting(&self, key: &str) -> Result<Option<String>>;

    /// Returns the code called `label` or `label@computer`.
    ///
    /// # Errors
    /// Fails with `NotFound` or `Ambiguous`.
    fn find_code(&self, name: &str) -> Result<Node> {
        let (label, computer) = name.split_once('@').map_or((name, None), |(l, c)| (l, Some(c)));
        let codes: Vec<_> = self
            .codes()?
            .into_iter()
            .filter(|code| {
                code.label == label && (computer.is_none() || code.computer.as_deref() == computer)
            })
            .collect();
        match codes.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Error::new(ErrorKind::NotFound, "code")
                .message(format!("no code is called `{name}`"))
                .help("`ferry code list` shows them; `ferry code create` makes one")),
            several => {
                let names: Vec<_> = several
                    .iter()
                    .map(|code| format!("{}@{}", code.label, code.computer.as_deref().unwrap_or("")))
                    .collect();
                Err(Error::new(ErrorKind::Ambiguous, "code")
                    .message(format!("`{name}` names several codes: {}", names.join(", "))))
            }
        }
    }

    /// Returns the computer of this label.
    ///
    /// # Errors
    /// Fails with `NotFound`, listing the existing computers.
    fn computer(&self, label: &str) -> Result<ComputerRow> {
        let mut computers = self.computers()?;
        if let Some(at) = computers.iter().position(|computer| computer.config.label == label) {
            return Ok(computers.swap_remove(at));
        }
        Err(no_computer(&computers, label))
    }

    /// Returns whether the profile's first owner has finished setting it up.
    fn is_set_up(&self) -> Result<bool> {
        Ok(self.setting(SET_UP)?.is_some())
    }
}

fn no_computer(computers: &[ComputerRow], label: &str) -> Error {
    let labels: Vec<_> = computers.iter().map(|computer| computer.config.label.as_str()).collect();
    Error::new(ErrorKind::NotFound, "computer")
        .message(format!("no computer is called `{label}`"))
        .help(format!("this profile has: {}", labels.join(", ")))
}

/// A store opened for reading only. Dereferences to [`Reads`]; clones share it.
#[derive(Debug, Clone)]
pub struct Reader(Arc<dyn Reads>);

impl Reader {
    /// Creates a reader over an implementation of [`Reads`].
    pub fn new(reads: impl Reads) -> Reader {
        Reader(Arc::new(reads))
    }
}

impl Deref for Reader {
    type Target = dyn Reads;
    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}
