//! `node comment`: users' comments on a node.

use clap::Subcommand;
use ferry_engine::{
    rpc::Request,
    store::{Comment, CommentChange},
};
use serde_json::{Value, json};

use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// The words of `ferry node comment`.
#[derive(Debug, Subcommand)]
pub(crate) enum CommentCommand {
    /// Say something about nodes
    Add {
        /// Ids, uuids or labels
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// What to say
        #[arg(short, long, visible_alias = "content", value_name = "TEXT")]
        message: String,
    },
    /// Show what was said about a node
    Show {
        /// Id, uuid or label
        #[arg(value_name = "NODE")]
        node: String,
    },
    /// Give a comment another text
    Update {
        /// Number of the comment, as `show` tells it
        #[arg(value_name = "COMMENT")]
        comment: i64,
        /// What to say
        #[arg(short, long, visible_alias = "content", value_name = "TEXT")]
        message: String,
    },
    /// Take comments away
    Remove {
        /// Numbers of comments, as `show` tells them
        #[arg(required = true, value_name = "COMMENT")]
        comments: Vec<i64>,
    },
}

pub(super) async fn run(session: &Session, command: CommentCommand) -> Result {
    match command {
        CommentCommand::Add { nodes, message } => add(session, &nodes, &message).await,
        CommentCommand::Show { node } => show(session, &node).await,
        CommentCommand::Update { comment, message } => {
            let text = said(&message)?;
            session.call(Request::Comment(CommentChange::Rewrite { comment, text })).await.map(drop)
        }
        CommentCommand::Remove { comments } => {
            for comment in comments {
                session.call(Request::Comment(CommentChange::Remove(comment))).await?;
            }
            Ok(())
        }
    }
}

async fn add(session: &Session, nodes: &[String], message: &str) -> Result {
    let reader = session.reader().await?;
    let text = said(message)?;
    let nodes: Vec<_> = nodes.iter().map(|name| Ok(reader.find_node(name)?.id)).collect::<Result<_>>()?;
    for node in &nodes {
        let change = CommentChange::Add { node: *node, author: author(), text: text.clone() };
        session.call(Request::Comment(change)).await?;
    }
    let mut made = Vec::new();
    for node in nodes {
        made.extend(reader.comments(node)?.into_iter().next_back());
    }
    match session.format {
        Format::Json => output::json(&made.iter().map(to_json).collect()),
        Format::Table => made
            .iter()
            .try_for_each(|comment| output::line(format!("comment {} on node {}", comment.id, comment.node))),
    }
}

fn said(message: &str) -> Result<String> {
    match message.trim() {
        "" => Err(Failure::usage("a comment needs a text")),
        text => Ok(text.to_owned()),
    }
}

/// Returns the user's login, for people.
fn author() -> String {
    let named = ["LOGNAME", "USER"].into_iter().find_map(|name| std::env::var(name).ok());
    named
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}

async fn show(session: &Session, node: &str) -> Result {
    let reader = session.reader().await?;
    let comments = reader.comments(reader.find_node(node)?.id)?;
    if session.format == Format::Json {
        return output::json(&comments.iter().map(to_json).collect());
    }
    comments.iter().try_for_each(|comment| {
        let changed = if comment.modified == comment.created { "" } else { ", changed later" };
        let (when, who) = (view::time(comment.created), &comment.author);
        output::line(format!("comment {} by {who}, {when}{changed}\n{}\n", comment.id, comment.text))
    })
}

/// Returns a comment for scripts.
pub(super) fn to_json(comment: &Comment) -> Value {
    json!({
        "id": comment.id,
        "uuid": comment.uuid.to_string(),
        "node": comment.node,
        "author": comment.author,
        "text": comment.text,
        "created": view::time(comment.created),
        "modified": view::time(comment.modified),
    })
}
