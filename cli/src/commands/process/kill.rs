//! `ferry process kill`: a durable request, and a wait for its effect.

use std::time::Duration;

use clap::Args;
use ferry_engine::{
    rpc::{Answered, Request},
    store::{Process, Reader},
};
use tokio::time::{Instant, sleep};

use super::Chosen;
use crate::{
    ask::agreed,
    error::{Failure, Result},
    output,
    session::Session,
    view,
};

/// Default time to wait for the end of a killed process.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval between two looks at the store meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Arguments of `process kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    #[command(flatten)]
    chosen: Chosen,
    /// How long to wait for their end, s; 0: only ask for it
    #[arg(short, long, value_name = "SECONDS", default_value_t = KILL_TIMEOUT.as_secs())]
    timeout: u64,
    /// End them even if a computer can't be reached; what runs there is cancelled when it answers again
    #[arg(short, long)]
    force: bool,
    /// Don't ask before all are killed
    #[arg(short, long)]
    yes: bool,
}

/// Kills the processes.
pub(super) async fn run(session: &Session, args: KillArgs) -> Result {
    let reader = session.reader().await?;
    let chosen = args.chosen.find(&reader)?;
    let asks = args.chosen.all && !args.yes && !chosen.is_empty();
    if asks && agreed(session, &format!("kill all {} processes?", chosen.len()))? == Some(false) {
        return Err(Failure::new("nothing was killed"));
    }
    kill(session, chosen, args.force, Duration::from_secs(args.timeout)).await
}

/// Requests the end of processes, waits for it, and reports those that have not ended yet.
///
/// # Errors
/// Fails if some have not ended in time. They will still end, since the request is on disk.
async fn kill(session: &Session, processes: Vec<Process>, force: bool, timeout: Duration) -> Result {
    let (ended, live): (Vec<_>, Vec<_>) =
        processes.into_iter().partition(|process| process.state.is_terminal());
    for process in &ended {
        output::note(format!("{} has ended already: {}", view::title(process), view::state(process)));
    }
    if live.is_empty() {
        return Ok(());
    }
    let processes = live.iter().map(|process| process.id.0).collect();
    let (_, answered) = session.call(Request::Kill { processes, force }).await?;
    if timeout.is_zero() {
        return Ok(());
    }
    let timeout = if answered == Answered::Alone { Duration::ZERO } else { timeout };
    let left = wait(&session.reader().await?, live, timeout).await?;
    if left.is_empty() { Ok(()) } else { Err(not_yet(&left, answered, timeout, force)) }
}

/// Waits until processes have ended, and reports each end. Returns those that have not ended.
async fn wait(reader: &Reader, mut live: Vec<Process>, timeout: Duration) -> Result<Vec<Process>> {
    let deadline = Instant::now() + timeout;
    loop {
        let mut left = Vec::new();
        for process in live {
            let now = reader.process(process.id)?;
            if now.state.is_terminal() {
                output::note(format!("{} is {}", view::title(&now), view::state(&now)));
            } else {
                left.push(now);
            }
        }
        if left.is_empty() || Instant::now() >= deadline {
            return Ok(left);
        }
        live = left;
        sleep(LOOK).await;
    }
}

fn not_yet(left: &[Process], answered: Answered, timeout: Duration, force: bool) -> Failure {
    let many = if left.len() == 1 { "1 process".to_owned() } else { format!("{} processes", left.len()) };
    let mut failure = if answered == Answered::Alone {
        Failure::new(format!("{many} could not be ended without a daemon; the wish is kept"))
            .help("`ferry daemon start` carries it out")
    } else {
        let harder = if force { "" } else { "; `--force` does not wait for the computer" };
        Failure::new(format!("{many} did not end within {} s; the wish is kept", timeout.as_secs()))
            .help(format!("`ferry process watch ID` shows when it comes true{harder}"))
    };
    failure.lines.extend(left.iter().map(|process| {
        let job = process.job_id().map(|job| format!(", job {job}")).unwrap_or_default();
        let place = process.computer().map(|computer| format!(" on {computer}")).unwrap_or_default();
        let status = view::status(process).map(|status| format!(": {status}")).unwrap_or_default();
        format!("{} is {}{job}{place}{status}", view::title(process), view::state(process))
    }));
    failure
}
