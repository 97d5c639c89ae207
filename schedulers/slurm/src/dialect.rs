//! Slurm's words, wired to the engine: each pair of command and reading lives in a file of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ferry_engine::{
    scheduler::{
        Capabilities, Dialect, JobId, JobRef, JobState, JobStatus, JobTemplate, Listed, Listing, QueueKey,
        Recorded, Result, Submission,
    },
    transport::{Command, Output},
};

use crate::{accounting, cancel, cluster, directives, given_up, header, queue, submit};

/// The dialect of Slurm's commands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Slurm;

impl Dialect for Slurm {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            has_queue: true,
            // A controller that was killed has forgotten jobs that run all the same.
            listing_is_authoritative: false,
            poll_floor: Duration::from_secs(5),
            directives: directives::MARKERS,
        }
    }

    fn header(&self, job: &JobTemplate) -> Result<Vec<String>> {
        header::lines(job)
    }

    fn identity(&self) -> &'static str {
        header::IDENTITY
    }

    fn queue_key_command(&self) -> Option<Command> {
        Some(cluster::command())
    }

    fn parse_queue_key(&self, output: &Output) -> Result<QueueKey> {
        cluster::read(output)
    }

    fn submit_text(&self, job: &Submission) -> String {
        submit::text(job)
    }

    fn parse_submit(&self, recorded: &Recorded) -> Result<JobId> {
        submit::read(recorded)
    }

    fn find_command(&self, job: &Submission) -> Command {
        queue::find_command(&job.token)
    }

    fn parse_find(&self, job: &Submission, output: &Output) -> Result<Listing> {
        queue::found(&job.token, output)
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn status_command(&self, _jobs: &[JobRef]) -> Command {
        queue::list_command()
    }

    fn parse_status(&self, jobs: &[JobRef], output: &Output) -> Result<BTreeMap<JobRef, JobStatus>> {
        Ok(queue::states(jobs, queue::read("status", output)?))
    }

    fn survey_command(&self) -> Option<Command> {
        Some(queue::list_command())
    }

    fn parse_survey(&self, output: &Output) -> Result<Vec<Listed>> {
        queue::read("survey", output)
    }

    fn history_command(&self, jobs: &[JobRef]) -> Option<Command> {
        Some(accounting::history_command(jobs))
    }

    fn parse_history(&self, jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
        accounting::ends(jobs, output)
    }

    fn given_up_command(&self, _jobs: &[JobRef]) -> Option<Command> {
        Some(given_up::command())
    }

    fn parse_given_up(&self, jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
        given_up::read(jobs, output)
    }

    fn cancel_command(&self, jobs: &[JobRef]) -> Command {
        cancel::command(jobs)
    }

    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
        cancel::read(jobs, output)
    }

    fn list_command(&self) -> Command {
        queue::list_command()
    }

    fn parse_list(&self, output: &Output) -> Result<usize> {
        let active = |job: &Listed| job.status.state != JobState::Done;
        Ok(queue::read("list", output)?.iter().filter(|job| active(job)).count())
    }
}
