//! `ferry process status`: a process and all that it called, as a tree.

use ferry_engine::store::{Process, Reader};

use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
    view::{self, Explainer},
};

/// A process with those that it called.
struct Tree {
    process: Process,
    called: Vec<Tree>,
}

/// Shows the tree.
pub(super) async fn status(session: &Session, name: &str) -> Result {
    let reader = session.reader().await?;
    let tree = read(&reader, view::find_process(&reader, name)?)?;
    match session.format {
        Format::Json => output::json(&json(&reader, &tree)?),
        Format::Table => {
            let mut lines = Vec::new();
            draw(&view::Explainer::new(&reader)?, &tree, "", "", &mut lines);
            output::line(lines.join("\n"))
        }
    }
}

fn read(reader: &Reader, process: Process) -> Result<Tree> {
    let children = view::children(reader, process.id)?;
    let called = children.into_iter().map(|child| read(reader, child)).collect::<Result<_>>()?;
    Ok(Tree { process, called })
}

fn json(reader: &Reader, tree: &Tree) -> Result<serde_json::Value> {
    let mut value = view::process_json(reader, &tree.process, false)?;
    let called: Result<Vec<_>> = tree.called.iter().map(|child| json(reader, child)).collect();
    value["called"] = called?.into();
    Ok(value)
}

fn draw(explainer: &Explainer, tree: &Tree, here: &str, below: &str, lines: &mut Vec<String>) {
    let Process { id, process_type, label, .. } = &tree.process;
    let label = if label.is_empty() { String::new() } else { format!(" \"{label}\"") };
    let status = explainer.status(&tree.process).map(|status| format!(": {status}")).unwrap_or_default();
    lines.push(format!("{here}{process_type} ({id}){label} {}{status}", view::state(&tree.process)));
    for (at, child) in tree.called.iter().enumerate() {
        let last = at + 1 == tree.called.len();
        let (branch, trunk) = if last { ("└── ", "    ") } else { ("├── ", "│   ") };
        draw(explainer, child, &format!("{below}{branch}"), &format!("{below}{trunk}"), lines);
    }
}
