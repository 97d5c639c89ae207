//! A scheduler of a [`World`]'s host, with the meaning of the claim protocol but none of its shell text. Claims,
//! start gates and markers are state of the world. So it does not test `claim.rs` and `template.rs`; those are
//! tested with real shells.

use std::{collections::HashSet, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::sleep;

use super::{
    fate::OpFault,
    queue::{Host, HostSettings, Means, Said, Told, Trail},
    world::{Lost, World},
};
use crate::{
    scheduler::{
        Cancelled, Capabilities, Error, ErrorKind, Fenced, JobId, JobRef, JobScript, JobTemplate, Markers,
        Presence, QueueKey, Recovery, Result, Scheduler, Submission, Survey, WatchEnd,
    },
    transport::Transport,
};

/// Time between the first and the second look for a token.
const GRACE: Duration = Duration::from_secs(5);

/// The scheduler of one host.
#[derive(Debug)]
pub struct ScriptedScheduler {
    world: Arc<World>,
    settings: HostSettings,
}

impl ScriptedScheduler {
    /// Makes the scheduler of the host with these settings.
    pub fn new(world: Arc<World>, settings: HostSettings) -> ScriptedScheduler {
        ScriptedScheduler { world, settings }
    }

    /// Returns the owner's connection to the host. It has only one: a lost one stays lost until it opens another.
    fn connection(&self) -> Option<u64> {
        self.world.with(self.settings.name, |host, _| host.connected)
    }

    async fn act<T>(
        &self,
        what: &'static str,
        act: impl FnOnce(&mut Host, &mut Means<'_>, bool) -> T + Send,
    ) -> Result<T> {
        let act =
            |host: &mut Host, means: &mut Means<'_>, fault| act(host, means, fault == Some(OpFault::Half));
        self.world.act(self.settings.name, what, self.connection(), act).await.map_err(|lost| {
            let error = Error::new(ErrorKind::Unreachable, what).message("the connection was lost").later();
            if lost == Lost::Unknown { error.effect_unknown() } else { error }
        })
    }
}

/// Does the wrapper's work for a batch; returns its answers.
fn submit_all(
    host: &mut Host,
    means: &mut Means<'_>,
    jobs: &[Submission],
    fault: Option<OpFault>,
) -> Option<Vec<Said>> {
    let at = means.now;
    if let Some(OpFault::Late(time)) = fault {
        jobs.iter().for_each(|job| host.wrap_later(job, at + time));
        return None;
    }
    let times_out = match fault {
        Some(OpFault::TimedOutIn) => Some(true),
        Some(OpFault::TimedOutNotIn) => Some(false),
        _ => None,
    };
    jobs.iter().for_each(|job| host.wrap(job, times_out, at, means));
    Some(jobs.iter().map(|job| host.said(job)).collect())
}

fn ambiguous() -> Error {
    Error::new(ErrorKind::Ambiguous, "submit")
        .message("the submission recorded no answer")
        .later()
        .effect_unknown()
}

#[async_trait]
impl Scheduler for ScriptedScheduler {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            has_queue: self.settings.has_queue,
            listing_is_authoritative: self.settings.is_authoritative,
            has_clusters: false,
            poll_floor: Duration::from_secs(10),
            tells_of_ends: self.settings.told != Told::Nothing,
            ..Capabilities::default()
        }
    }

    fn script(&self, job: &JobTemplate) -> Result<JobScript> {
        Ok(JobScript { text: format!("# {}\n", job.dir.display()), ..JobScript::default() })
    }

    async fn queue_key(&self, _: &dyn Transport) -> Result<QueueKey> {
        self.act("queue key", |host, _, _| QueueKey { queue: host.settings.name.to_owned(), uid: 1000 }).await
    }

    async fn submit(&self, _: &dyn Transport, jobs: &[Submission], _: usize) -> Vec<Result<JobId>> {
        let act = |host: &mut Host, means: &mut Means<'_>, fault| submit_all(host, means, jobs, fault);
        let Ok(Some(said)) = self.world.act(self.settings.name, "submit", self.connection(), act).await
        else {
            return jobs.iter().map(|_| Err(ambiguous())).collect();
        };
        // The kind of "not now" depends on the process, so that all kinds occur.
        let not_now = |job: &Submission| match job.token.bytes().map(usize::from).sum::<usize>() % 3 {
            0 => Error::new(ErrorKind::Full, "submit").message("too many jobs").later(),
            1 => Error::new(ErrorKind::Quota, "submit").message("too many jobs of yours").later(),
            _ => Error::new(ErrorKind::Busy, "submit").message("the partition is drained").later(),
        };
        let read = |(said, job)| match said {
            Said::Job(id) => Ok(JobId(id.to_string())),
            Said::Busy => Err(not_now(job)),
            Said::Refused => Err(Error::new(ErrorKind::Permanent, "submit").message("invalid partition")),
            Said::Unclear => Err(ambiguous()),
        };
        said.into_iter().zip(jobs).map(read).collect()
    }

    async fn recover(&self, _: &dyn Transport, job: &Submission) -> Result<Recovery> {
        for look in 0..2 {
            let trail = self.act("recover", |host, means, is_half| host.trail(job, is_half, means)).await?;
            match trail {
                Trail::Job(id) => return Ok(Recovery::Found(JobId(id))),
                Trail::Never => return Ok(Recovery::NeverSubmitted),
                Trail::Missing => return Ok(Recovery::Unclear("the work directory is missing".into())),
                Trail::Absent(false) => {
                    return Ok(Recovery::Unclear("the submission may still be under way".into()));
                }
                Trail::Absent(true) if look == 0 => sleep(GRACE).await,
                Trail::Absent(true) => {}
            }
        }
        if !job.proven && !self.settings.is_authoritative {
            return Ok(Recovery::Unclear("nobody has seen that its listings can be relied on".into()));
        }
        self.act("seal", |host, _, _| host.seal(job)).await?;
        Ok(Recovery::NeverSubmitted)
    }

    async fn watch(&self, _: &dyn Transport, jobs: &[JobRef]) -> Result<WatchEnd> {
        let ends = || self.world.with(self.settings.name, |host, _| host.ends(jobs)).unwrap_or_default();
        let (before, is_over) = ends();
        match self.settings.told {
            Told::Nothing => return Ok(WatchEnd::Unable),
            Told::Fails => return Err(Error::new(ErrorKind::Unreachable, "watch").later()),
            Told::Hangs => return std::future::pending().await,
            Told::Ends if is_over => return Ok(WatchEnd::Over),
            Told::Ends => {}
        }
        for _ in 0..250 {
            sleep(Duration::from_millis(100)).await;
            if ends().0 > before {
                return Ok(WatchEnd::Told);
            }
        }
        Ok(WatchEnd::Expired)
    }

    async fn survey(
        &self,
        _: &dyn Transport,
        _: Option<&str>,
        jobs: &[JobRef],
        tokens: &HashSet<String>,
    ) -> Result<Survey> {
        self.act("survey", |host, _, is_half| {
            let is_half = host.lies(is_half);
            host.survey(jobs, tokens, is_half)
        })
        .await
    }

    async fn ask(&self, _: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Presence>> {
        let found = self.act("ask", |host, _, _| host.status(jobs, false)).await;
        let one = |job: &JobRef| match &found {
            Ok(states) => Ok(states.get(job).cloned().map_or(Presence::Gone, Presence::Ours)),
            Err(error) => Err(Error::new(*error.kind(), "ask").message(error.to_string()).later()),
        };
        jobs.iter().map(one).collect()
    }

    async fn markers(&self, _: &dyn Transport, dirs: &[&Path]) -> Result<Markers> {
        self.act("markers", |host, means, _| {
            dirs.iter().map(|dir| ((*dir).to_owned(), host.marker(means.files, dir))).collect()
        })
        .await
    }

    async fn fence(&self, _: &dyn Transport, job: &Submission) -> Result<Fenced> {
        self.act("fence", |host, means, _| host.fence(job, means.files)).await
    }

    async fn cancel(&self, _: &dyn Transport, jobs: &[JobRef]) -> Vec<Result<Cancelled>> {
        let cancel = |host: &mut Host, means: &mut Means<'_>, _| {
            jobs.iter().for_each(|job| host.cancel(job, means.now));
        };
        let done = self.act("cancel", cancel).await;
        let text = done.err().map(|error| error.to_string());
        let result = |_| match &text {
            None => Ok(Cancelled::Over),
            Some(text) => Err(Error::new(ErrorKind::Unreachable, "cancel").message(text.clone()).later()),
        };
        jobs.iter().map(result).collect()
    }

    async fn list(&self, _: &dyn Transport) -> Result<usize> {
        self.act("list", |host, _, _| host.left().len()).await
    }
}
