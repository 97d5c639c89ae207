//! `--highlight-classes`: which nodes a class names. A class is what a picture shows of a node, its type; the kind
//! of a process, `calcjob`; or AiiDA's word for either, `CalcJobNode`.

use std::collections::{BTreeMap, BTreeSet};

use ferry_engine::{
    node::Graph,
    store::{NodeId, NodeKind, Reader},
};

use crate::{
    error::{Failure, Result},
    words::closest,
};

/// AiiDA's classes and our words for them.
const AIIDA: &[(&str, &str)] = &[
    ("Int", "int"),
    ("Float", "float"),
    ("Str", "str"),
    ("Bool", "bool"),
    ("List", "list"),
    ("Dict", "dict"),
    ("SinglefileData", "file"),
    ("FolderData", "folder"),
    ("RemoteData", "remote_folder"),
    ("RemoteStashData", "remote_stash"),
    ("RemoteStashCopyData", "remote_stash"),
    ("RemoteStashCompressedData", "remote_stash"),
    ("Code", "code"),
    ("InstalledCode", "code"),
    ("CalcJobNode", "calcjob"),
    ("CalcFunctionNode", "calcfunction"),
    ("WorkChainNode", "workchain"),
    ("WorkFunctionNode", "workfunction"),
];

/// Returns the nodes of these classes; `None` if no class was named, which means all nodes.
///
/// # Errors
/// Fails at classes that no node of the graph has (exit status 2), with the existing ones.
pub(super) fn chosen(reader: &Reader, graph: &Graph, classes: &[String]) -> Result<Option<BTreeSet<NodeId>>> {
    if classes.is_empty() {
        return Ok(None);
    }
    let known = by_class(reader, graph)?;
    let mut found = BTreeSet::new();
    let mut unknown = Vec::new();
    for class in classes {
        match known.get(ours(class)) {
            Some(nodes) => found.extend(nodes),
            None => unknown.push(class.as_str()),
        }
    }
    if unknown.is_empty() { Ok(Some(found)) } else { Err(refusal(&unknown, &known)) }
}

fn ours(class: &str) -> &str {
    AIIDA.iter().find(|(theirs, _)| *theirs == class).map_or(class, |(_, ours)| ours)
}

fn by_class(reader: &Reader, graph: &Graph) -> Result<BTreeMap<String, Vec<NodeId>>> {
    let mut known: BTreeMap<String, Vec<NodeId>> = BTreeMap::new();
    for node in graph.nodes.values() {
        known.entry(node.node_type.clone()).or_default().push(node.id);
        if node.kind == NodeKind::Process {
            let kind = reader.process(node.id)?.kind.as_str();
            known.entry(kind.to_owned()).or_default().push(node.id);
        }
    }
    Ok(known)
}

fn refusal(unknown: &[&str], known: &BTreeMap<String, Vec<NodeId>>) -> Failure {
    let names = || known.keys().map(String::as_str);
    let close: Vec<_> = unknown.iter().filter_map(|class| closest(class, names())).collect();
    let meant =
        if close.is_empty() { String::new() } else { format!("did you mean `{}`? ", close.join("`, `")) };
    let there = names().collect::<Vec<_>>().join(", ");
    Failure::usage(format!("no node of this graph is of the class `{}`", unknown.join("`, `")))
        .help(format!("{meant}its classes are: {there}"))
}
