//! `ferry process list`.

use std::io::IsTerminal;

use clap::Args;
use ferry_engine::{
    process::State,
    store::{Lock, Process, ProcessFilter},
};

use crate::{
    error::Result,
    output::{self, Format},
    session::Session,
    view::{self, Explainer},
    words::suggestion,
};

/// Which processes to list.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those that ended too
    #[arg(short, long)]
    all: bool,
    /// At most so many, the newest
    #[arg(short, long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Only those in this state; may be given several times
    #[arg(short = 'S', long = "state", value_name = "STATE", value_parser = parse_state)]
    states: Vec<State>,
    /// Only those in this group
    #[arg(short = 'G', long, value_name = "LABEL")]
    group: Option<String>,
    /// Only those of this process type
    #[arg(short = 'T', long = "type", value_name = "TYPE")]
    process_type: Option<String>,
}

fn parse_state(word: &str) -> Result<State, String> {
    let state = State::ALL.into_iter().find(|state| state.as_str() == word);
    state.ok_or_else(|| suggestion(word, State::ALL.map(State::as_str)))
}

impl ListArgs {
    fn filter(self) -> ProcessFilter {
        let states = match (self.states.is_empty(), self.all) {
            (false, _) => self.states,
            (true, true) => Vec::new(),
            (true, false) => State::LIVE.to_vec(),
        };
        ProcessFilter { states, group: self.group, process_type: self.process_type, limit: self.limit }
    }
}

/// Lists.
pub(super) async fn list(session: &Session, args: ListArgs) -> Result {
    let reader = session.reader().await?;
    let processes = reader.processes(&args.filter())?;
    let explainer = Explainer::new(&reader)?;
    if session.format == Format::Json {
        let one = |process| view::process_json_with(&reader, &explainer, process, false);
        let list: Result<Vec<_>> = processes.iter().map(one).collect();
        return output::json(&list?.into());
    }
    show(&explainer, &processes)?;
    let total = reader.process_total()?;
    if std::io::stdout().is_terminal() {
        output::note("");
    }
    output::note(format!("{} of {total} processes; {}", processes.len(), daemon_note(session)));
    Ok(())
}

fn show(explainer: &Explainer, processes: &[Process]) -> Result {
    if processes.is_empty() {
        return Ok(());
    }
    let labelled = processes.iter().any(|process| !process.label.is_empty());
    let mut header = vec!["id", "created", "type", "label", "state", "status"];
    header.retain(|name| labelled || *name != "label");
    let rows = processes.iter().map(|process| {
        let status = explainer.status(process).unwrap_or_default();
        let mut row = vec![process.id.to_string(), view::age(process.created), process.process_type.clone()];
        if labelled {
            row.push(process.label.clone());
        }
        row.extend([view::state(process), status]);
        row
    });
    output::table(&header, rows)
}

/// Whether anything brings processes on.
fn daemon_note(session: &Session) -> String {
    match Lock::holder(&session.paths().lock()) {
        Some((pid, role)) if role == "daemon" => format!("the daemon is running (pid {pid})"),
        Some((pid, role)) if role == "run" => {
            format!("a `ferry run` (pid {pid}) steps its own, no daemon is running")
        }
        _ => "no daemon is running: `ferry daemon start`".into(),
    }
}
