//! The owner of the profile, and its state.

use std::{env, fs};

use ferry_engine::{
    admission::SchedulerTrouble,
    daemon::{Death, Supervision},
    profile::Paths,
    rpc::{Connection, OwnerStatus, Request, Response},
    store::{Lock, clock_words},
};
use serde_json::{Value, json};

use crate::{output, view};

/// The owner of the profile.
#[derive(Debug)]
pub(crate) enum Owner {
    /// No owner. Stale files of an owner that is gone are ignored.
    Nobody,
    /// An owner that reports its state.
    Answers(Box<OwnerStatus>),
    /// An owner without an answer, or with one that we do not understand.
    Silent {
        /// Its pid.
        pid: u32,
        /// Its role, in a word.
        role: String,
        /// The problem, in a sentence.
        why: String,
    },
}

/// Finds the owner of the profile.
pub(crate) async fn look(paths: &Paths) -> Owner {
    match ask(paths).await {
        Ok(Some(status)) => Owner::Answers(Box::new(status)),
        answer => match Lock::holder(&paths.lock()) {
            None => Owner::Nobody,
            Some((pid, role)) => {
                let why = answer
                    .err()
                    .unwrap_or_else(|| format!("the {role} (pid {pid}) does not listen (yet, or any more)"));
                Owner::Silent { pid, role, why }
            }
        },
    }
}

async fn ask(paths: &Paths) -> Result<Option<OwnerStatus>, String> {
    let Some(mut connection) = Connection::open(paths).await.map_err(|error| error.message)? else {
        return Ok(None);
    };
    match connection.ask(&Request::Status).await {
        Ok(Response::Status(status)) => Ok(Some(*status)),
        Ok(other) => Err(format!("unexpected response from the daemon: {other:?}")),
        Err(error) => Err(error.message),
    }
}

/// Describes the owner in one line.
pub(crate) fn line(paths: &Paths, owner: &Owner) -> String {
    match owner {
        Owner::Nobody => match restarting(paths) {
            Some(why) => format!("not running; {why}"),
            None => "not running; `ferry daemon start` starts it".into(),
        },
        Owner::Answers(status) if status.role == "daemon" => {
            format!("running (pid {}) since {}", status.pid, started(status))
        }
        Owner::Answers(status) => {
            format!("not running; a `ferry {}` (pid {}) owns the profile", status.role, status.pid)
        }
        Owner::Silent { why, .. } => why.clone(),
    }
}

/// Prints warnings about an owner that answers.
pub(crate) fn warn(status: &OwnerStatus) {
    if let Some(trouble) = &status.trouble {
        let who = match trouble.processes {
            0 => "unfinished processes can't be read".to_owned(),
            1 => "1 process can't go on".to_owned(),
            many => format!("{many} processes can't go on"),
        };
        let help = trouble.help.as_deref().map(|help| format!("; {help}")).unwrap_or_default();
        output::warn(format!("{who}, tried again every few seconds: {}{help}", trouble.message));
    }
    for trouble in &status.schedulers {
        output::warn(scheduler_trouble(trouble));
    }
    for name in changed_environment(status) {
        output::warn(format!(
            "{name} has changed since the daemon started: `ferry daemon restart` if it should know"
        ));
    }
}

fn scheduler_trouble(trouble: &SchedulerTrouble) -> String {
    let SchedulerTrouble { computer, cluster, since, message, held } = trouble;
    let since = since.parse().map_or_else(|_| since.clone(), clock_words);
    let cluster = cluster.as_ref().map(|cluster| format!(", cluster `{cluster}`")).unwrap_or_default();
    let what = match held {
        0 => "its queue can't be listed".to_owned(),
        1 => "the scheduler does not take the job of 1 process now".to_owned(),
        many => format!("the scheduler does not take the jobs of {many} processes now"),
    };
    format!("computer `{computer}`{cluster}: {what}, since {since}: {message}; tried again by itself")
}

