//! The material of a job: the input nodes that its description names, and the files of its sandbox. It is the same
//! for a stored process and for a dry run, whose nodes are not stored.

use std::collections::{BTreeMap, BTreeSet};

use ferry_plugin_proto::{JobDescription, Program, Source, Value};

use crate::{
    step::{StepError, StepResult},
    store::{FileContent, NodeFile, NodeId, Reader, Result},
};

/// An input node, as far as a job needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Item {
    /// Its number, or its port's name, for messages.
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) body: Value,
    pub(crate) files: Vec<FileContent>,
}

impl Item {
    /// Returns a text of its body; empty if there is none.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.body.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Returns a truth value of its body.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.body.get(key) {
            Some(Value::Bool(flag)) => Some(*flag),
            _ => None,
        }
    }
}

/// The material of a job.
#[derive(Debug, Default)]
pub(crate) struct Material {
    /// The input nodes, by uuid.
    nodes: BTreeMap<String, Item>,
    /// The files of the sandbox.
    pub(crate) own: Vec<FileContent>,
}

impl Material {
    /// Makes it of given nodes.
    pub(crate) fn new(nodes: BTreeMap<String, Item>, own: Vec<FileContent>) -> Self {
        Material { nodes, own }
    }

    /// Reads it for a stored process.
    ///
    /// # Errors
    /// The store's.
    pub(crate) fn stored(reader: &Reader, process: NodeId, job: &JobDescription) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        for uuid in named(job) {
            let node = reader.find_node(uuid)?;
            let files = contents(reader, reader.files(node.id)?)?;
            let name = format!("node {}", node.id);
            nodes.insert(uuid.to_owned(), Item { name, data_type: node.node_type, body: node.body, files });
        }
        Ok(Material { nodes, own: contents(reader, reader.files(process)?)? })
    }

    /// Returns a node that the description names.
    pub(crate) fn node(&self, uuid: &str) -> StepResult<&Item> {
        self.nodes
            .get(uuid)
            .ok_or_else(|| StepError::Except(format!("node {uuid} is not an input of this process")))
    }

    /// Returns the codes that a job runs, each once, in the order of its commands.
    pub(crate) fn codes(&self, job: &JobDescription) -> StepResult<Vec<&Item>> {
        let mut seen = BTreeSet::new();
        let uuids = job.runs.iter().filter_map(|run| match &run.program {
            Program::Code(uuid) => Some(uuid),
            Program::Command(_) => None,
        });
        uuids.filter(|uuid| seen.insert(*uuid)).map(|uuid| self.node(uuid)).collect()
    }
}

/// Returns the uuids of all nodes that a description names.
fn named(job: &JobDescription) -> BTreeSet<&str> {
    let files = job.files.iter().filter_map(|file| match &file.source {
        Source::Node { uuid, .. } => Some(uuid.as_str()),
        _ => None,
    });
    let codes = job.runs.iter().filter_map(|run| match &run.program {
        Program::Code(uuid) => Some(uuid.as_str()),
        Program::Command(_) => None,
    });
    let remote = job.remote_copies.iter().chain(&job.remote_symlinks).map(|item| item.node.as_str());
    files.chain(codes).chain(remote).collect()
}

/// Returns stored files with their contents; large ones are not copied.
pub(crate) fn contents(reader: &Reader, files: Vec<NodeFile>) -> Result<Vec<FileContent>> {
    let one = |file: NodeFile| {
        let content = reader.object(&file.digest)?;
        Ok(FileContent { path: file.path, content, executable: file.executable })
    };
    files.into_iter().map(one).collect()
}
