//! The commands and answers of a command-line scheduler: the pure trait [`Dialect`], and what goes in and out of
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    Capabilities, Extras, JobId, JobRef, JobStatus, JobTemplate, Listed, Machine, QueueKey, Result,
    Submission, WatchEnd, nameless,
};
use crate::transport::{Command, Output};

/// The scheduler's answer to a submission, as the wrapper recorded it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit status; `None` if no exit status was recorded.
    pub status: Option<i32>,
}

/// The scheduler's own lines for the head of a job script, and what its submission needs beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// Lines below the first one.
    pub lines: Vec<String>,
    /// Input of the submit command beside the script.
    pub extras: Extras,
}

/// The result of looking for a token in the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// A job with this token.
    Job(JobId),
    /// Something still acts for this token, so the outcome is not known yet.
    Busy(String),
    /// Nothing has this token.
    Absent,
    /// This host can't tell.
    Blind(String),
}

/// The jobs that a listing is to show.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The cluster; `None`: the home cluster.
    pub cluster: Option<&'a str>,
    /// The jobs that are waited for; all of them are in that cluster.
    pub jobs: &'a [JobRef],
    /// True to ask for these jobs alone, each by its id, even if the id now belongs to another user's job.
    /// Otherwise all jobs of this user are listed, where the scheduler can tell them from anything else.
    pub by_id: bool,
}

/// The result of a listing. The states of jobs count in any case. What the listing lacks counts only where it
/// proves absence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    /// The jobs. Their ids need not name the cluster that was asked.
    pub listed: Vec<Listed>,
    /// True if a job that it lacks is absent.
    pub proves_absence: bool,
    /// Complaints of the command, beside an answer that counts.
    pub notices: Vec<String>,
}

impl Queue {
    /// Looks for the job of a submission: the one that bears its token, else one that works in its directory and is
    /// not of an earlier attempt. The job is absent only if the listing proves it, and if every listed job shows
    /// something by which it could be told; otherwise the listing can't tell.
    pub fn find(&self, job: &Submission, cluster: Option<&str>) -> Listing {
        if let Some(found) = job.among(&self.listed) {
            let cluster = found.id.cluster().or(cluster);
            return Listing::Job(JobId::in_cluster(found.id.number(), cluster));
        }
        if !self.proves_absence {
            let notices = self.notices.iter().map(|notice| format!(": {notice}")).collect::<String>();
            return Listing::Blind(format!("the listing may lack jobs{notices}"));
        }
        match self.listed.iter().find(|one| !one.has_witness()) {
            Some(one) => Listing::Blind(format!(
                "the listing shows neither name, comment nor directory of job {}",
                one.id
            )),
            None => Listing::Absent,
        }
    }
}

