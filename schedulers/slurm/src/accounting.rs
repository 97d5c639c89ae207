//! `sacct`: what became of jobs that the controller has forgotten. Where there is no accounting database,
//! `sacct -c` reads the log of ended jobs, if the site keeps one and lets users read it.

use std::collections::{BTreeMap, BTreeSet};

use ferry_engine::{
    scheduler::{JobId, JobRef, JobState, JobStatus},
    transport::{Command, Output},
};

use crate::{client, state};

/// Id, state, name. One line a start of the job, so the last one counts.
const FORMAT: &str = "--format=JobIDRaw,State,JobName";
/// Begins a line of `sacct`'s answer, and one of its complaints, so that neither is taken for a line of `squeue`.
const ROW: char = '@';
/// As above.
const COMPLAINT: char = '?';
/// Begins the line with `sacct`'s exit status.
const STATUS: &str = "#accounting ";
/// How long it may take, s. With a hung database it would be 45.
const PATIENCE: u32 = 20;
/// How far back a token is looked for. Submissions are recovered soon after they were tried.
const SINCE: &str = "now-7days";

/// What the accounting says about a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This job bears it.
    Job(JobId),
    /// None does, or nobody keeps accounts.
    Absent,
    /// It does not answer.
    Silent(String),
}

/// Shell text that looks for a job by its name, a shell word, and prints what it finds.
pub(crate) fn find(name: &str) -> String {
    format!(
        "rows=$(timeout -k 2 {PATIENCE} sacct -X -D -n -P --starttime={SINCE} --name={name} {FORMAT} 2>&1); \
         printf '\\n{STATUS}%s\\n' \"$?\"; \
         printf '%s\\n' \"$rows\" | sed -e 's/^[0-9]/{ROW}&/' -e 's/^[^{ROW}]/{COMPLAINT}&/'"
    )
}

/// Reads what [`find`] printed among other things.
pub(crate) fn found(token: &str, text: &str) -> Answer {
    let mut rows = text.lines().filter_map(|line| line.strip_prefix(ROW)).filter_map(row);
    if let Some((id, ..)) = rows.rfind(|(_, name, _)| *name == token) {
        return Answer::Job(JobId(id.to_owned()));
    }
    let status = text.lines().find_map(|line| line.strip_prefix(STATUS));
    let complaints: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(COMPLAINT)).collect();
    let complaints = complaints.join("; ");
    match status {
        Some("0") => Answer::Absent,
        // Where nobody keeps accounts, or there is no such command, the queue is all there is.
        Some("127") => Answer::Absent,
        _ if complaints.contains("accounting storage is disabled") => Answer::Absent,
        Some("124" | "137") | None => Answer::Silent("the accounting does not answer".to_owned()),
        Some(_) => Answer::Silent(format!("the accounting does not answer: {}", client::said(&complaints))),
    }
}

/// Asks about jobs by their ids.
pub(crate) fn history_command(jobs: &[JobRef]) -> Command {
    let ids: Vec<&str> = jobs
        .iter()
        .map(|job| job.id.0.as_str())
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    // An empty list would mean every job.
    let ids = if ids.is_empty() { "0".to_owned() } else { ids.join(",") };
    let sacct = |more: &str| {
        format!("timeout -k 2 {PATIENCE} sacct {more} -X -D -n -P --jobs={ids} {FORMAT} 2> /dev/null")
    };
    client::command(&format!("{} || {}", sacct(""), sacct("-c")))
}

/// The end of each job that the accounting knows to have ended. Others are left out: a job that was lost with
/// its controller stays "running" there for ever. No answer is an empty one, since this only adds to the queue's.
pub(crate) fn ends(jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
    let text = output.text();
    let wanted: BTreeSet<&JobRef> = jobs.iter().collect();
    let ours = |(id, name, word): (&str, &str, &str)| {
        let job = JobRef { id: JobId(id.to_owned()), token: name.to_owned() };
        wanted.contains(&job).then(|| (job, state::status(word, "")))
    };
    // A later start replaces an earlier one, also where it has not ended.
    let all: BTreeMap<JobRef, JobStatus> = text.lines().filter_map(row).filter_map(ours).collect();
    all.into_iter().filter(|(_, status)| status.state == JobState::Done).collect()
}

fn row(line: &str) -> Option<(&str, &str, &str)> {
    let mut fields = line.splitn(3, '|');
    let (id, word, name) = (fields.next()?, fields.next()?, fields.next()?);
    (!id.is_empty()).then_some((id, name, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slurm 22.05.8: states as recorded; 50 was given twice after the controller was killed.
    const RECORDED: &str = "\
2|TIMEOUT|tok-2
11|CANCELLED by 0|tok-11
46|NODE_FAIL|tok-46
50|PENDING|allocation
50|COMPLETED|wrap
60|REQUEUED|tok-60
60|RUNNING|tok-60
61|REQUEUED|tok-61
61|FAILED|tok-61
";

    fn check(id: &str, token: &str, expect: Option<&str>) {
        let jobs = [JobRef { id: JobId(id.into()), token: token.into() }];
        let ends = ends(&jobs, &Output::ok(RECORDED));
        assert_eq!(ends.get(&jobs[0]).map(|status| status.raw.as_str()), expect, "{id} {token}");
    }

    #[test]
    fn only_ends_of_our_own_jobs_count() {
        check("2", "tok-2", Some("TIMEOUT"));
        check("11", "tok-11", Some("CANCELLED by 0"));
        check("46", "tok-46", Some("NODE_FAIL"));
        check("50", "tok-50", None);
        check("60", "tok-60", None);
        check("61", "tok-61", Some("FAILED"));
        check("99", "tok-99", None);
    }

    #[test]
    fn no_ids_do_not_mean_all() {
        let command = history_command(&[]);
        assert!(command.argv.last().unwrap().contains("--jobs=0 "));
    }
}
