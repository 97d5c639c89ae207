//! `ferry node`: any node, its files, and the graph around it.

mod graph;
mod list;
mod repo;
mod show;

use clap::Subcommand;

use crate::{error::Result, session::Session};

/// The words of `ferry node`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List nodes, of all kinds or some
    List(list::ListArgs),
    /// Show a node: its value, files and links
    Show {
        /// Id, uuid or label
        #[arg(value_name = "NODE")]
        name: String,
    },
    /// Look at the files of a node
    #[command(subcommand)]
    Repo(repo::RepoCommand),
    /// Draw where nodes came from and what they led to
    #[command(subcommand)]
    Graph(graph::GraphCommand),
}

/// Runs a command of this group.
///
/// # Errors
/// What the command can't do.
pub(crate) async fn run(session: &Session, command: NodeCommand) -> Result {
    match command {
        NodeCommand::List(args) => list::list(session, args).await,
        NodeCommand::Show { name } => show::run(session, &name).await,
        NodeCommand::Repo(command) => repo::run(session, command).await,
        NodeCommand::Graph(command) => graph::run(session, command).await,
    }
}
