//! `ferry node list`.

use clap::{Args, ValueEnum};
use ferry_engine::store::{Node, NodeFilter, NodeKind, Reader};
use serde_json::{Value, json};

use crate::{
    error::Result,
    listing::ListingArgs,
    output::{self, Format},
    session::Session,
    view,
};

/// Arguments of `node list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only data, or only processes
    #[arg(short, long, value_enum)]
    kind: Option<Kind>,
    /// Only those of this type, as `int` or `arithmetic.*`
    #[arg(short = 'T', long = "type", value_name = "TYPE")]
    node_type: Option<String>,
    /// Only those of this label, as `si-*`
    #[arg(short = 'L', long, value_name = "LABEL")]
    label: Option<String>,
    /// Only those in this group
    #[arg(short = 'G', long, value_name = "LABEL")]
    group: Option<String>,
    #[command(flatten)]
    listing: ListingArgs,
}

/// Kinds of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Values and files.
    Data,
    /// Runs of process types.
    Process,
}

/// Columns of a list that chooses none.
const COLUMNS: &[&str] = &["id", "created", "type", "label", "state", "value"];

impl ListArgs {
    fn filter(&self) -> NodeFilter {
        NodeFilter {
            kind: self.kind.map(|kind| if kind == Kind::Data { NodeKind::Data } else { NodeKind::Process }),
            node_type: self.node_type.clone(),
            label: self.label.clone(),
            group: self.group.clone(),
            since: self.listing.since(),
            limit: self.listing.limit_of_store(),
        }
    }
}

/// Lists nodes.
pub(super) async fn list(session: &Session, args: ListArgs) -> Result {
    let reader = session.reader().await?;
    if let Some(label) = &args.group {
        crate::commands::group::find(&reader, label)?;
    }
    let nodes = args.listing.choose(&reader, reader.nodes(&args.filter())?)?;
    if session.format == Format::Json && !args.listing.has_columns(session) {
        return output::json(&nodes.iter().map(|node| one(&reader, node)).collect::<Result<Value>>()?);
    }
    args.listing.print(session, &reader, &nodes, COLUMNS)
}

fn one(reader: &Reader, node: &Node) -> Result<Value> {
    let mut shown = view::node_json(reader, node)?;
    shown["kind"] = json!(if node.kind == NodeKind::Data { "data" } else { "process" });
    shown["label"] = json!(node.label);
    shown["created"] = json!(view::time(node.created));
    shown["modified"] = json!(view::time(node.modified));
    shown["computer"] = json!(node.computer);
    Ok(shown)
}
