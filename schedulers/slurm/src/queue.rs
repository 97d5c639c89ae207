//! `squeue`: one listing of all jobs of this user in one cluster, whatever their number, including ended ones as
//! long as the controller remembers them. Also the answers of `squeue` and `scontrol` about single jobs, by id.

use ferry_engine_core::{
    scheduler::{JobId, Listed, Listing, Query, Queue, Result, Submission},
    transport::{Command, Output},
};

use crate::{accounting, client, record, state};

/// Fields of a listing; free text comes last.
const FIELDS: [&str; 6] = ["%A", "%T", "%r", "%Z", "%k", "%j"];
/// Beginning of a line that names the cluster of the following rows. `squeue -M` prints it, even without other
/// headers.
const CLUSTER: &str = "CLUSTER: ";
/// Beginning of a line that says that the controller knows no job of this id.
const UNKNOWN: &str = "#unknown ";
/// First character of a line of `scontrol show job`.
const SHOWN: char = '=';

/// Returns the command for a query. A listing is by user, since a list of ids fails as a whole for one unknown id,
/// and is slower from a few hundred on.
pub(crate) fn command(query: &Query<'_>) -> Command {
    if query.by_id {
        return client::command(&by_id(query));
    }
    client::command(&listing(query.cluster))
}

/// Returns the words that list all jobs of this user.
pub(crate) fn listing(cluster: Option<&str>) -> String {
    of_user(cluster, "--states=all", &FIELDS)
}

/// Returns the words that list some jobs of this user. `squeue` accepts no user without a name, not even by number
/// or `--me` (22.05.8). The jobs of such a user are found among all jobs by the number, and then requested by id.
/// If there are none, a name that no job has gives the header alone.
pub(crate) fn of_user(cluster: Option<&str>, more: &str, fields: &[&str]) -> String {
    let named = squeue(cluster, &format!("{more} --user=\"$u\""), fields);
    let numbers = squeue(cluster, more, &[]).replace(&record::format(&[]), "%U %A");
    let by_id = squeue(cluster, &format!("{more} \"$j\""), fields);
    format!(
        "if u=$(id -u); id -un > /dev/null 2>&1; then {named}; else \
         j=$({numbers}) && j=$(printf '%s\\n' \"$j\" | sed -n \"s/^$u //p\" | sort -un | tr '\\n' ',') && \
         {{ j=${{j:+--jobs=${{j%,}}}}; j=${{j:---name=/}}; {by_id}; }}; fi"
    )
}

/// Returns the words of `squeue`. Its header is kept: it is printed once the controller has answered, and so
/// distinguishes an empty queue from no answer.
pub(crate) fn squeue(cluster: Option<&str>, more: &str, fields: &[&str]) -> String {
    format!(
        "timeout -k 2 {} squeue{} --all --array {more} --format='{}'",
        client::READING,
        client::in_cluster(cluster),
        record::format(fields)
    )
}

/// Returns shell text that asks for each job by its id, even if the id now belongs to another. If `squeue` does
/// not show the job, it asks `scontrol`. Only if the controller says that it knows no such job, there is none.
fn by_id(query: &Query<'_>) -> String {
    let squeue = squeue(query.cluster, "--states=all --jobs=\"$1\"", &FIELDS);
    let scontrol =
        format!("timeout -k 2 {} scontrol{} show job", client::READING, client::in_cluster(query.cluster));
    let ids: Vec<&str> = query.jobs.iter().map(|job| job.id.number()).filter(|id| is_number(id)).collect();
    format!(
        r#"one() {{
    rows=$({squeue} 2> /dev/null) && case $rows in *{BEGIN}[0-9]*) printf '%s\n' "$rows"; return;; esac
    shown=$({scontrol} "$1" 2>&1)
    case $shown in
    *JobId=*) printf '{UNKNOWN_NOT}%s\n' "$1"; printf '%s\n' "$shown" | sed 's/^/{SHOWN}/';;
    *"Invalid job id specified"*) printf '{UNKNOWN}%s\n' "$1";;
    *) printf '%s\n' "${{shown:-scontrol: error: no answer}}" >&2; return 1;;
    esac
}}
code=0; for id in {}; do one "$id" || code=1; done; (exit $code)"#,
        ids.join(" "),
        BEGIN = record::BEGIN,
        UNKNOWN_NOT = "#shown ",
    )
}

