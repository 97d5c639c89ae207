//! `ferry run`: start a process, follow it in this terminal, and print its outputs.

use std::{io::IsTerminal, time::Duration};

use ferry_engine::{
    embed::{RunEnd, RunError, RunEvent},
    process::State,
    rpc::Request,
    store::{NodeId, Process, Reader},
};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::mpsc, time::timeout};

use super::launch::{LaunchArgs, dry_run};
use crate::{
    error::{Failure, Result},
    output::{self, Format},
    printable::printable,
    session::Session,
    view,
};

/// Time after a first Ctrl-C during which a second one still means "kill".
const SECOND_THOUGHT: Duration = Duration::from_secs(2);

/// Runs the process.
///
/// # Errors
/// Fails with all problems of the launch (exit status 2), or if the process did not succeed (1).
pub(crate) async fn run(session: &Session, args: LaunchArgs) -> Result {
    let launch = args.launch(session).await?;
    if launch.metadata.dry_run {
        return dry_run(session, launch).await;
    }
    let (interrupts, ours) = interrupts();
    let mut progress = Progress::new(0);
    let end = ferry_engine::embed::run_tree(
        &session.builder,
        launch,
        &mut |event| progress.tell(event),
        interrupts,
    )
    .await;
    progress.clear();
    finish(session, end, ours).await
}

/// Follows an existing process in the same way: `ferry process attach`.
///
/// # Errors
/// As [`run`].
pub(crate) async fn attach(session: &Session, name: &str) -> Result {
    let process = view::find_process(&session.reader().await?, name)?;
    let id = process.id.0;
    if process.state.is_terminal() {
        return conclude(session, id).await;
    }
    if process.wishes.paused {
        return Err(paused(&process));
    }
    let (mut interrupts, ours) = interrupts();
    let mut progress = Progress::new(id);
    let end =
        ferry_engine::embed::attach(&session.builder, id, &mut |event| progress.tell(event), &mut interrupts)
            .await;
    progress.clear();
    finish(session, end, ours).await
}

async fn finish(
    session: &Session,
    end: Result<RunEnd, RunError>,
    mut interrupts: mpsc::Receiver<()>,
) -> Result {
    match end {
        Err(RunError::Refused(problems)) => Err(Failure::problems("the inputs are not right", &problems)),
        Err(RunError::Client(error)) => Err(error.into()),
        Ok(RunEnd::Ended { id }) => conclude(session, id).await,
        Ok(RunEnd::Detached { id, .. }) if !interrupts.is_empty() => {
            let_go(session, id, &mut interrupts).await
        }
        Ok(RunEnd::Detached { id, owned }) => {
            let found = session.reader().await?.process(NodeId(id))?;
            Err(if found.wishes.paused { paused(&found) } else { left_behind(id, owned) })
        }
    }
}

/// Handles Ctrl-C: the first one pauses the process on disk and detaches; a second one kills it.
async fn let_go(session: &Session, id: i64, interrupts: &mut mpsc::Receiver<()>) -> Result {
    session.call(Request::Pause { processes: vec![id], paused: true }).await?;
    if session.reader().await?.process(NodeId(id))?.state.is_terminal() {
        return conclude(session, id).await;
    }
    output::note(format!("process {id} is paused; Ctrl-C again within 2 s kills it"));
    if second_interrupt(interrupts).await {
        return kill(session, id, interrupts).await;
    }
    Err(Failure::new(format!("process {id} is paused; nothing of it is lost")).help(format!(
        "`ferry process play {id}` lets it go on: then `ferry daemon start` brings it on in the background, or \
         `ferry process attach {id}` in this terminal; `ferry process kill {id}` ends it"
    )))
}

/// Returns two receivers of Ctrl-C: one for the engine, one for us.
fn interrupts() -> (mpsc::Receiver<()>, mpsc::Receiver<()>) {
    let (engine, for_engine) = mpsc::channel(8);
    let (own, for_us) = mpsc::channel(8);
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            // A full channel has heard enough. We first: what the engine does then asks us whether it was Ctrl-C.
            let _ = own.try_send(());
            let _ = engine.try_send(());
        }
    });
    (for_engine, for_us)
}

/// Display of the process's position: a spinner on a terminal, else a line for each change.
struct Progress {
    bar: Option<ProgressBar>,
    id: i64,
    last: String,
}

impl Progress {
    fn new(id: i64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Progress { bar, id, last: String::new() }
    }

