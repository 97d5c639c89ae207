//! `sacct`: the states of jobs that the controller has forgotten. Where there is no accounting database, `sacct
//! -c` reads the log of ended jobs, if the site keeps one and lets users read it.

use std::collections::BTreeMap;

use ferry_engine_core::{
    scheduler::{JobId, JobRef, JobState, JobStatus, Listed, Submission},
    transport::{Command, Output, quote},
};

use crate::{client, record, state};

/// Fields of a row: id, state, directory, comment, name. There is one row for each start of a job, so the last one
/// counts.
const FIELDS: &str = "JobIDRaw,State,WorkDir,Comment,JobName";
/// The number of fields.
const COUNT: usize = 5;
/// First character of a complaint of `sacct`, so that it is not taken for a row.
const COMPLAINT: char = '?';
/// Beginning of the line with `sacct`'s exit status.
const STATUS: &str = "#accounting ";
/// Most time that it may take, s. With a hung database it would be 45.
const PATIENCE: u32 = 20;
/// Start of the time in which a token is looked for. Submissions are recovered soon after they were tried.
const SINCE: &str = "now-7days";

/// The accounting's answer about a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This job bears it.
    Job(JobId),
    /// No job bears it, or there is no accounting.
    Absent,
    /// It does not answer.
    Silent(String),
}

/// Returns the words of `sacct`. Its rows then are records, except for the leading sign.
fn sacct(cluster: Option<&str>, more: &str) -> String {
    // With `-p` a row ends with a separator, in place of the sign that it is complete.
    let cluster = client::in_cluster(cluster);
    format!(
        "timeout -k 2 {PATIENCE} sacct{cluster} {more} -X -D -n -p --delimiter='{}' --format={FIELDS}",
        record::FIELD
    )
}

/// Returns shell text that looks for a submission's job by its token, and prints the result. Of all jobs of the
/// last days only those lines are printed that may be it.
pub(crate) fn find(job: &Submission, cluster: Option<&str>) -> String {
    let sacct = sacct(cluster, &format!("--starttime={SINCE}"));
    let begin = record::BEGIN;
    format!(
        r#"rows=$({sacct} 2>&1); printf '\n{STATUS}%s\n' "$?"
printf '%s\n' "$rows" | sed -e 's/^[0-9]/{begin}&/' -e 's/^[^{begin}]/{COMPLAINT}&/' | grep -a -F -e {} -e '{COMPLAINT}'
true"#,
        quote(&job.token),
    )
}

/// Splits the output of [`find`] from the lines before it.
pub(crate) fn split<'a, 'b>(lines: &'a [&'b str]) -> (&'a [&'b str], &'a [&'b str]) {
    let at = lines.iter().position(|line| line.starts_with(STATUS)).unwrap_or(lines.len());
    lines.split_at(at)
}

/// Reads the output of [`find`].
pub(crate) fn found(job: &Submission, lines: &[&str]) -> Answer {
    if let Some(row) = rows(lines).into_iter().rfind(|row| row.bears(&job.token)) {
        return Answer::Job(row.id);
    }
    let status = lines.iter().find_map(|line| line.strip_prefix(STATUS));
    let complaints: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(COMPLAINT)).collect();
    let complaints = complaints.join("; ");
    match status {
        Some("0") => Answer::Absent,
        // Without accounting, or without that command, only the queue can answer.
        Some("127") => Answer::Absent,
        _ if complaints.contains("accounting storage is disabled") => Answer::Absent,
        Some("124" | "137") | None => Answer::Silent("Slurm's accounting does not answer".to_owned()),
        Some(_) => {
            Answer::Silent(format!("Slurm's accounting does not answer: {}", client::said(&complaints)))
        }
    }
}

/// Returns the command that asks about jobs of a cluster by their ids.
pub(crate) fn history_command(cluster: Option<&str>, jobs: &[JobRef]) -> Command {
    let ids: Vec<&str> = jobs
        .iter()
        .map(|job| job.id.number())
        .filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    // An empty list would mean every job.
    let ids = if ids.is_empty() { "0".to_owned() } else { ids.join(",") };
    let sacct = |more: &str| sacct(cluster, &format!("{more} --jobs={ids}"));
    client::command(&format!(
        "{{ {} 2> /dev/null || {} 2> /dev/null; }} | sed 's/^[0-9]/{}&/'",
        sacct(""),
        sacct("-c"),
        record::BEGIN
    ))
}

/// Returns the end of each job that the accounting knows to have ended. Others are left out: there, a job that was
/// lost with its controller stays "running" for ever. Without an answer, the result is empty, since this only adds
/// to the queue's.
pub(crate) fn ends(jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    let mut ends = BTreeMap::new();
    for row in rows(&lines) {
        let same = |job: &&JobRef| job.id.number() == row.id.number();
        let is_ours = |job: &&JobRef| row.bears(&job.token) || row.works_in(&job.dir);
        let bears = jobs.iter().filter(same).find(|job| row.bears(&job.token));
        if let Some(job) = bears.or_else(|| jobs.iter().filter(same).find(is_ours)) {
            // A later start replaces an earlier one, even if it has not ended.
            ends.insert(job.clone(), row.status.clone());
        }
    }
    ends.retain(|_, status| status.state == JobState::Done);
    ends
}

/// Returns the rows of an answer that can be read.
fn rows(lines: &[&str]) -> Vec<Listed> {
    let row = |fields: Vec<String>| Listed {
        id: JobId(fields[0].clone()),
        name: fields[4].clone(),
        comment: record::text(&fields[3]),
        dir: record::dir(&fields[2]),
        status: state::status(&fields[1], ""),
    };
    // Each line is read by itself: an unreadable one does not affect the others.
    let read = |line: &&str| record::read("accounting", &[&whole(line)], COUNT).unwrap_or_default();
    lines.iter().flat_map(read).map(row).collect()
}

/// Returns a row's line with the sign that it is complete.
fn whole(line: &str) -> String {
    if line.ends_with(record::FIELD) { format!("{line}.") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slurm 22.05.8: states as recorded; 50 was given twice after the controller was killed. The last but one was
    /// renamed by its site, the last by its user.
    const RECORDED: &str = "\
2|TIMEOUT|/w||tok-2|
11|CANCELLED by 0|/w||ferry-11-tok-11|
46|NODE_FAIL|/w||tok-46|
50|PENDING|||allocation|
50|COMPLETED|/||wrap|
60|REQUEUED|/w||tok-60|
60|RUNNING|/w||tok-60|
61|REQUEUED|/w||tok-61|
61|FAILED|/w||tok-61|
70|FAILED|/|mine tok-70|site-wide|
71|FAILED|/71||x|
";

    fn answer() -> Output {
        let rows = RECORDED.lines().map(|line| format!("@{}\n", line.replace('|', "\u{1f}")));
        Output::ok(&rows.collect::<String>())
    }

    fn check(id: &str, token: &str, expect: Option<&str>) {
        let jobs = [JobRef { id: JobId(id.into()), token: token.into(), dir: format!("/{id}").into() }];
        let ends = ends(&jobs, &answer());
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
        check("70", "tok-70", Some("FAILED"));
        check("71", "tok-71", Some("FAILED"));
        check("99", "tok-99", None);
    }

    #[test]
    fn no_ids_do_not_mean_all() {
        let command = history_command(None, &[]);
        assert!(command.line().contains("--jobs=0 "));
    }
}
