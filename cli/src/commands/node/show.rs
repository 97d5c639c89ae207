//! `node show`: everything that is stored about one node.

use ferry_engine::store::{Comment, Link, LinkType, Node, NodeFile, NodeId, NodeKind, Process, Reader};
use serde_json::{Value, json};

use super::comment;
use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
};

/// A node with what hangs on it.
struct Shown {
    node: Node,
    process: Option<Process>,
    files: Vec<NodeFile>,
    incoming: Vec<(Link, Node)>,
    outgoing: Vec<(Link, Node)>,
    comments: Vec<Comment>,
    /// When what it names on a computer was removed.
    cleaned: Option<String>,
}

pub(super) async fn run(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let shown = read(&reader, reader.find_node(name)?)?;
    match session.format {
        Format::Json => output::json(&to_json(&shown)),
        Format::Table => print(&shown),
    }
}

fn read(reader: &Reader, node: Node) -> Result<Shown> {
    let other = |link: Link, end: NodeId| -> Result<(Link, Node)> {
        let node = reader.node(end)?;
        Ok((link, node))
    };
    let process = match node.kind {
        NodeKind::Process => Some(reader.process(node.id)?),
        NodeKind::Data => None,
    };
    let cleaned = cleaned(reader, &node)?;
    Ok(Shown {
        process,
        cleaned,
        files: reader.files(node.id)?,
        comments: reader.comments(node.id)?,
        incoming: reader
            .incoming(node.id)?
            .into_iter()
            .map(|link| {
                let end = link.source;
                other(link, end)
            })
            .collect::<Result<_>>()?,
        outgoing: reader
            .outgoing(node.id)?
            .into_iter()
            .map(|link| {
                let end = link.target;
                other(link, end)
            })
            .collect::<Result<_>>()?,
        node,
    })
}

/// Returns the time at which the work directory of a calculation was removed. The node is the directory, or
/// the calculation that made it.
fn cleaned(reader: &Reader, node: &Node) -> Result<Option<String>> {
    let maker = match node.node_type.as_str() {
        _ if node.kind == NodeKind::Process => Some(node.id),
        "remote_folder" => {
            let made = |link: &Link| link.link_type == LinkType::Create && link.label == "remote_folder";
            reader.incoming(node.id)?.iter().find(|link| made(link)).map(|link| link.source)
        }
        _ => None,
    };
    let cleaning = maker.map(|process| reader.cleaning(process)).transpose()?.flatten();
    Ok(cleaning.and_then(|cleaning| cleaning.cleaned).map(|time| time.to_string()))
}

fn to_json(shown: &Shown) -> Value {
    let node = &shown.node;
    let link = |(link, other): &(Link, Node)| {
        json!({
            "label": link.label,
            "link_type": link.link_type.as_str(),
            "id": other.id,
            "uuid": other.uuid.to_string(),
            "type": other.node_type,
        })
    };
    let file = |file: &NodeFile| json!({"path": file.path, "size": file.size, "digest": file.digest, "executable": file.executable});
    json!({
        "id": node.id,
        "uuid": node.uuid.to_string(),
        "kind": if node.kind == NodeKind::Data { "data" } else { "process" },
        "type": node.node_type,
        "label": node.label,
        "description": node.description,
        "computer": node.computer,
        "created": node.created.to_string(),
        "modified": node.modified.to_string(),
        "state": shown.process.as_ref().map(|process| process.state.as_str()),
        "exit_code": shown.process.as_ref().and_then(|process| process.end.status),
        "value": serde_json::to_value(&node.body).unwrap_or_default(),
        "files": shown.files.iter().map(file).collect::<Value>(),
        "incoming": shown.incoming.iter().map(link).collect::<Value>(),
        "outgoing": shown.outgoing.iter().map(link).collect::<Value>(),
        "cleaned": shown.cleaned,
        "comments": shown.comments.iter().map(comment::to_json).collect::<Value>(),
    })
}

fn print(shown: &Shown) -> Result {
    let node = &shown.node;
    let mut fields = vec![
        ("id", node.id.to_string()),
        ("uuid", node.uuid.to_string()),
        ("type", node.node_type.clone()),
        ("label", node.label.clone()),
        ("description", node.description.clone()),
        ("computer", node.computer.clone().unwrap_or_default()),
        ("created", node.created.to_string()),
        ("modified", node.modified.to_string()),
    ];
    match &shown.process {
        Some(process) => {
            fields.push(("state", process.state.as_str().to_owned()));
            fields.extend(process.end.status.map(|status| ("exit code", status.to_string())));
        }
        None => fields.push(("value", value(&node.body))),
    }
    fields.extend(shown.cleaned.clone().map(|time| ("cleaned", time)));
    output::details(fields.into_iter().filter(|(_, text)| !text.is_empty()))?;
    let files = shown.files.iter().map(|file| vec![file.path.clone(), file.size.to_string()]);
    section(&["file", "bytes"], files.collect())?;
    let link = |(link, other): &(Link, Node)| {
        vec![
            link.label.clone(),
            link.link_type.as_str().to_owned(),
            other.id.to_string(),
            other.node_type.clone(),
        ]
    };
    section(&["incoming", "link", "id", "type"], shown.incoming.iter().map(link).collect())?;
    section(&["outgoing", "link", "id", "type"], shown.outgoing.iter().map(link).collect())?;
    let comment = |comment: &Comment| {
        vec![comment.id.to_string(), comment.author.clone(), comment.text.replace('\n', " ")]
    };
    section(&["comment", "by", "text"], shown.comments.iter().map(comment).collect())
}

fn section(header: &[&str], rows: Vec<Vec<String>>) -> Result {
    if rows.is_empty() {
        return Ok(());
    }
    output::line("")?;
    output::table(header, rows)
}

fn value(body: &ferry_plugin_proto::Value) -> String {
    use ferry_plugin_proto::Value as Body;
    match body {
        Body::Null => String::new(),
        Body::Str(text) => text.clone(),
        Body::List(_) | Body::Map(_) => serde_json::to_string_pretty(body).unwrap_or_default(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}