/// Returns the owner as JSON: `running`, and the facts that are known.
pub(crate) fn as_json(paths: &Paths, owner: &Owner) -> Value {
    let mut value = match owner {
        Owner::Nobody => json!({ "running": false }),
        Owner::Answers(status) => json!({
            "running": status.role == "daemon",
            "answers": true,
            "pid": status.pid,
            "role": status.role,
            "version": status.version,
            "started": started(status),
            "stepping": status.stepping,
            "watching": status.watching,
            "hosts": status.hosts.iter().map(|(digest, pid)| host_json(digest, *pid)).collect::<Vec<_>>(),
            "memory": memory(status.pid),
            "trouble": status.trouble.as_ref().map(|trouble| json!({
                "processes": trouble.processes,
                "message": trouble.message,
                "help": trouble.help,
            })),
            "schedulers": status.schedulers,
            "changed_environment": changed_environment(status),
        }),
        Owner::Silent { pid, role, why } => json!({
            "running": role == "daemon",
            "answers": false,
            "pid": pid,
            "role": role,
            "why": why,
        }),
    };
    value["supervisor"] = supervisor_json(paths);
    value["last_death"] = last_death(paths).map_or(Value::Null, |death| {
        json!({
            "time": view::time(death.time),
            "pid": death.worker.pid,
            "reason": death.to_string(),
            "crash": death.is_crash(),
        })
    });
    value["profile"] = paths.profile.as_str().into();
    value["log"] = paths.log().display().to_string().into();
    value
}

fn supervisor_json(paths: &Paths) -> Value {
    let Some((supervisor, told)) = Supervision::living(paths) else { return Value::Null };
    json!({
        "pid": supervisor.pid,
        "stopped": supervisor.is_stopped(),
        "restarts": told.as_ref().map_or(0, |told| told.restarts),
        "next_start": told.and_then(|told| told.next_start).map(view::time),
    })
}

/// Returns the death of the last worker that died.
pub(crate) fn last_death(paths: &Paths) -> Option<Death> {
    Supervision::read(paths)?.last_death
}

/// Describes a daemon that is about to be restarted; `None` if there is none.
pub(crate) fn restarting(paths: &Paths) -> Option<String> {
    let (supervisor, told) = Supervision::living(paths)?;
    let pid = supervisor.pid;
    if supervisor.is_stopped() {
        return Some(format!("its supervisor (pid {pid}) was stopped (SIGSTOP) and does nothing"));
    }
    let told = told?;
    let death = told.last_death.map(|death| format!("it died ({death}) and ")).unwrap_or_default();
    let when = view::time(told.next_start?);
    Some(format!("{death}is started again at {when} by its supervisor (pid {pid})"))
}

/// Returns the time of its start, with the offset of this machine.
pub(crate) fn started(status: &OwnerStatus) -> String {
    status.started.parse().map_or_else(|_| status.started.clone(), view::time)
}

fn host_json(digest: &str, pid: u32) -> Value {
    json!({ "plugin": digest, "pid": pid, "memory": memory(pid) })
}

/// Returns the resident memory of a process of this machine in bytes.
pub(crate) fn memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// Variables that matter for reaching computers, and that are not what they were when the owner started.
pub(crate) fn changed_environment(status: &OwnerStatus) -> Vec<&str> {
    let ours = |name: &str| env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let changed = |name: &&str| status.environment.get(*name).cloned() != ours(name);
    // An older owner names only those that are set.
    let others = status.environment.keys().filter(|name| !status.watched.contains(name));
    status.watched.iter().chain(others).map(String::as_str).filter(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_the_owner_has_otherwise_is_told() {
        let (name, other) = ("FERRY_TEST_OF_A_VARIABLE", "FERRY_TEST_OF_NONE");
        let set = |watched: &[&str]| OwnerStatus {
            environment: [(name.to_owned(), "then".to_owned())].into(),
            watched: watched.iter().map(|name| (*name).to_owned()).collect(),
            ..OwnerStatus::default()
        };
        assert_eq!(changed_environment(&set(&[other, name])), [name]);
        assert_eq!(changed_environment(&set(&[])), [name], "an older owner");
        assert_eq!(changed_environment(&OwnerStatus::default()).len(), 0);
    }
}
