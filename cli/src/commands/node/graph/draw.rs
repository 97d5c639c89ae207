//! The contents of a graph's picture, whatever writes it. Shapes and colours are AiiDA's: data are ellipses,
//! processes are boxes in the colour of their state, links are solid (data), dashed (returns and workflow
//! inputs) or dotted (calls).

use std::collections::BTreeSet;

use ferry_engine::{
    node::Graph,
    process::State,
    store::{Link, LinkType, Node, NodeId, NodeKind, Process, Reader},
};

use super::{
    dot::Dot,
    label::{self, Identifier},
};
use crate::error::Result;

const DATA: &str = "#8cd499";
const CODE: &str = "#4ca4b9";
const GOOD: &str = "#7fc97f";
const BAD: &str = "#de707f";
const UNDER_WAY: &str = "#f5b041";
const PLAIN: &str = "#ffffff";
/// Border of the nodes that were asked about.
const ORIGIN: &str = "#d62728";

/// A graph with what is shown of it.
pub(super) struct Drawing {
    /// By number.
    pub(super) nodes: Vec<Drawn>,
    /// As the graph has them.
    pub(super) links: Vec<Link>,
}

/// A node in a picture.
pub(super) struct Drawn {
    /// The stored node.
    pub(super) node: Node,
    /// The same, where it is a process.
    pub(super) process: Option<Process>,
    /// Lines of text in it.
    pub(super) lines: Vec<String>,
    /// Its colour.
    pub(super) fill: &'static str,
    /// True if the user asked about it. It is marked, whatever else is highlighted.
    pub(super) is_origin: bool,
}

/// Looks up what a picture shows. With `coloured`, only those nodes have a colour.
///
/// # Errors
/// Returns the store's errors.
pub(super) fn draw(
    reader: &Reader,
    graph: Graph,
    identifiers: &[Identifier],
    coloured: Option<&BTreeSet<NodeId>>,
) -> Result<Drawing> {
    let roots = graph.roots;
    let drawn = |node: Node| -> Result<Drawn> {
        let process = (node.kind == NodeKind::Process).then(|| reader.process(node.id)).transpose()?;
        let has_colour = coloured.is_none_or(|coloured| coloured.contains(&node.id));
        Ok(Drawn {
            lines: label::lines(&node, process.as_ref(), identifiers),
            fill: if has_colour { colour(&node, process.as_ref()) } else { PLAIN },
            is_origin: roots.contains(&node.id),
            process,
            node,
        })
    };
    let nodes = graph.nodes.into_values().map(drawn).collect::<Result<_>>()?;
    Ok(Drawing { nodes, links: graph.links })
}

impl Drawing {
    /// Returns the text that Graphviz reads.
    pub(super) fn dot(&self) -> String {
        let mut dot = Dot::new();
        for drawn in &self.nodes {
            let label = drawn.lines.join("\n");
            let (border, width) = if drawn.is_origin { (ORIGIN, "4") } else { ("#000000", "1") };
            let attributes = [
                ("label", label.as_str()),
                ("shape", if drawn.process.is_some() { "box" } else { "ellipse" }),
                ("style", "filled"),
                ("fillcolor", drawn.fill),
                ("color", border),
                ("penwidth", width),
            ];
            dot.node(&drawn.node.id.to_string(), &attributes);
        }
        for link in &self.links {
            let label = format!("{}\n{}", link.link_type.as_str().to_uppercase(), link.label);
            let attributes = [("label", label.as_str()), ("style", line(link.link_type)), ("fontsize", "10")];
            dot.edge(&link.source.to_string(), &link.target.to_string(), &attributes);
        }
        dot.finish()
    }
}

fn colour(node: &Node, process: Option<&Process>) -> &'static str {
    match process {
        Some(process) => state_colour(process),
        None if node.node_type == "code" => CODE,
        None => DATA,
    }
}

fn state_colour(process: &Process) -> &'static str {
    match process.state {
        State::Finished if !process.is_failed() => GOOD,
        State::Finished | State::Excepted | State::Killed => BAD,
        State::Created | State::Running | State::Waiting => UNDER_WAY,
    }
}

/// Returns the line style of a link.
pub(super) fn line(link: LinkType) -> &'static str {
    match link {
        LinkType::InputCalc | LinkType::Create => "solid",
        LinkType::InputWork | LinkType::Return => "dashed",
        LinkType::CallCalc | LinkType::CallWork => "dotted",
    }
}
