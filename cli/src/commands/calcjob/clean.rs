//! `ferry calcjob cleanworkdir`: removes work directories on their computers.

use std::time::Duration;

use clap::Args;
use ferry_engine::{
    calcjob::is_its_own,
    clock,
    process::State,
    rpc::{Answered, Request},
    store::{Process, ProcessFilter, Reader},
};
use ferry_plugin_proto::Kind;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::find;
use crate::{
    ask::agreed,
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// Interval between two looks at the store.
const LOOK: Duration = Duration::from_millis(100);

/// Whose work directories to remove.
#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// Ids, uuids, unique starts of a uuid, or labels of calcjobs
    #[arg(value_name = "ID")]
    processes: Vec<String>,
    /// Those that ended in the last so many days
    #[arg(long, value_name = "DAYS")]
    past_days: Option<u32>,
    /// Those that ended more than so many days ago
    #[arg(short, long, value_name = "DAYS")]
    older_than: Option<u32>,
    /// Of these, only those on this computer
    #[arg(short = 'C', long, value_name = "LABEL")]
    computer: Option<String>,
    /// Of these, only those that finished with this exit code
    #[arg(short = 'E', long, alias = "exit-status", value_name = "NUMBER")]
    exit_code: Option<u32>,
    /// Don't ask first
    #[arg(short, long, alias = "yes", short_alias = 'y')]
    force: bool,
    /// How long to wait for computers to answer, s
    #[arg(short, long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

/// Removes them.
pub(super) async fn run(session: &Session, args: CleanArgs) -> Result {
    if args.processes.is_empty() && args.past_days.is_none() && args.older_than.is_none() {
        return Err(Failure::usage("nothing is named")
            .help("name calcjobs, or say `--past-days DAYS` or `--older-than DAYS`"));
    }
    let reader = session.reader().await?;
    let chosen = choose(&reader, &args)?;
    if chosen.is_empty() {
        output::note("there is no work directory to be removed");
        return told(session, &reader, &chosen);
    }
    if !args.force {
        let many = format!("the work directories of {} calculations", chosen.len());
        match agreed(session, &format!("remove {many}?"))? {
            Some(true) => {}
            Some(false) => return Err(Failure::new("nothing was removed")),
            None => {
                let text = format!("{many} would go for good, and nobody is here to agree");
                return Err(Failure::usage(text).help("say `--force`"));
            }
        }
    }
    let ids = chosen.iter().map(|process| process.id.0).collect();
    let (_, answered) = session.call(Request::CleanWorkDirs(ids)).await?;
    let wait = if answered == Answered::Alone { 0 } else { args.timeout };
    let left = wait_for(&reader, &chosen, Duration::from_secs(wait)).await?;
    told(session, &reader, &chosen)?;
    if left.is_empty() { Ok(()) } else { Err(not_yet(&reader, &left, answered)?) }
}

/// Returns the selected processes that still have a directory of their own. Fails if a process named on the
/// command line can't be cleaned.
fn choose(reader: &Reader, args: &CleanArgs) -> Result<Vec<Process>> {
    let mut chosen = Vec::new();
    for name in &args.processes {
        let process = find(reader, name)?;
        if !process.state.is_terminal() {
            return Err(Failure::new(format!("{} has not ended", view::title(&process)))
                .help(format!("wait for its end, or `ferry process kill {}`", process.id)));
        }
        if process.work_dir().is_some() && !is_its_own(&process) {
            return Err(Failure::new(format!("{} has no work directory of its own", view::title(&process)))
                .help("it took over another calculation's results, or was imported: that directory stays"));
        }
        chosen.push(process);
    }
    if args.past_days.is_some() || args.older_than.is_some() {
        let states = State::ALL.into_iter().filter(|state| state.is_terminal()).collect();
        let all = reader.processes(&ProcessFilter { states, ..ProcessFilter::default() })?;
        chosen.extend(all.into_iter().filter(|process| fits_in_time(process, args)));
    }
    let mut kept = Vec::new();
    for process in chosen {
        let is_meant = process.kind == Kind::CalcJob
            && args.computer.as_ref().is_none_or(|label| process.computer() == Some(label.as_str()))
            && args.exit_code.is_none_or(|status| process.end.status == Some(status));
        let is_gone = reader.cleaning(process.id)?.is_some_and(|cleaning| cleaning.cleaned.is_some());
        if is_meant && is_its_own(&process) && !is_gone {
            kept.push(process);
        }
    }
    Ok(kept)
}

fn fits_in_time(process: &Process, args: &CleanArgs) -> bool {
    let age = clock::now().duration_since(process.modified).as_secs();
    let days = |days: u32| i64::from(days) * 86_400;
    args.past_days.is_none_or(|most| age <= days(most))
        && args.older_than.is_none_or(|least| age >= days(least))
}

/// Waits until the removal of each was tried. Returns those that still exist.
async fn wait_for(reader: &Reader, chosen: &[Process], timeout: Duration) -> Result<Vec<Process>> {
    let deadline = Instant::now() + timeout;
    loop {
        let (mut left, mut untried) = (Vec::new(), false);
        for process in chosen {
            let cleaning = reader.cleaning(process.id)?;
            if cleaning.as_ref().is_none_or(|cleaning| cleaning.cleaned.is_none()) {
                untried |= cleaning.is_some_and(|cleaning| cleaning.error.is_none());
                left.push(process.clone());
            }
        }
        if !untried || Instant::now() >= deadline {
            return Ok(left);
        }
        sleep(LOOK).await;
    }
}

fn told(session: &Session, reader: &Reader, chosen: &[Process]) -> Result {
    let mut gone = Vec::new();
    for process in chosen {
        if reader.cleaning(process.id)?.is_some_and(|cleaning| cleaning.cleaned.is_some()) {
            gone.push(process);
        }
    }
    if session.format == Format::Json {
        let one = |process: &&Process| json!({"id": process.id, "work_dir": process.work_dir()});
        return output::json(&json!({"cleaned": gone.iter().map(one).collect::<Vec<_>>()}));
    }
    gone.iter().try_for_each(|process| output::line(process.work_dir().unwrap_or_default()))
}

fn not_yet(reader: &Reader, left: &[Process], answered: Answered) -> Result<Failure> {
    let many =
        if left.len() == 1 { "1 work directory".to_owned() } else { format!("{} directories", left.len()) };
    let mut failure = Failure::new(format!("{many} could not be removed yet; the wish is kept"));
    failure = match answered {
        Answered::Alone => failure.help("`ferry daemon start` carries it out"),
        _ => failure.help("the daemon keeps trying; `ferry computer list` tells how the computers are"),
    };
    for process in left {
        let why = reader.cleaning(process.id)?.and_then(|cleaning| cleaning.error).unwrap_or_default();
        let dir = process.work_dir().unwrap_or_default();
        failure.lines.push(format!("{}: {dir}: {why}", view::title(process)));
    }
    Ok(failure)
}
