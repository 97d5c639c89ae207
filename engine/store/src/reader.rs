//! What can be asked of a store, whatever keeps it.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};

use ferry_plugin_proto::Kind;
use jiff::Timestamp;

use super::{
    CacheEntry, Child, Cleaning, Comment, ComputerRow, Content, Error, ErrorKind, Follow, GateState, Group,
    HostRow, Link, Live, LogLine, Node, NodeFile, NodeId, NodeKind, Objects, Orphan, PluginRow, Process,
    Result, Sharing, SqliteReader, Ticket, queues,
};
use ferry_engine_core::{
    process::State,
    scheduler::{Machine, QueueKey},
};

/// The setting that says that a profile's first owner has set it up.
pub const SET_UP: &str = "profile.set_up";

/// Which processes to list.
#[derive(Debug, Clone, Default)]
pub struct ProcessFilter {
    /// Those in these states; empty: all.
    pub states: Vec<State>,
    /// Those in this group.
    pub group: Option<String>,
    /// Those of this type; `*`, `?` and `[...]` stand for others.
    pub process_type: Option<String>,
    /// Those of this label; `*`, `?` and `[...]` stand for others.
    pub label: Option<String>,
    /// Those created then or later.
    pub since: Option<Timestamp>,
    /// Those that finished with this exit status.
    pub exit_status: Option<u32>,
    /// Those that finished with another exit status than 0.
    pub failed: bool,
    /// Those that stand still.
    pub paused: bool,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// Which nodes to list.
#[derive(Debug, Clone, Default)]
pub struct NodeFilter {
    /// Data, or processes.
    pub kind: Option<NodeKind>,
    /// Those of this type; `*`, `?` and `[...]` stand for others.
    pub node_type: Option<String>,
    /// Those of this label; `*`, `?` and `[...]` stand for others.
    pub label: Option<String>,
    /// Those in this group.
    pub group: Option<String>,
    /// Those stored then or later.
    pub since: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// The questions. Each is answered from one snapshot, never waits for a writer, and sees every commit that was
/// answered before it was asked.
///
/// They block, for microseconds: they are point look-ups and short lists on a local file, called between two
/// awaits, where a hop to another thread would cost more than the answer. A store that lies behind a network
/// answers with `tokio::task::block_in_place`.
///
/// # Errors
/// Beside those named: `Corrupt` where what is asked for lies in a damaged part; other parts go on answering.
pub trait Reads: std::fmt::Debug + Send + Sync + 'static {
    /// The node with this number.
    ///
    /// # Errors
    /// `NotFound`.
    fn node(&self, id: NodeId) -> Result<Node>;

    /// Finds a node by id, uuid, unique uuid prefix (4 characters or more), or label.
    ///
    /// # Errors
    /// `NotFound`; `Ambiguous`, naming the candidates.
    fn find_node(&self, name: &str) -> Result<Node>;

    /// All codes, by number.
    fn codes(&self) -> Result<Vec<Node>>;

    /// The process with this number.
    ///
    /// # Errors
    /// `NotFound`.
    fn process(&self, id: NodeId) -> Result<Process>;

    /// Processes, oldest first.
    fn processes(&self, filter: &ProcessFilter) -> Result<Vec<Process>>;

    /// Nodes, oldest first.
    fn nodes(&self, filter: &NodeFilter) -> Result<Vec<Node>>;

    /// The processes that have not ended, oldest first.
    fn live_processes(&self) -> Result<Vec<Live>>;

    /// The top of a process's call tree, and its kind.
    fn place(&self, process: NodeId) -> Result<Option<(NodeId, Kind)>>;

    /// The children of a process, in order of their launch.
    fn children(&self, caller: NodeId) -> Result<Vec<Child>>;

    /// The child of a process under one of its calls.
    fn child(&self, caller: NodeId, call: &str) -> Result<Option<Child>>;

    /// A process and all that it called, directly or not, as far as they have not ended; callers first.
    fn live_tree(&self, top: NodeId) -> Result<Vec<NodeId>>;

    /// Jobs that are still to be cancelled, oldest first.
    fn orphans(&self) -> Result<Vec<Orphan>>;

    /// Work directories that are still to be removed, in the order of the wishes.
    fn cleanings(&self) -> Result<Vec<Cleaning>>;

    /// Whether a calculation's work directory was removed, or is to be.
    fn cleaning(&self, process: NodeId) -> Result<Option<Cleaning>>;

    /// Live processes that were being stepped when an owner crashed, and how often, since they last got on.
    fn suspects(&self) -> Result<Vec<(NodeId, u32)>>;

    /// How many processes are in each state.
    fn count_processes(&self) -> Result<Vec<(State, u64)>>;

    /// How many processes that have not ended are paused.
    fn count_paused(&self) -> Result<u64>;

    /// How many processes there are.
    fn process_total(&self) -> Result<u64>;

    /// Links that end at a node.
    fn incoming(&self, node: NodeId) -> Result<Vec<Link>>;