    fn tell(&mut self, event: RunEvent) {
        match event {
            RunEvent::Launched { id, uuid } => {
                self.id = id;
                self.say(format!("started ({uuid})"));
            }
            RunEvent::Changed { state, status: Some(status) } if !state.is_terminal() => {
                self.say(format!("{}: {status}", state.as_str()));
            }
            RunEvent::Changed { state, .. } => self.say(state.as_str().to_owned()),
            RunEvent::HandedOver => self.say("handed over to the daemon that starts".to_owned()),
        }
    }

    fn say(&mut self, text: String) {
        if text == self.last {
            return;
        }
        match &self.bar {
            Some(bar) => bar.set_message(printable(&format!("process {}: {text}", self.id)).into_owned()),
            None => output::note(format!("process {}: {text}", self.id)),
        }
        self.last = text;
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn conclude(session: &Session, id: i64) -> Result {
    let reader = session.reader().await?;
    let process = reader.process(NodeId(id))?;
    match session.format {
        Format::Json => output::json(&view::process_json(&reader, &process, true)?)?,
        Format::Table => show_outputs(&reader, &process)?,
    }
    match (process.state, process.end.status) {
        (State::Finished, Some(0)) => Ok(()),
        _ => Err(ended_badly(&reader, &process)),
    }
}

fn show_outputs(reader: &Reader, process: &Process) -> Result {
    let outputs = view::outputs(reader, process.id)?;
    if outputs.is_empty() {
        return Ok(());
    }
    let rows = outputs.into_iter().map(|(label, node)| {
        let value = view::value_line(reader, &node);
        vec![label, node.node_type, node.id.to_string(), value]
    });
    output::table(&["output", "type", "id", "value"], rows)
}

/// Makes the error about a process that failed, was excepted or was killed.
fn ended_badly(reader: &Reader, process: &Process) -> Failure {
    let what = match (process.state, process.end.status) {
        (State::Finished, Some(status)) => format!("failed with exit code {status}"),
        (state, _) => state.as_str().to_owned(),
    };
    let why = process.end.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    let mut failure = Failure::new(format!("{}: {what}{why}", view::title(process)))
        .help(format!("`ferry process report {}` tells the whole story", process.id));
    if let Ok(Some(text)) = view::scheduler_stderr(reader, process) {
        failure.lines.push("the end of the job's stderr:".into());
        failure.lines.extend(text.lines().map(|line| format!("  {line}")));
    }
    failure
}

fn paused(process: &Process) -> Failure {
    let why = process.status.as_deref().unwrap_or("no reason is known");
    let id = process.id;
    Failure::new(format!("{} is paused: {why}", view::title(process)))
        .help(format!("`ferry process play {id}` lets it go on, `ferry process kill {id}` ends it"))
}

/// Explains how to continue with a process from which the user detached.
fn left_behind(id: i64, owned: bool) -> Failure {
    let (what, next) = if owned {
        (
            format!("the daemon goes on with process {id}"),
            format!("`ferry process watch {id}` follows it again"),
        )
    } else {
        (format!("process {id} stands still where it is"), "`ferry daemon start` goes on with it".to_owned())
    };
    Failure::new(what).help(format!("{next}; `ferry process kill {id}` ends it"))
}

/// Kills the process, and sees to it that its job is cancelled. A further Ctrl-C leaves that to a daemon.
async fn kill(session: &Session, id: i64, interrupts: &mut mpsc::Receiver<()>) -> Result {
    session.call(Request::Kill { processes: vec![id], force: false }).await?;
    let mut progress = Progress::new(id);
    let end =
        ferry_engine::embed::attach(&session.builder, id, &mut |event| progress.tell(event), interrupts)
            .await;
    progress.clear();
    match end {
        Ok(RunEnd::Ended { id }) => conclude(session, id).await,
        Ok(RunEnd::Detached { id, owned }) => Err(left_behind(id, owned)),
        Err(RunError::Client(error)) => Err(error.into()),
        Err(RunError::Refused(problems)) => Err(Failure::problems("it could not be killed", &problems)),
    }
}

/// Waits for the second of two interrupts. Earlier ones count.
async fn second_interrupt(interrupts: &mut mpsc::Receiver<()>) -> bool {
    let both = async {
        for _ in 0..2 {
            interrupts.recv().await;
        }
    };
    timeout(SECOND_THOUGHT, both).await.is_ok()
}
