//! Slurm's dialect, wired to the engine: each command and the reader of its answer are in a file of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use ferry_engine_core::{
    scheduler::{
        Capabilities, Dialect, Header, JobId, JobRef, JobStatus, JobTemplate, Listing, Query, Queue,
        QueueKey, Recorded, Result, Submission,
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
            // A controller that was killed may have forgotten jobs that still run.
            listing_is_authoritative: false,
            has_clusters: true,
            passes_arguments: true,
            poll_floor: Duration::from_secs(5),
            directives: directives::MARKERS,
            resources: header::RESOURCES,
            environment: &["SLURM_CONF"],
            ..Capabilities::default()
        }
    }

    fn header(&self, job: &JobTemplate) -> Result<Header> {
        let lines = header::lines(job)?;
        Ok(Header { lines, extras: directives::extras(job) })
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

    fn find_command(&self, job: &Submission, cluster: Option<&str>) -> Command {
        queue::find_command(job, cluster)
    }

    fn parse_find(&self, job: &Submission, cluster: Option<&str>, output: &Output) -> Result<Listing> {
        queue::found(job, cluster, output)
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn queue_command(&self, query: &Query<'_>) -> Command {
        queue::command(query)
    }

    fn parse_queue(&self, query: &Query<'_>, output: &Output) -> Result<Queue> {
        queue::read(query, output)
    }

    fn history_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Option<Command> {
        Some(accounting::history_command(cluster, jobs))
    }

    fn parse_history(&self, jobs: &[JobRef], output: &Output) -> BTreeMap<JobRef, JobStatus> {
        accounting::ends(jobs, output)
    }

    fn given_up_command(&self, cluster: Option<&str>, _jobs: &[JobRef]) -> Option<Command> {
        Some(given_up::command(cluster))
    }

    fn parse_given_up(&self, jobs: &[JobRef], output: &Output) -> BTreeSet<JobRef> {
        given_up::read(jobs, output)
    }

    fn cancel_command(&self, cluster: Option<&str>, jobs: &[JobRef]) -> Command {
        cancel::command(cluster, jobs)
    }

    fn parse_cancel(&self, jobs: &[JobRef], output: &Output) -> Vec<Result<()>> {
        cancel::read(jobs, output)
    }
}