/// The commands and answers of a command-line scheduler. Pure: builds commands and reads their output.
///
/// Eight methods are required. One listing ([`Dialect::queue_command`]) tells the states of jobs, counts those of
/// others, and finds a job by its token. The provided methods are for schedulers that can do more, or better.
///
/// # How the token reaches the job
///
/// Each submission has a token of its own ([`Submission::token`]). It travels in two ways, and needs both:
///
/// - *In the scheduler's listing*, as the job's name or in its comment. A token begins with a letter and has 15
///   lower-case letters and digits, so a name that may have no more than that is the token alone. Where names may
///   be longer, [`Submission::name`] puts a label for people in front of it.
/// - *Into the script*, which compares it at the start gate. Many schedulers pass no arguments to a script. So by
///   default the wrapper makes a copy of the script that has the token in it, for this submission alone, and
///   [`Dialect::submit_text`] finds its path in `$2`. A scheduler that does pass arguments says so in
///   [`Capabilities::passes_arguments`]. No copy is made there, and the text submits [`Submission::script`] with
///   the token, its own `$1`, as the script's first argument.
pub trait Dialect: fmt::Debug + Send + Sync + 'static {
    /// Returns the scheduler's own lines of the job script, which come before those of the user, and what its
    /// submission needs beside them.
    ///
    /// # Errors
    /// `Permanent` for what it can't express, and for directives of the user that would make more or less than one
    /// job.
    fn header(&self, job: &JobTemplate) -> Result<Header>;

    /// Returns shell text for the job script that sets `ferry_job` to the job's id and `ferry_restart` to the
    /// number of times that the scheduler started it again. It must not print.
    fn identity(&self) -> &'static str;

    /// Returns shell text that submits the job. The wrapper runs it in the work directory. `$1` is the token, and
    /// `$2` the path of the script to submit, from there (see [`Dialect`]; where the scheduler passes arguments,
    /// it is `job.script` instead). Its output and exit status are recorded, and read by [`Dialect::parse_submit`].
    ///
    /// Where the environment may send the job to other clusters, the text first writes their names, one a line, to
    /// `.ferry/submit-TOKEN/clusters`.
    fn submit_text(&self, job: &Submission) -> String;

    /// Reads a recorded answer. An id beside a non-zero status counts.
    ///
    /// # Errors
    /// - `Permanent` only for words that are known to be final.
    /// - `Busy` for "not now"; `Full` and `Quota` for a limit on the number of jobs.
    /// - `Unreachable` for trouble of the scheduler itself.
    /// - `Ambiguous` for a lost answer, and `Unrecognized` for unknown words. Both have an unknown effect, since
    ///   the job may have been accepted all the same.
    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId>;

    /// Returns one command that lists jobs, including ended ones as far as the scheduler remembers them.
    fn queue_command(&self, query: &Query<'_>) -> Command;

    /// Reads the output of [`Dialect::queue_command`].
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; a failed listing is never an empty queue.
    fn parse_queue(&self, query: &Query<'_>, output: &Output) -> Result<Queue>;

    /// Returns one command that cancels all these jobs of a cluster. Their ids were just seen to belong to them.
    fn cancel_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Command;

    /// Reads the output of [`Dialect::cancel_command`]: one result for each job, in order.
    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>>;

    /// Returns what the scheduler can do. By default it has a queue, which is listed every 10 s at most, and whose
    /// listing alone does not prove that a job has ended.
    fn capabilities(&self) -> Capabilities {
        Capabilities { has_queue: true, poll_floor: Duration::from_secs(10), ..Capabilities::default() }
    }

    /// Returns a command that looks for the token of a submission among the jobs of a cluster. By default it lists
    /// the queue.
    fn find_command(&self, job: &Submission, cluster: Option<&str>) -> Command {
        let _ = job;
        self.queue_command(&Query { cluster, jobs: &[], by_id: false })
    }

    /// Reads the output of [`Dialect::find_command`]. By default as [`Queue::find`] does.
    ///
    /// # Errors
    /// `Unreachable` or `Unreadable`; never `Absent` from a failed command.
    fn parse_find(&self, job: &Submission, cluster: Option<&str>, output: &Output) -> Result<Listing> {
        let query = Query { cluster, jobs: &[], by_id: false };
        Ok(self.parse_queue(&query, output)?.find(job, cluster))
    }

    /// Returns how long after the first look a second one must confirm an absence: longer than it takes a job that
    /// was accepted to be listed.
    fn grace(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Returns one command that asks for the ends of jobs of a cluster that no listing shows any more; `None`
    /// where the scheduler keeps no history.
    fn history_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Option<Command> {
        let _ = (cluster, jobs);
        None
    }

    /// Reads the output of [`Dialect::history_command`]: only jobs that are known to have ended. Entries that
    /// can't be read are left out, since this only adds to a listing that has answered.
    fn parse_history(&self, jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
        let _ = (jobs, output);
        BTreeMap::new()
    }

    /// Returns one command that asks which of these jobs the scheduler itself cancelled before their script
    /// started; `None` where it never does so. All are in one cluster.
    fn given_up_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Option<Command> {
        let _ = (cluster, jobs);
        None
    }

    /// Reads the output of [`Dialect::given_up_command`]. A job whose entry can't be read is left out.
    fn parse_given_up(&self, jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
        let _ = (jobs, output);
        BTreeSet::new()
    }

    /// Returns shell text for the job script that does what the scheduler does not: it enforces limits, and ends
    /// what a job leaves behind. The script reads it after it has taken its gate and before it starts anything. If
    /// it leaves a child in the background, it names that child in `ferry_guard`; the child is killed with the
    /// script. It may redefine these functions:
    ///
    /// | function | called | by default |
    /// |---|---|---|
    /// | `ferry_start WORDS` | in the child that becomes the user's part; ends in an `exec` of the words | `ferry_fresh WORDS`, which undoes ignored signals |
    /// | `ferry_started` | once that child runs; `ferry_child` is its pid | nothing |
    /// | `ferry_pass SIGNAL` | when the script's shell was signalled | signals `ferry_child` |
    /// | `ferry_sweep` | when the child has ended, before the exit marker is written | nothing |
    /// | `ferry_told` | when the exit marker is written | nothing |
    fn guard(&self, job: &JobTemplate) -> Vec<String> {
        let _ = job;
        Vec::new()
    }

    /// Returns shell text that enforces a limit which the scheduler does not enforce. It runs before the user's
    /// own texts and commands, and limits only them.
    fn limits(&self, job: &JobTemplate) -> Option<String> {
        let _ = job;
        None
    }

    /// Returns one command that waits for the end of jobs; `None` where ends can't be watched. It ends as soon as
    /// one of these jobs, or of those submitted later, may have ended, and after half a minute in any case. See
    /// [`Command::spare`].
    fn watch_command(&self, jobs: &[JobRef]) -> Option<Command> {
        let _ = jobs;
        None
    }

    /// Reads the output of [`Dialect::watch_command`].
    fn parse_watch(&self, output: &Output) -> WatchEnd {
        let _ = output;
        WatchEnd::Unable
    }

    /// Returns one command that asks which queue plain submissions go to, and as which user; `None` where queues
    /// have no names.
    fn queue_key_command(&self) -> Option<Command> {
        None
    }

    /// Reads the output of [`Dialect::queue_key_command`].
    ///
    /// # Errors
    /// `Unreachable` where asking again may help; `Permanent` or `Unreadable` from a host that can't say.
    fn parse_queue_key(&self, output: &Output) -> Result<QueueKey> {
        let _ = output;
        Err(nameless())
    }

    /// Returns one command that asks for the resources of a machine that jobs share; `None` where they share none.
    fn machine_command(&self) -> Option<Command> {
        None
    }

    /// Reads the output of [`Dialect::machine_command`]. Resources that it does not mention are unknown.
    ///
    /// # Errors
    /// `Unreachable` where asking again may help; `Permanent` or `Unreadable` from a host that can't say.
    fn parse_machine(&self, output: &Output) -> Result<Machine> {
        let _ = output;
        Ok(Machine::default())
    }

    /// Returns shell text that a wrapper runs once, before it submits any of these jobs. Each
    /// [`Dialect::submit_text`] sees the variables and functions that it sets.
    fn prelude(&self, jobs: &[&Submission]) -> String {
        let _ = jobs;
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(id: &str, name: &str, dir: Option<&str>) -> Listed {
        Listed {
            dir: dir.map(Into::into),
            ..Listed::named(JobId(id.into()), name.into(), JobStatus::default())
        }
    }

    fn find(listed: Vec<Listed>, proves_absence: bool) -> Listing {
        let earlier = JobRef { id: JobId("1".into()), token: "fold".into(), dir: "/w".into() };
        let job = Submission {
            token: "ftoken".into(),
            dir: "/w".into(),
            earlier: vec![earlier],
            ..Submission::default()
        };
        Queue { listed, proves_absence, ..Queue::default() }.find(&job, None)
    }

    #[test]
    fn a_token_is_found_in_a_listing_by_name_or_by_directory() {
        let job = |id: &str| Listing::Job(JobId(id.into()));
        assert_eq!(find(vec![listed("7", "ftoken", None)], true), job("7"));
        assert_eq!(find(vec![listed("7;b", "ferry-1-ftoken", None)], false), job("7;b"));
        assert_eq!(find(vec![listed("7", "renamed", Some("/w"))], true), job("7"));
        let both = vec![listed("6", "renamed", Some("/w")), listed("7", "ftoken", None)];
        assert_eq!(find(both, true), job("7"), "a name says more than a directory");
        assert_eq!(
            find(vec![listed("1", "renamed", Some("/w"))], true),
            Listing::Absent,
            "an earlier attempt"
        );
    }

    #[test]
    fn a_listing_that_can_t_tell_never_says_absent() {
        let is_blind = |listing| matches!(listing, Listing::Blind(_));
        assert!(is_blind(find(Vec::new(), false)));
        assert!(is_blind(find(vec![listed("7", "other", None)], false)));
        assert!(is_blind(find(vec![listed("7", "", None), listed("8", "other", None)], true)));
        assert_eq!(find(vec![listed("7", "other", None)], true), Listing::Absent);
        assert_eq!(find(Vec::new(), true), Listing::Absent);
    }
}
