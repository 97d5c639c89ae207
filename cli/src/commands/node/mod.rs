//! `ferry node`: any node, its files, and the graph around it.

mod comment;
pub(crate) mod delete;
mod export;
mod graph;
mod list;
mod name;
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
    /// Show or change the label of a node
    Label(name::NameArgs),
    /// Show or change the description of a node
    Description(name::NameArgs),
    /// Read and write what people say about nodes
    #[command(subcommand)]
    Comment(comment::CommentCommand),
    /// Write a data node to a file: its body as JSON and its files, or in a format of its type (--format cif)
    Export(export::ExportArgs),
    /// Delete nodes with all that came of them
    Delete(delete::DeleteArgs),
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
/// Fails if the command fails.
pub(crate) async fn run(session: &Session, command: NodeCommand) -> Result {
    match command {
        NodeCommand::List(args) => list::list(session, args).await,
        NodeCommand::Show { name } => show::run(session, &name).await,
        NodeCommand::Label(args) => name::label(session, args).await,
        NodeCommand::Description(args) => name::description(session, args).await,
        NodeCommand::Comment(command) => comment::run(session, command).await,
        NodeCommand::Export(args) => export::run(session, args).await,
        NodeCommand::Delete(args) => delete::run(session, args).await,
        NodeCommand::Repo(command) => repo::run(session, command).await,
        NodeCommand::Graph(command) => graph::run(session, command).await,
    }
}
