//! `ferry submit`: start a process, or many as one, and print ids at once.

use std::path::{Path, PathBuf};

use clap::Args;
use ferry_engine::{
    daemon::Supervision,
    process::{Launch, Launched},
    rpc::{Answered, Request, Response},
};
use serde_json::{Value, json};

use super::launch::{LaunchArgs, dry_run};
use crate::{
    error::{Failure, Result},
    inputs::{self, Line},
    output::{self, Format},
    session::Session,
};

/// Arguments of `submit`.
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    launch: LaunchArgs,
    /// Start a process for each line of a file, a JSON map of inputs that come to those given here: all or none
    #[arg(long, value_name = "FILE.jsonl")]
    each: Option<PathBuf>,
}

/// Submits the processes.
///
/// # Errors
/// Fails with all problems of the launch (exit status 2), or if something else prevents it (1).
pub(crate) async fn run(session: &Session, args: SubmitArgs) -> Result {
    let answered = match args.each {
        Some(file) => many(session, args.launch, &file).await?,
        None => {
            let launch = args.launch.launch(session).await?;
            if launch.metadata.dry_run {
                return dry_run(session, launch).await;
            }
            one(session, launch).await?
        }
    };
    if answered != Answered::ByOwner {
        output::warn(match Supervision::living(session.paths()) {
            Some(_) => "the daemon has died and is started again; it takes up this process then",
            None => "no daemon runs, so nothing happens to this process until `ferry daemon start`",
        });
    }
    Ok(())
}

async fn one(session: &Session, launch: Launch) -> Result<Answered> {
    let (response, answered) = session.call(Request::Launch(Box::new(launch))).await?;
    let Response::Launched(launched) = response else { return Err(odd(&response)) };
    match session.format {
        Format::Table => output::line(launched.id.to_string())?,
        Format::Json => output::json(&to_json(&launched))?,
    }
    Ok(answered)
}

async fn many(session: &Session, args: LaunchArgs, file: &Path) -> Result<Answered> {
    let reader = session.reader().await?;
    let lines =
        inputs::each(&inputs::Reading::new(&reader, &session.builder), args.wish(&reader)?, file).await?;
    let numbers: Vec<usize> = lines.iter().map(|line| line.number).collect();
    let launches = lines.into_iter().map(|Line { launch, .. }| launch).collect();
    let (response, answered) = session.call(Request::LaunchAll(launches)).await?;
    let launched = match response {
        Response::LaunchedAll(launched) => launched,
        Response::RefusedSome(wrong) => {
            let at = |place: usize| numbers.get(place).copied().unwrap_or_default();
            let wrong: Vec<_> = wrong.into_iter().map(|(place, problems)| (at(place), problems)).collect();
            return Err(inputs::problems_by_line(file, &wrong));
        }
        other => return Err(odd(&other)),
    };
    match session.format {
        Format::Json => output::json(&launched.iter().map(to_json).collect::<Value>())?,
        Format::Table => launched.iter().try_for_each(|one| output::line(one.id.to_string()))?,
    }
    Ok(answered)
}

fn to_json(launched: &Launched) -> Value {
    json!({ "id": launched.id, "uuid": launched.uuid })
}

fn odd(response: &Response) -> Failure {
    Failure::new(format!("unexpected response from the daemon: {response:?}"))
}
