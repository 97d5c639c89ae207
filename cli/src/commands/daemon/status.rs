//! `ferry daemon status`.

use ferry_engine::{daemon::Supervision, profile::Paths, rpc::OwnerStatus};

use super::owner::{self, Owner};
use crate::{
    error::{Failure, Result},
    output::{self, Format},
    session::Session,
    view,
};

/// Shows whether a daemon runs. Exit status 1 if none does.
pub(super) async fn show(session: &Session) -> Result {
    let owner = owner::look(session.paths()).await;
    if session.format == Format::Json {
        output::json(&owner::as_json(session.paths(), &owner))?;
    }
    match &owner {
        Owner::Answers(status) if status.role == "daemon" => {
            if session.format == Format::Table {
                output::details(facts(session.paths(), status))?;
            }
            owner::warn(status);
            Ok(())
        }
        Owner::Silent { why, .. } => Err(Failure::new(why.clone())
            .help("`ferry daemon logs` may say why; `ferry daemon stop` ends it, by force if need be")),
        Owner::Answers(status) => Err(Failure::new(format!(
            "no daemon is running; a `ferry {}` (pid {}) owns the profile",
            status.role, status.pid
        ))
        .help("`ferry daemon start` takes over from it")),
        Owner::Nobody => {
            let why = owner::restarting(session.paths()).map(|why| format!(": {why}")).unwrap_or_default();
            let help = "`ferry daemon start` starts one at once";
            Err(Failure::new(format!("no daemon is running{why}")).help(help))
        }
    }
}

fn facts(paths: &Paths, status: &OwnerStatus) -> Vec<(&'static str, String)> {
    let hosts: Vec<_> = status
        .hosts
        .iter()
        .map(|(digest, pid)| {
            format!("pid {pid}, plugin {}, {}", digest.get(..12).unwrap_or(digest), megabytes(*pid))
        })
        .collect();
    let death = owner::last_death(paths).map(|death| format!("{}: {death}", view::time(death.time)));
    vec![
        ("daemon", format!("running (pid {})", status.pid)),
        ("version", status.version.clone()),
        ("supervisor", supervisor(paths)),
        ("last death", death.unwrap_or_else(|| "none".into())),
        ("profile", paths.profile.clone()),
        ("started", owner::started(status)),
        ("processes in hand", status.stepping.to_string()),
        ("jobs watched", status.watching.to_string()),
        ("plugin hosts", if hosts.is_empty() { "none".into() } else { hosts.join("\n") }),
        ("memory", megabytes(status.pid)),
        ("log", paths.log().display().to_string()),
    ]
}

fn supervisor(paths: &Paths) -> String {
    let Some((supervisor, told)) = Supervision::living(paths) else {
        return "none: a crash ends this daemon; `ferry daemon restart` gives it one".into();
    };
    let stopped = if supervisor.is_stopped() { ", stopped by SIGSTOP" } else { "" };
    let restarts = told.map_or(0, |told| told.restarts);
    format!("pid {}{stopped}, {restarts} restarts", supervisor.pid)
}

fn megabytes(pid: u32) -> String {
    owner::memory(pid).map_or_else(|| "unknown".into(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6))
}
