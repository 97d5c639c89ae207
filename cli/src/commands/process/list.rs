//! `ferry process list`.

use std::io::IsTerminal;

use clap::Args;
use ferry_engine::{
    process::State,
    store::{Lock, Process, ProcessFilter},
};

use crate::{
    error::Result,
    listing::ListingArgs,
    output::{self, Format},
    session::Session,
    view::{self, Explainer},
    words::suggestion,
};

/// Arguments of `process list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Those that ended too
    #[arg(short, long)]
    all: bool,
    /// Only those in this state; may be given several times
    #[arg(short = 'S', long = "state", alias = "process-state", value_name = "STATE", value_parser = parse_state)]
    states: Vec<State>,
    /// Only those in this group
    #[arg(short = 'G', long, value_name = "LABEL")]
    group: Option<String>,
    /// Only those of this process type, as `arithmetic.*`
    #[arg(short = 'T', long = "type", alias = "process-label", value_name = "TYPE")]
    process_type: Option<String>,
    /// Only those of this label, as `si-*`
    #[arg(short = 'L', long, value_name = "LABEL")]
    label: Option<String>,
    /// Only those that finished with this exit code
    #[arg(short = 'E', long, alias = "exit-status", value_name = "NUMBER")]
    exit_code: Option<u32>,
    /// Only those that finished with another exit code than 0
    #[arg(short = 'X', long)]
    failed: bool,
    /// Only those that stand still
    #[arg(long)]
    paused: bool,
    #[command(flatten)]
    listing: ListingArgs,
}

/// Columns of a CSV that chooses none.
const COLUMNS: &[&str] = &["id", "created", "type", "label", "state", "exit_code", "status"];

fn parse_state(word: &str) -> Result<State, String> {
    let state = State::ALL.into_iter().find(|state| state.as_str() == word);
    state.ok_or_else(|| suggestion(word, State::ALL.map(State::as_str)))
}

impl ListArgs {
    fn filter(&self) -> ProcessFilter {
        let ended = self.failed || self.exit_code.is_some();
        let states = match (self.states.is_empty(), self.all || ended) {
            (false, _) => self.states.clone(),
            (true, true) => Vec::new(),
            (true, false) => State::LIVE.to_vec(),
        };
        ProcessFilter {
            states,
            group: self.group.clone(),
            process_type: self.process_type.clone(),
            label: self.label.clone(),
            since: self.listing.since(),
            exit_status: self.exit_code,
            failed: self.failed,
            paused: self.paused,
            limit: self.listing.limit_of_store(),
        }
    }
}

/// Lists processes.
pub(super) async fn list(session: &Session, args: ListArgs) -> Result {
    let reader = session.reader().await?;
    if let Some(label) = &args.group {
        crate::commands::group::find(&reader, label)?;
    }
    let processes = args.listing.choose(&reader, reader.processes(&args.filter())?)?;
    if args.listing.has_columns(session) {
        return args.listing.print(session, &reader, &processes, COLUMNS);
    }
    let explainer = Explainer::new(&reader)?;
    if session.format == Format::Json {
        let one = |process| view::process_json_with(&reader, &explainer, process, false);
        let list: Result<Vec<_>> = processes.iter().map(one).collect();
        return output::json(&list?.into());
    }
    show(&explainer, &processes, args.listing.is_raw())?;
    if args.listing.is_raw() {
        return Ok(());
    }
    let total = reader.process_total()?;
    if std::io::stdout().is_terminal() {
        output::note("");
    }
    output::note(format!("{} of {total} processes; {}", processes.len(), daemon_note(session)));
    Ok(())
}

fn show(explainer: &Explainer, processes: &[Process], raw: bool) -> Result {
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
    if raw { output::bare_table(rows) } else { output::table(&header, rows) }
}

/// Describes the program that steps processes, or says that none runs.
fn daemon_note(session: &Session) -> String {
    match Lock::holder(&session.paths().lock()) {
        Some((pid, role)) if role == "daemon" => format!("the daemon is running (pid {pid})"),
        Some((pid, role)) if role == "run" => {
            format!("a `ferry run` (pid {pid}) steps its own, no daemon is running")
        }
        _ => "no daemon is running: `ferry daemon start`".into(),
    }
}
