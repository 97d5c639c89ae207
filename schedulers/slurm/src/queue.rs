//! `squeue`: one listing of all jobs of this user, whatever their number, ended ones as long as the controller
//! remembers them.

use std::collections::{BTreeMap, BTreeSet};

use ferry_engine::{
    scheduler::{Error, ErrorKind, JobId, JobRef, JobStatus, Listed, Listing, Result},
    transport::{Command, Output, quote},
};

use crate::{accounting, client, state};

/// Id, state, name, reason. The reason may hold commas, blanks and bars, so it comes last; names with bars are
/// not ours.
const FORMAT: &str = "%A|%T|%j|%r";

/// Lists everything. By user, since a list of ids fails as a whole for one unknown id, and is slower from a
/// few hundred on.
pub(crate) fn list_command() -> Command {
    client::command(&squeue("--states=all"))
}

/// Looks for a token: among what the controller remembers, then in the accounting, if there is any.
pub(crate) fn find_command(token: &str) -> Command {
    let name = quote(token);
    let queue = squeue(&format!("--states=all --name={name}"));
    client::command(&format!("code=0; {queue} || code=$?; {}; (exit $code)", accounting::find(&name)))
}

/// The words of `squeue`.
pub(crate) fn squeue(more: &str) -> String {
    format!(
        "timeout -k 2 {} squeue --user=\"$(id -u)\" --all --array --noheader {more} --format='{FORMAT}'",
        client::READING
    )
}

/// Every job of the listing.
///
/// # Errors
/// `Unreachable` or `Unreadable`; a listing that failed, or was cut, is never an empty queue.
pub(crate) fn read(operation: &'static str, output: &Output) -> Result<Vec<Listed>> {
    let text = output.text();
    // What a login shell prints is no job: those begin with a digit.
    let lines = client::lines(operation, output, &text)?;
    lines
        .into_iter()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()))
        .map(|line| {
            entry(line).ok_or_else(|| {
                Error::new(ErrorKind::Unreadable, operation)
                    .message("a line of squeue's answer can't be read")
                    .with("line", line)
                    .later()
            })
        })
        .collect()
}

/// The state of our jobs among those listed, by id and token.
pub(crate) fn states(jobs: &[JobRef], listed: Vec<Listed>) -> BTreeMap<JobRef, JobStatus> {
    let ours: BTreeSet<&JobRef> = jobs.iter().collect();
    let named = listed.into_iter().map(|one| (JobRef { id: one.id, token: one.name }, one.status));
    named.filter(|(job, _)| ours.contains(job)).collect()
}

/// What the answer to [`find_command`] says about a token.
///
/// # Errors
/// As [`read`].
pub(crate) fn found(token: &str, output: &Output) -> Result<Listing> {
    let text = output.text();
    if let Some(job) = read("find", output)?.into_iter().find(|job| job.name == token) {
        return Ok(Listing::Job(job.id));
    }
    Ok(match accounting::found(token, &text) {
        accounting::Answer::Job(id) => Listing::Job(id),
        accounting::Answer::Absent => Listing::Absent,
        accounting::Answer::Silent(reason) => Listing::Blind(reason),
    })
}

fn entry(line: &str) -> Option<Listed> {
    let mut fields = line.splitn(4, '|');
    let id = fields.next()?;
    let (word, name, reason) = (fields.next()?, fields.next()?, fields.next()?);
    let is_id = id.bytes().all(|byte| byte.is_ascii_digit());
    is_id.then(|| Listed { id: JobId(id.into()), name: name.into(), status: state::status(word, reason) })
}

#[cfg(test)]
mod tests {
    use ferry_engine::scheduler::JobState;

    use super::*;

    fn job(id: &str, token: &str) -> JobRef {
        JobRef { id: JobId(id.into()), token: token.into() }
    }

    fn answer(text: &str) -> Output {
        Output::ok(&format!("{text}\n#end 0\n"))
    }

    /// Lines as Slurm 22.05.8 printed them, from the recorded states; names are put in.
    const RECORDED: &str = "\
9|FAILED|tok-9|JobLaunchFailure
10|COMPLETED|tok-10|None
2|TIMEOUT|tok-2|TimeLimit
11|CANCELLED|tok-11|None
1|OUT_OF_MEMORY|tok-1|OutOfMemory
46|NODE_FAIL|tok-46|NodeDown
48|PENDING|tok-48|ReqNodeNotAvail, UnavailableNodes:n4
21|RUNNING|we|ird na\u{ef}ve \"n\" \u{e9} \u{2603}|None
50|RUNNING|somebody-elses|None
";

