//! Commands that change groups: their nodes, their names, their deletion.

use clap::Args;
use ferry_engine::{
    rpc::Request,
    store::{GroupChange, NodeId, Reader},
};

use super::find;
use crate::{
    commands::node::delete::{self, DeleteOptions},
    error::{Failure, Result},
    output,
    session::Session,
};

/// Arguments of the commands that change a group's nodes.
#[derive(Debug, Args)]
pub(crate) struct NodesArgs {
    /// Its label
    group: String,
    /// Ids, uuids or labels
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

/// Arguments of the commands that move or copy nodes.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// Label of the group that they are in
    from: String,
    /// Label of the group that they go to
    to: String,
    /// Ids, uuids or labels
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NODE")]
    nodes: Vec<String>,
    /// All nodes of the group
    #[arg(short, long)]
    all: bool,
}

/// Arguments of `group delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Its label
    label: String,
    /// Delete its nodes too, with all that came of them
    #[arg(long)]
    delete_nodes: bool,
    #[command(flatten)]
    options: DeleteOptions,
}

pub(super) async fn add(session: &Session, args: NodesArgs) -> Result {
    let reader = session.reader().await?;
    let before = find(&reader, &args.group)?.count;
    one(session, &args.group, GroupChange::Add(ids(&reader, &args.nodes)?)).await?;
    told(&reader, &args.group, before)
}

pub(super) async fn remove(session: &Session, args: NodesArgs) -> Result {
    let reader = session.reader().await?;
    let before = find(&reader, &args.group)?.count;
    let nodes = ids(&reader, &args.nodes)?;
    refuse_strangers(&reader, &args.group, &nodes)?;
    one(session, &args.group, GroupChange::Remove(nodes)).await?;
    told(&reader, &args.group, before)
}

/// Takes nodes from one group into another, in one transaction.
pub(super) async fn move_nodes(session: &Session, args: MoveArgs) -> Result {
    let reader = session.reader().await?;
    find(&reader, &args.from)?;
    let before = find(&reader, &args.to)?.count;
    let nodes = if args.all { members(&reader, &args.from)? } else { ids(&reader, &args.nodes)? };
    refuse_strangers(&reader, &args.from, &nodes)?;
    let changes =
        vec![(args.from, GroupChange::Remove(nodes.clone())), (args.to.clone(), GroupChange::Add(nodes))];
    session.call(Request::Groups(changes)).await?;
    told(&reader, &args.to, before)
}

/// Makes a group of the same nodes, or puts them into one that is there.
pub(super) async fn copy(session: &Session, from: String, to: String) -> Result {
    let reader = session.reader().await?;
    let source = find(&reader, &from)?;
    let there = reader.groups()?.into_iter().find(|group| group.label == to);
    let nodes = members(&reader, &from)?;
    let make = GroupChange::Make { description: source.description, if_missing: true };
    session.call(Request::Groups(vec![(to.clone(), make), (to.clone(), GroupChange::Add(nodes))])).await?;
    told(&reader, &to, there.map_or(0, |group| group.count))
}

pub(super) async fn relabel(session: &Session, label: String, new: String) -> Result {
    find(&session.reader().await?, &label)?;
    if new.trim().is_empty() {
        return Err(Failure::usage("a group needs a label"));
    }
    one(session, &label, GroupChange::Relabel(new.clone())).await?;
    output::line(format!("group `{label}` is called `{new}` now"))
}

pub(super) async fn description(session: &Session, label: String, text: Option<String>) -> Result {
    let group = find(&session.reader().await?, &label)?;
    match text {
        None => output::line(group.description),
        Some(text) => one(session, &label, GroupChange::Describe(text)).await,
    }
}

pub(super) async fn delete(session: &Session, args: DeleteArgs) -> Result {
    let reader = session.reader().await?;
    let group = find(&reader, &args.label)?;
    if args.delete_nodes && group.count > 0 {
        let roots = members(&reader, &args.label)?;
        return delete::delete(session, &reader, roots, vec![args.label], &args.options).await;
    }
    if args.options.is_dry() {
        let stay = format!("the group `{}` would go; its {} nodes would stay", group.label, group.count);
        return output::line(stay);
    }
    one(session, &args.label, GroupChange::Delete).await?;
    output::line(format!("group `{}` deleted; its {} nodes stay", group.label, group.count))
}

async fn one(session: &Session, label: &str, change: GroupChange) -> Result {
    session.call(Request::Groups(vec![(label.to_owned(), change)])).await.map(drop)
}

fn ids(reader: &Reader, names: &[String]) -> Result<Vec<NodeId>> {
    names.iter().map(|name| Ok(reader.find_node(name)?.id)).collect()
}

fn members(reader: &Reader, label: &str) -> Result<Vec<NodeId>> {
    Ok(reader.members(label)?.into_iter().map(|node| node.id).collect())
}

/// # Errors
/// Fails with the nodes that are not in the group.
fn refuse_strangers(reader: &Reader, label: &str, nodes: &[NodeId]) -> Result {
    let members = members(reader, label)?;
    let strangers: Vec<_> =
        nodes.iter().filter(|node| !members.contains(node)).map(ToString::to_string).collect();
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("not in the group `{label}`: {}", strangers.join(", ")))
        .help(format!("`ferry group show {label}` shows its nodes")))
}

/// Prints the number of nodes that the group has now.
fn told(reader: &Reader, label: &str, before: u64) -> Result {
    let now = find(reader, label)?.count;
    output::line(format!("group `{label}` has {now} nodes ({before} before)"))
}
