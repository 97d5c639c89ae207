//! `ferry group`: named sets of nodes.

mod change;

use clap::Subcommand;
use ferry_engine::{
    rpc::Request,
    store::{Group, Node, NodeKind, Reader},
};
use serde_json::{Value, json};

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    words::suggestion,
};

/// The words of `ferry group`.
#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group, with nodes in it or empty
    Create {
        /// Its label
        label: String,
        /// A few words for people
        #[arg(short, long, default_value = "")]
        description: String,
        /// Nodes to put in: ids, uuids or labels
        #[arg(value_name = "NODE")]
        nodes: Vec<String>,
    },
    /// Put nodes into a group
    #[command(alias = "add-nodes")]
    Add(change::NodesArgs),
    /// Take nodes out of a group; they stay in the store
    #[command(alias = "remove-nodes")]
    Remove(change::NodesArgs),
    /// Move nodes from one group to another
    MoveNodes(change::MoveArgs),
    /// Put the nodes of a group into another, which is made if missing
    Copy {
        /// Label of the group
        from: String,
        /// Label of the other
        to: String,
    },
    /// Give a group another label
    Relabel {
        /// Its label
        label: String,
        /// Its new label
        new: String,
    },
    /// Show or change the description of a group
    Description {
        /// Its label
        label: String,
        /// Its new description; without it, the present one is printed
        text: Option<String>,
    },
    /// Delete a group; its nodes stay, unless they are to go too
    Delete(change::DeleteArgs),
    /// List the groups
    List,
    /// Show a group and its nodes
    Show {
        /// Its label
        label: String,
    },
}

/// Runs a command of this group.
///
/// # Errors
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: GroupCommand) -> Result {
    match command {
        GroupCommand::Create { label, description, nodes } => {
            create(session, label, description, nodes).await
        }
        GroupCommand::Add(args) => change::add(session, args).await,
        GroupCommand::Remove(args) => change::remove(session, args).await,
        GroupCommand::MoveNodes(args) => change::move_nodes(session, args).await,
        GroupCommand::Copy { from, to } => change::copy(session, from, to).await,
        GroupCommand::Relabel { label, new } => change::relabel(session, label, new).await,
        GroupCommand::Description { label, text } => change::description(session, label, text).await,
        GroupCommand::Delete(args) => change::delete(session, args).await,
        GroupCommand::List => list(session).await,
        GroupCommand::Show { label } => show(session, &label).await,
    }
}

async fn create(session: &Session, label: String, description: String, nodes: Vec<String>) -> Result {
    if label.trim().is_empty() {
        return Err(Failure::usage("a group needs a label"));
    }
    let request = Request::Group { label: label.clone(), description, nodes, if_missing: false };
    session.call(request).await?;
    let group = find(&session.reader().await?, &label)?;
    match session.format {
        Format::Json => output::json(&to_json(&group)),
        Format::Table => output::line(format!("group `{label}` created with {} nodes", group.count)),
    }
}

async fn list(session: &Session) -> Result {
    let groups = session.reader().await?.groups()?;
    if session.format == Format::Json {
        return output::json(&groups.iter().map(to_json).collect());
    }
    let row = |group: &Group| {
        vec![group.id.to_string(), group.label.clone(), group.count.to_string(), group.description.clone()]
    };
    output::table(&["id", "label", "nodes", "description"], groups.iter().map(row))
}

async fn show(session: &Session, label: &str) -> Result {
    let reader = session.reader().await?;
    let group = find(&reader, label)?;
    let members = reader.members(&group.label)?;
    if session.format == Format::Json {
        let mut shown = to_json(&group);
        shown["nodes"] = members.iter().map(|node| member(&reader, node)).collect::<Result<Value>>()?;
        return output::json(&shown);
    }
    output::details([
        ("label", group.label),
        ("description", group.description),
        ("created", group.created.to_string()),
        ("nodes", group.count.to_string()),
    ])?;
    if members.is_empty() {
        return Ok(());
    }
    output::line("")?;
    let mut rows = Vec::new();
    for node in &members {
        let state = state(&reader, node)?.unwrap_or_default();
        rows.push(vec![node.id.to_string(), node.node_type.clone(), state, node.label.clone()]);
    }
    output::table(&["id", "type", "state", "label"], rows)
}

/// Returns the group of this label.
///
/// # Errors
/// Fails if there is none.
pub(crate) fn find(reader: &Reader, label: &str) -> Result<Group> {
    let groups = reader.groups()?;
    if let Some(group) = groups.iter().find(|group| group.label == label) {
        return Ok(group.clone());
    }
    let hint = match groups.as_slice() {
        [] => "there are none; `ferry group create` makes one".to_owned(),
        some => suggestion(label, some.iter().map(|group| group.label.as_str())),
    };
    Err(Failure::new(format!("no group is called `{label}`")).help(hint))
}

fn to_json(group: &Group) -> Value {
    json!({
        "id": group.id,
        "uuid": group.uuid.to_string(),
        "label": group.label,
        "description": group.description,
        "created": group.created.to_string(),
        "count": group.count,
    })
}

fn member(reader: &Reader, node: &Node) -> Result<Value> {
    Ok(json!({
        "id": node.id,
        "uuid": node.uuid.to_string(),
        "type": node.node_type,
        "label": node.label,
        "state": state(reader, node)?,
    }))
}

fn state(reader: &Reader, node: &Node) -> Result<Option<String>> {
    match node.kind {
        NodeKind::Data => Ok(None),
        NodeKind::Process => Ok(Some(reader.process(node.id)?.state.as_str().to_owned())),
    }
}