    /// Links that begin at a node.
    fn outgoing(&self, node: NodeId) -> Result<Vec<Link>>;

    /// A process's report, oldest line first.
    fn logs(&self, process: NodeId) -> Result<Vec<LogLine>>;

    /// The files of a node, by path.
    fn files(&self, node: NodeId) -> Result<Vec<NodeFile>>;

    /// An object: its bytes if it is small, else its size.
    ///
    /// # Errors
    /// `NotFound`.
    fn object(&self, digest: &str) -> Result<Content>;

    /// Opens an object for reading.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` where the row names a file that is gone.
    fn open_object(&self, digest: &str) -> Result<Box<dyn std::io::Read + Send>>;

    /// The path of a plain file with an object's bytes, which stays for a day at least. An object that lies in a
    /// pack is laid out as a file again.
    ///
    /// # Errors
    /// As [`Reads::open_object`], and the disk's.
    fn object_file(&self, digest: &str) -> Result<PathBuf>;

    /// The directory of large objects.
    fn objects(&self) -> &Objects;

    /// All computers, by label.
    fn computers(&self) -> Result<Vec<ComputerRow>>;

    /// What is known of a calculation as a source of results.
    fn cache_entry(&self, process: NodeId) -> Result<Option<CacheEntry>>;

    /// Calculations with this digest, at most 20: those that ran themselves first, the newest of them before the
    /// others.
    fn cache_candidates(&self, hash: &str) -> Result<Vec<NodeId>>;

    /// The tickets of a computer, by process.
    fn tickets(&self, computer: &str) -> Result<Vec<Ticket>>;

    /// The tokens of all tickets, whatever their computers: a job that bears one of them is ours.
    fn tokens(&self) -> Result<HashSet<String>>;

    /// What the gate of a computer saw last.
    fn gate(&self, computer: &str) -> Result<Option<GateState>>;

    /// What is known about the hosts of computers, by label; those without an entry are well.
    fn hosts(&self) -> Result<BTreeMap<String, HostRow>>;

    /// What is known about the host of one computer.
    fn host(&self, computer: &str) -> Result<HostRow> {
        Ok(self.hosts()?.remove(computer).unwrap_or_default())
    }

    /// Which queues hosts have said they are, by the address that they were asked at ([`ferry_engine_core::computer::Computer::address`]).
    fn queues(&self) -> Result<BTreeMap<String, QueueKey>>;

    /// What hosts have said of their machines, by address: those whose jobs share one.
    fn machines(&self) -> Result<BTreeMap<String, Machine>>;

    /// The computers that reach the same queue as the same user as this one does, as far as that is known. What limits
    /// them holds for their jobs together.
    ///
    /// # Errors
    /// `NotFound`, listing the computers there are.
    fn sharing(&self, computer: &str) -> Result<Sharing> {
        match queues::sharing(self.computers()?, &self.queues()?, &self.machines()?, computer) {
            Some(sharing) => Ok(sharing),
            None => Err(no_computer(&self.computers()?, computer)),
        }
    }

    /// All groups, by label.
    fn groups(&self) -> Result<Vec<Group>>;

    /// The nodes of a group, by number.
    fn members(&self, group: &str) -> Result<Vec<Node>>;

    /// The comments on a node, oldest first.
    fn comments(&self, node: NodeId) -> Result<Vec<Comment>>;

    /// Everything that goes with these nodes if they are deleted, themselves included, by number.
    fn deleted_with(&self, roots: &[NodeId], follow: Follow) -> Result<Vec<NodeId>>;

    /// All plugin files, active ones first.
    fn plugins(&self) -> Result<Vec<PluginRow>>;

    /// The plugin file with this digest.
    fn plugin(&self, digest: &str) -> Result<PluginRow>;

    /// All settings of the profile.
    fn settings(&self) -> Result<Vec<(String, String)>>;

    /// One setting of the profile.
    fn setting(&self, key: &str) -> Result<Option<String>>;

    /// The code called `label` or `label@computer`.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`.
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

    /// The computer of this label.
    ///
    /// # Errors
    /// `NotFound`, listing the ones there are.
    fn computer(&self, label: &str) -> Result<ComputerRow> {
        let mut computers = self.computers()?;
        if let Some(at) = computers.iter().position(|computer| computer.config.label == label) {
            return Ok(computers.swap_remove(at));
        }
        Err(no_computer(&computers, label))
    }

    /// Whether the profile's first owner has come to the end of setting it up.
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

/// An open store as those see it who only look. Dereferences to [`Reads`]; clones share it.
#[derive(Debug, Clone)]
pub struct Reader(Arc<dyn Reads>);

impl Reader {
    /// Opens an embedded store for reading.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Newer` if a newer ferry made it, `Older` if no owner has migrated it yet.
    pub fn open(path: &Path, objects: Objects) -> Result<Reader> {
        SqliteReader::open(path, objects).map(Reader::new)
    }

    /// What answers.
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