    fn check(id: &str, token: &str, expect: Option<(JobState, &str, Option<&str>)>) {
        let jobs = [job(id, token)];
        let states = states(&jobs, read("status", &answer(RECORDED)).unwrap());
        let found = states.get(&jobs[0]);
        let found = found.map(|status| (status.state, status.raw.as_str(), status.reason.as_deref()));
        assert_eq!(found, expect, "{id} {token}");
    }

    /// A controller that was killed gives ids again, while its first job of that id is still looked for.
    #[test]
    fn of_two_jobs_with_one_id_only_the_listed_one_is_known() {
        let jobs = [job("9", "tok-9"), job("9", "tok-forgotten")];
        for jobs in [jobs.clone(), [jobs[1].clone(), jobs[0].clone()]] {
            let states = states(&jobs, read("status", &answer(RECORDED)).unwrap());
            let known: Vec<&str> = states.keys().map(|job| job.token.as_str()).collect();
            assert_eq!(known, ["tok-9"]);
        }
    }

    #[test]
    fn recorded_states_are_read_with_their_reasons() {
        check("9", "tok-9", Some((JobState::Done, "FAILED", Some("JobLaunchFailure"))));
        // Its work directory was missing and Slurm ran it in /tmp: the start gate knows, the queue does not.
        check("10", "tok-10", Some((JobState::Done, "COMPLETED", None)));
        check("2", "tok-2", Some((JobState::Done, "TIMEOUT", Some("TimeLimit"))));
        check("11", "tok-11", Some((JobState::Done, "CANCELLED", None)));
        check("1", "tok-1", Some((JobState::Done, "OUT_OF_MEMORY", Some("OutOfMemory"))));
        check("46", "tok-46", Some((JobState::Done, "NODE_FAIL", Some("NodeDown"))));
        let reason = Some("ReqNodeNotAvail, UnavailableNodes:n4");
        check("48", "tok-48", Some((JobState::Pending, "PENDING", reason)));
        check("47", "tok-47", None);
    }

    #[test]
    fn an_id_that_was_given_to_another_job_is_not_ours() {
        // Slurm 22.05.8 killed within 5 s of the submission: 50 is forgotten and used again.
        check("50", "tok-50", None);
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for text in ["1|RUNNING|tok-1", "1|RUN", "1", "1|COMPLETED|tok-1|None\n2|RUNN"] {
            assert_eq!(*read("status", &answer(text)).unwrap_err().kind(), ErrorKind::Unreadable, "{text}");
            assert!(read("status", &Output::ok(text)).is_err(), "{text}, without an end");
        }
    }

    #[test]
    fn noise_of_a_login_shell_is_no_job() {
        let listed = read("status", &answer("Welcome to the cluster!\n1|RUNNING|tok-1|None")).unwrap();
        assert_eq!(listed.len(), 1);
    }

    #[test]
    fn a_token_is_found_in_the_queue_or_in_the_accounting_or_nowhere() {
        let find = |text: &str| found("tok", &answer(text)).unwrap();
        assert_eq!(
            find("7|RUNNING|tok|None\n#accounting 1\n?Slurm accounting storage is disabled"),
            Listing::Job(JobId("7".into()))
        );
        assert_eq!(find("#accounting 0\n@8|COMPLETED|tok"), Listing::Job(JobId("8".into())));
        assert_eq!(find("#accounting 0\n@8|COMPLETED|other"), Listing::Absent);
        assert_eq!(find("#accounting 1\n?Slurm accounting storage is disabled"), Listing::Absent);
        assert!(matches!(
            find("#accounting 1\n?sacct: error: Problem talking to the database"),
            Listing::Blind(_)
        ));
        assert!(matches!(find("#accounting 124"), Listing::Blind(_)));
        let failed = Output::ok("\n#accounting 0\n\n#end 1\n");
        assert!(found("tok", &failed).is_err(), "a failed squeue is never absent");
    }
}
