//! `node delete`, `process delete` and `group delete --delete-nodes`: nodes go with all that came of them. What goes
//! is shown first; the store refuses if more would go than was shown.

use std::collections::BTreeMap;

use clap::Args;
use ferry_engine::{
    rpc::Request,
    store::{Deletion, Follow, NodeId, NodeKind, Reader},
};
use serde_json::json;

use crate::{
    ask::agreed,
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// Most nodes that are shown one by one.
const SHOWN: usize = 30;

/// Options of a deletion.
#[derive(Debug, Args)]
pub(crate) struct DeleteOptions {
    /// Keep what calculations that go have made
    #[arg(long)]
    no_create_forward: bool,
    /// Keep calculations that were called by workflows that go
    #[arg(long)]
    no_call_calc_forward: bool,
    /// Keep workflows that were called by workflows that go
    #[arg(long)]
    no_call_work_forward: bool,
    /// Only tell what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Don't ask
    #[arg(short = 'y', long, alias = "force")]
    yes: bool,
}

impl DeleteOptions {
    /// Returns whether this is a dry run.
    pub(crate) fn is_dry(&self) -> bool {
        self.dry_run
    }

    fn follow(&self) -> Follow {
        Follow {
            create_forward: !self.no_create_forward,
            call_calc_forward: !self.no_call_calc_forward,
            call_work_forward: !self.no_call_work_forward,
        }
    }
}

/// Arguments of `node delete`.
#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// Ids, uuids or labels
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    #[command(flatten)]
    options: DeleteOptions,
}

/// Deletes nodes of any kind.
pub(super) async fn run(session: &Session, args: DeleteArgs) -> Result {
    let reader = session.reader().await?;
    let roots = args.nodes.iter().map(|name| Ok(reader.find_node(name)?.id)).collect::<Result<_>>()?;
    delete(session, &reader, roots, Vec::new(), &args.options).await
}

/// Deletes processes.
pub(crate) async fn processes(session: &Session, args: DeleteArgs) -> Result {
    let reader = session.reader().await?;
    let one = |name: &String| Ok(view::find_process(&reader, name)?.id);
    let roots = args.nodes.iter().map(one).collect::<Result<_>>()?;
    delete(session, &reader, roots, Vec::new(), &args.options).await
}

/// Shows the nodes to delete, asks, and deletes them together with these groups.
///
/// # Errors
/// Fails if nobody agreed, or if the store refuses.
pub(crate) async fn delete(
    session: &Session,
    reader: &Reader,
    roots: Vec<NodeId>,
    groups: Vec<String>,
    options: &DeleteOptions,
) -> Result {
    let seen = reader.deleted_with(&roots, options.follow())?;
    let count = seen.len();
    show(session, reader, &roots, &seen, options.dry_run)?;
    if options.dry_run {
        return Ok(());
    }
    if !options.yes {
        match agreed(session, &format!("delete {} for good?", nodes(count)))? {
            Some(true) => {}
            Some(false) => return Err(Failure::new("nothing was deleted")),
            None => {
                let text = format!("{} would go for good, and nobody is here to agree", nodes(count));
                return Err(Failure::usage(text).help("look with `--dry-run`, then say `--yes`"));
            }
        }
    }
    let deletion = Deletion { roots, follow: options.follow(), seen };
    session.call(Request::Delete { nodes: deletion, groups }).await?;
    if session.format == Format::Table {
        output::line(format!(
            "{count} nodes deleted; `ferry storage maintain` frees the space of their files"
        ))?;
    }
    Ok(())
}

fn show(session: &Session, reader: &Reader, roots: &[NodeId], seen: &[NodeId], dry: bool) -> Result {
    if session.format == Format::Json {
        return output::json(&json!({"dry_run": dry, "nodes": seen}));
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let (mut rows, mut live) = (Vec::new(), 0);
    for id in seen {
        let node = reader.node(*id)?;
        let process = (node.kind == NodeKind::Process).then(|| reader.process(*id)).transpose()?;
        live += usize::from(process.as_ref().is_some_and(|process| !process.state.is_terminal()));
        *kinds.entry(node.node_type.clone()).or_default() += 1;
        let why = if roots.contains(id) { "named" } else { "came of it" };
        let state = process.as_ref().map(view::state).unwrap_or_default();
        rows.push(vec![id.to_string(), node.node_type, node.label, state, why.to_owned()]);
    }
    let more = rows.len().saturating_sub(SHOWN);
    rows.truncate(SHOWN);
    output::table(&["id", "type", "label", "state", "why"], rows)?;
    if more > 0 {
        output::line(format!("and {more} more"))?;
    }
    let kinds: Vec<_> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    output::line(format!(
        "{} {} go: {}",
        nodes(seen.len()),
        if dry { "would" } else { "will" },
        kinds.join(", ")
    ))?;
    if live > 0 {
        output::warn(format!("{live} of them have not ended: until then nothing is deleted"));
    }
    Ok(())
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}
