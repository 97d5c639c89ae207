//! `node label` and `node description`: what people call a node. All else of a stored node stays as it is.

use clap::Args;
use ferry_engine::rpc::Request;

use crate::{error::Result, output, session::Session};

/// Of which node, and the new text.
#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// Id, uuid or label
    #[arg(value_name = "NODE")]
    node: String,
    /// The new text; without it, the present one is printed
    #[arg(value_name = "TEXT")]
    text: Option<String>,
}

pub(super) async fn label(session: &Session, args: NameArgs) -> Result {
    let node = session.reader().await?.find_node(&args.node)?;
    match args.text {
        None => output::line(node.label),
        Some(text) => {
            change(session, Request::Describe { node: node.id, label: Some(text), description: None }).await
        }
    }
}

pub(super) async fn description(session: &Session, args: NameArgs) -> Result {
    let node = session.reader().await?.find_node(&args.node)?;
    match args.text {
        None => output::line(node.description),
        Some(text) => {
            change(session, Request::Describe { node: node.id, label: None, description: Some(text) }).await
        }
    }
}

async fn change(session: &Session, request: Request) -> Result {
    session.call(request).await.map(drop)
}