fn is_number(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads the answer to [`command`].
///
/// # Errors
/// `Unreachable` or `Unreadable`; a listing that failed, or was cut, is never an empty queue.
pub(crate) fn read(query: &Query<'_>, output: &Output) -> Result<Queue> {
    let text = output.text();
    if !query.by_id {
        let client::Rows { lines, complaint } = client::rows("status", output, &text)?;
        let listed = listed("status", &lines)?;
        return Ok(Queue {
            listed,
            proves_absence: complaint.is_none(),
            notices: complaint.into_iter().collect(),
        });
    }
    let lines = client::lines("status", output, &text)?;
    let mut listed = listed("status", &lines)?;
    listed.extend(shown(&lines));
    // If the answer for one id is missing, the absence of all is unproven.
    let answered = |id: &str| {
        let unknown = |line: &&str| line.strip_prefix(UNKNOWN).is_some_and(|known| known == id);
        listed.iter().any(|job| job.id.number() == id) || lines.iter().any(unknown)
    };
    let proves_absence = query.jobs.iter().all(|job| answered(job.id.number()));
    Ok(Queue { listed, proves_absence, notices: Vec::new() })
}

/// Returns every job of a listing, with its cluster where a line names it.
fn listed(operation: &'static str, lines: &[&str]) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    let mut cluster = None;
    // A cluster's name begins a part of the listing.
    for part in lines.split_inclusive(|line| line.starts_with(CLUSTER)) {
        let (rows, name) = match part.split_last() {
            Some((last, rows)) if last.starts_with(CLUSTER) => (rows, Some(&last[CLUSTER.len()..])),
            _ => (part, None),
        };
        let records = record::read(operation, rows, FIELDS.len())?;
        all.extend(records.iter().map(|fields| entry(fields, cluster)));
        cluster = name.map(str::trim).or(cluster);
    }
    Ok(all)
}

fn entry(fields: &[String], cluster: Option<&str>) -> Listed {
    Listed {
        id: JobId::in_cluster(&fields[0], cluster),
        name: fields[5].clone(),
        comment: record::text(&fields[4]),
        dir: record::dir(&fields[3]),
        status: state::status(&fields[1], &fields[2]),
    }
}

/// Returns the jobs that `scontrol show job` printed, each over several lines. A name goes to the end of its line.
fn shown(lines: &[&str]) -> Vec<Listed> {
    let mut jobs = Vec::new();
    for line in lines.iter().filter_map(|line| line.strip_prefix(SHOWN)) {
        let line = line.trim();
        let value = |key: &str| line.strip_prefix(key).map(str::to_owned);
        if let Some((id, name)) = line.strip_prefix("JobId=").and_then(|rest| rest.split_once(" JobName=")) {
            let id = id.split(' ').next().unwrap_or_default();
            jobs.push(Listed::named(JobId(id.to_owned()), name.to_owned(), state::status("", "")));
            continue;
        }
        let Some(job) = jobs.last_mut() else { continue };
        if let Some(rest) = line.strip_prefix("JobState=") {
            let (word, reason) = rest.split_once(" Reason=").unwrap_or((rest, ""));
            job.status = state::status(word, reason.split(" Dependency=").next().unwrap_or_default());
        } else if let Some(comment) = value("Comment=") {
            job.comment = record::text(&comment);
        } else if let Some(dir) = value("WorkDir=") {
            job.dir = record::dir(&dir);
        }
    }
    jobs
}

/// Returns the command that looks for a submission: among the jobs that the controller remembers, then in the
/// accounting, if there is any.
pub(crate) fn find_command(job: &Submission, cluster: Option<&str>) -> Command {
    let queue = listing(cluster);
    client::command(&format!("code=0; {queue} || code=$?; {}; (exit $code)", accounting::find(job, cluster)))
}

/// Returns what the answer to [`find_command`] says about it.
///
/// # Errors
/// As [`read`].
pub(crate) fn found(job: &Submission, cluster: Option<&str>, output: &Output) -> Result<Listing> {
    let text = output.text();
    let client::Rows { lines, complaint } = client::rows("find", output, &text)?;
    let (queue, accounts) = accounting::split(&lines);
    let listed = listed("find", queue)?;
    if let Some(found) = job.among(&listed) {
        let cluster = found.id.cluster().or(cluster);
        return Ok(Listing::Job(JobId::in_cluster(found.id.number(), cluster)));
    }
    Ok(match accounting::found(job, accounts) {
        accounting::Answer::Job(id) => Listing::Job(JobId::in_cluster(&id.0, cluster)),
        accounting::Answer::Absent => match complaint {
            Some(complaint) => Listing::Blind(format!("squeue answered with a warning: {complaint}")),
            None => Listing::Absent,
        },
        accounting::Answer::Silent(reason) => Listing::Blind(reason),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ferry_engine_core::scheduler::{ErrorKind, JobRef, JobState};

    use super::*;

    fn job(id: &str, token: &str) -> JobRef {
        JobRef { id: JobId(id.into()), token: token.into(), dir: format!("/{id}").into() }
    }

    /// Bars stand for the separator; a row is complete.
    fn answer(text: &str) -> Output {
        let row = |line: &str| match line.strip_prefix('@') {
            Some(row) => format!("@{}\u{1f}.\n", row.replace('|', "\u{1f}")),
            None => format!("{line}\n"),
        };
        Output::ok(&format!("{}\n#end 0\n", text.lines().map(row).collect::<String>()))
    }

    fn query(jobs: &[JobRef], by_id: bool) -> Query<'_> {
        Query { cluster: None, jobs, by_id }
    }

    /// Rows as Slurm 22.05.8 printed them, from the recorded states; names are put in.
    const RECORDED: &str = "\
@9|FAILED|JobLaunchFailure|/9|(null)|ferry-1-tok-9
@10|COMPLETED|None|/tmp|(null)|tok-10
@2|TIMEOUT|TimeLimit|/2|(null)|tok-2
@48|PENDING|ReqNodeNotAvail, UnavailableNodes:n4|/48|theirs tok-48|renamed
@50|RUNNING|None|/home|(null)|somebody-elses
";

    fn listed(text: &str) -> BTreeMap<String, Listed> {
        let queue = read(&query(&[], false), &answer(text)).unwrap();
        queue.listed.into_iter().map(|one| (one.id.0.clone(), one)).collect()
    }

    #[test]
    fn recorded_states_are_read_with_their_reasons_and_witnesses() {
        let all = listed(RECORDED);
        let of =
            |id: &str| (all[id].status.state, all[id].status.raw.as_str(), all[id].status.reason.as_deref());
        assert_eq!(of("9"), (JobState::Done, "FAILED", Some("JobLaunchFailure")));
        // Its work directory was missing and Slurm ran it in /tmp: the start gate detects it, the queue does not.
        assert_eq!(of("10"), (JobState::Done, "COMPLETED", None));
        let reason = Some("ReqNodeNotAvail, UnavailableNodes:n4");
        assert_eq!(of("48"), (JobState::Pending, "PENDING", reason));
        assert!(all["9"].bears("tok-9") && all["48"].bears("tok-48"));
        assert!(all["2"].works_in("/2".as_ref()));
        assert_eq!(all["50"].comment, "");
    }

    #[test]
    fn a_listing_of_several_clusters_tells_them_apart() {
        // `squeue -M all`, Slurm 22.05.8.
        let all = listed("CLUSTER: alpha\n@1|RUNNING|None|/|x|a\n\nCLUSTER: beta\n@1|PENDING|None|/|x|b");
        let ids: Vec<&str> = all.keys().map(String::as_str).collect();
        assert_eq!(ids, ["1;alpha", "1;beta"]);
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for text in ["@1\u{1f}RUNNING\u{1f}tok-1", "@1", "@1\u{1f}COMPLETED\u{1f}\n@2\u{1f}RUNN"] {
            let output = Output::ok(&format!("{text}\n#end 0\n"));
            assert_eq!(
                *read(&query(&[], false), &output).unwrap_err().kind(),
                ErrorKind::Unreadable,
                "{text}"
            );
        }
        assert!(read(&query(&[], false), &Output::ok("")).is_err(), "without an end");
    }

    #[test]
    fn noise_of_a_login_shell_is_no_job() {
        assert_eq!(listed("Welcome to the cluster!\n7 of 10 jobs\n@1|RUNNING|None|/|x|tok-1").len(), 1);
    }

    #[test]
    fn only_the_controller_s_own_word_makes_a_job_unknown() {
        let jobs = [job("1", "tok-1"), job("2", "tok-2")];
        let read = |text: &str| read(&query(&jobs, true), &answer(text)).unwrap();
        let both = read("@1|RUNNING|None|/|x|y\n#unknown 2");
        assert_eq!((both.listed.len(), both.proves_absence), (1, true));
        assert!(!read("@1|RUNNING|None|/|x|y").proves_absence, "nothing was said of the other");
        assert!(!read("").proves_absence);
    }

    #[test]
    fn what_scontrol_shows_is_read() {
        // Slurm 22.05.8, `scontrol show job`.
        let jobs = [job("1", "tok-1")];
        let text = "#shown 1\n=JobId=1 JobName=a|b x\n=   UserId=root(0) GroupId=root(0) MCS_label=N/A\n\
                    =   JobState=PENDING Reason=JobHeldUser Dependency=(null)\n=   Comment=mine tok-1\n=   WorkDir=/w";
        let queue = read(&query(&jobs, true), &answer(text)).unwrap();
        let one = &queue.listed[0];
        assert_eq!((one.id.number(), one.name.as_str(), one.status.state), ("1", "a|b x", JobState::Held));
        assert!(one.bears("tok-1") && one.works_in("/w".as_ref()) && queue.proves_absence);
    }

    fn submission() -> Submission {
        let job = JobRef { id: JobId("1".into()), token: "tok".into(), dir: "/w".into() };
        Submission {
            token: job.token.clone(),
            dir: job.dir.clone(),
            earlier: vec![job],
            ..Submission::default()
        }
    }

    #[test]
    fn a_submission_is_found_in_the_queue_or_in_the_accounting_or_nowhere() {
        let find = |text: &str| found(&submission(), Some("beta"), &answer(text)).unwrap();
        let job = |id: &str| Listing::Job(JobId(id.into()));
        let disabled = "#accounting 1\n?Slurm accounting storage is disabled";
        assert_eq!(find(&format!("@7|RUNNING|None|/|x|l-tok\n{disabled}")), job("7;beta"));
        assert_eq!(find(&format!("@7|RUNNING|None|/w|x|renamed\n{disabled}")), job("7;beta"));
        assert_eq!(
            find(&format!("@1|RUNNING|None|/w|x|renamed\n{disabled}")),
            Listing::Absent,
            "an earlier try"
        );
        let row = |name: &str| format!("#accounting 0\n@8\u{1f}COMPLETED\u{1f}/w\u{1f}\u{1f}{name}\u{1f}");
        let find_row = |name: &str| {
            found(&submission(), None, &Output::ok(&format!("{}\n#end 0\n", row(name)))).unwrap()
        };
        assert_eq!(find_row("l-tok"), job("8"));
        assert_eq!(find_row("other"), Listing::Absent);
        assert_eq!(find(disabled), Listing::Absent);
        let silent = "#accounting 1\n?sacct: error: Problem talking to the database";
        assert!(matches!(find(silent), Listing::Blind(_)));
        assert!(matches!(find("#accounting 124"), Listing::Blind(_)));
        let failed = Output::ok("\n#accounting 0\n\n#end 1\n");
        assert!(found(&submission(), None, &failed).is_err(), "a failed squeue is never absent");
    }
}
