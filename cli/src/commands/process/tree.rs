//! `ferry process status`: processes and all that they called, as trees; with `--live`, as they change.

mod live;
mod screen;

use clap::Args;
use ferry_engine::{
    process::State,
    store::{NodeId, Process, Reader},
};

use super::find_all;
use crate::{
    error::Result,
    output::{self, Format},
    printable::printable,
    session::Session,
    view::{self, Explainer},
};

/// The words of `ferry process status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Ids, uuids, unique starts of a uuid, or labels
    #[arg(required = true, value_name = "ID")]
    processes: Vec<String>,
    /// Follow them to their end: redrawn on a terminal, elsewhere a line for each change
    #[arg(short, long)]
    live: bool,
}

/// A process with the processes that it called.
struct Tree {
    process: Process,
    called: Vec<Tree>,
}

impl Tree {
    /// Returns whether the process and all that it called finished with success.
    fn is_fine(&self) -> bool {
        let fine = self.process.state == State::Finished && self.process.end.status == Some(0);
        fine && self.called.iter().all(Tree::is_fine)
    }

    /// Returns whether the process and all that it called have ended, so that nothing of it changes any more.
    fn has_ended(&self) -> bool {
        self.process.state.is_terminal() && self.called.iter().all(Tree::has_ended)
    }
}

/// A line of a picture, and the process that it is about.
#[derive(Clone)]
struct Row {
    text: String,
    id: Option<NodeId>,
    state: State,
    /// True if no problem is known.
    is_fine: bool,
}

/// Shows the trees.
pub(super) async fn status(session: &Session, args: &StatusArgs) -> Result {
    let reader = session.reader().await?;
    let roots = find_all(&reader, &args.processes)?;
    if args.live {
        return live::follow(session, &reader, roots).await;
    }
    let trees = roots.into_iter().map(|root| read(&reader, root)).collect::<Result<Vec<_>>>()?;
    match session.format {
        Format::Json => output::json(&match trees.as_slice() {
            [tree] => json(&reader, tree)?,
            trees => trees.iter().map(|tree| json(&reader, tree)).collect::<Result<Vec<_>>>()?.into(),
        }),
        Format::Table => {
            let rows = rows(&Explainer::new(&reader)?, &trees, usize::MAX);
            rows.iter().flatten().try_for_each(|row| output::line(&row.text))
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

/// Returns the lines of some trees. If a process has more than `most` children that succeeded, these are one
/// line.
fn rows(explainer: &Explainer, trees: &[Tree], most: usize) -> Vec<Vec<Row>> {
    let lines = |tree| {
        let mut rows = Vec::new();
        draw(explainer, tree, ("", ""), most, &mut rows);
        rows
    };
    trees.iter().map(lines).collect()
}

/// Draws a tree. `here` stands before the process, `below` before those that it called.
fn draw(explainer: &Explainer, tree: &Tree, (here, below): (&str, &str), most: usize, rows: &mut Vec<Row>) {
    let process = &tree.process;
    rows.push(Row {
        text: format!("{here}{}", told(explainer, process)),
        id: Some(process.id),
        state: process.state,
        is_fine: !process.is_failed() && !matches!(process.state, State::Excepted | State::Killed),
    });
    let fine = tree.called.iter().filter(|child| child.is_fine()).count();
    let folds = fine > most;
    let mut left: Vec<&Tree> = tree.called.iter().filter(|child| !folds || !child.is_fine()).collect();
    if folds {
        let branch = if left.is_empty() { "└── " } else { "├── " };
        let text = format!("{below}{branch}{fine} finished [0]");
        rows.push(Row { text, id: None, state: State::Finished, is_fine: true });
    }
    let last = left.pop();
    for child in left {
        let (here, below) = (format!("{below}├── "), format!("{below}│   "));
        draw(explainer, child, (&here, &below), most, rows);
    }
    if let Some(child) = last {
        let (here, below) = (format!("{below}└── "), format!("{below}    "));
        draw(explainer, child, (&here, &below), most, rows);
    }
}

/// Describes a process in one line, whatever its label and its status contain.
fn told(explainer: &Explainer, process: &Process) -> String {
    let Process { id, process_type, label, .. } = process;
    let label = if label.is_empty() { String::new() } else { format!(" \"{label}\"") };
    let status = explainer.status(process).map(|status| format!(": {status}")).unwrap_or_default();
    one_line(&format!("{process_type} ({id}){label} {}{status}", view::state(process)))
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split(|c: char| c.is_control()).map(str::trim_end).collect();
    printable(&words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_one_line_whatever_it_says() {
        assert_eq!(one_line("it failed:\n  bad\t\u{1b}[31m line\r\n"), "it failed:   bad [31m line");
    }
}
