//! Shapes and colours, after AiiDA's: data are ellipses, processes are boxes in the colour of their state,
//! links are solid (data), dashed (returns and workflow inputs) or dotted (calls).

use ferry_engine::{
    node::Graph,
    process::State,
    store::{Link, LinkType, Node, NodeKind, Process, Reader},
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

/// The DOT text of a graph. With `highlight`, only nodes of these types are coloured.
pub(super) fn draw(
    reader: &Reader,
    graph: &Graph,
    identifiers: &[Identifier],
    highlight: Option<&[String]>,
) -> Result<String> {
    let mut dot = Dot::new();
    for node in graph.nodes.values() {
        let label = label::lines(reader, node, identifiers)?;
        let coloured = highlight.is_none_or(|classes| classes.contains(&node.node_type));
        let fill = if coloured { colour(reader, node)? } else { PLAIN };
        let shape = if node.kind == NodeKind::Data { "ellipse" } else { "box" };
        // The nodes in the middle keep their mark whatever is highlighted.
        let width = if graph.roots.contains(&node.id) { "4" } else { "1" };
        let attributes = [
            ("label", label.as_str()),
            ("shape", shape),
            ("style", "filled"),
            ("fillcolor", fill),
            ("penwidth", width),
        ];
        dot.node(&node.id.to_string(), &attributes);
    }
    for link in &graph.links {
        let label = edge_label(link);
        let attributes = [("label", label.as_str()), ("style", line(link.link_type)), ("fontsize", "10")];
        dot.edge(&link.source.to_string(), &link.target.to_string(), &attributes);
    }
    Ok(dot.finish())
}

fn colour(reader: &Reader, node: &Node) -> Result<&'static str> {
    Ok(match node.kind {
        NodeKind::Process => state_colour(&reader.process(node.id)?),
        NodeKind::Data if node.node_type == "code" => CODE,
        NodeKind::Data => DATA,
    })
}

fn state_colour(process: &Process) -> &'static str {
    match process.state {
        State::Finished if !process.is_failed() => GOOD,
        State::Finished | State::Excepted | State::Killed => BAD,
        State::Created | State::Running | State::Waiting => UNDER_WAY,
    }
}

fn line(link: LinkType) -> &'static str {
    match link {
        LinkType::InputCalc | LinkType::Create => "solid",
        LinkType::InputWork | LinkType::Return => "dashed",
        LinkType::CallCalc | LinkType::CallWork => "dotted",
    }
}

fn edge_label(link: &Link) -> String {
    format!("{}\n{}", link.link_type.as_str().to_uppercase(), link.label)
}
